//! The state of a partition in pieces, for a replica that takes a copy.
//!
//! A place between two pieces is one byte that says which kind of thing comes next, and the last
//! thing of that kind that was handed out.

use super::{Changes, Content, TxnChange, Update};
use catena_protocol::Blob;
use catena_protocol::message::gossip::Item;
use std::sync::Arc;

/// Kinds of things, in the order in which they are handed out. Transactions come first: of one
/// that ends meanwhile the rows that it leaves are then among those that follow.
pub(super) const TXNS: u8 = b't';
/// See [`TXNS`].
pub(super) const ROWS: u8 = b'd';
/// See [`TXNS`].
pub(super) const REQUESTS: u8 = b'r';
/// See [`TXNS`].
pub(super) const OUTCOMES: u8 = b'o';

/// A piece that is being put together.
pub(super) struct Pieces {
    room: usize,
    items: Vec<Item>,
    next: Option<Blob>,
}

impl Pieces {
    pub(super) const fn new(bytes: usize) -> Self {
        Self { room: bytes, items: Vec::new(), next: None }
    }

    /// Adds an item that is kept at `key` among its kind. False: it was the last for this piece.
    pub(super) fn add(&mut self, kind: u8, key: &[u8], bytes: usize, item: Item) -> bool {
        self.items.push(item);
        self.room = self.room.saturating_sub(bytes + 32);
        if self.room == 0 {
            self.next = Some([&[kind], key].concat().into());
        }
        self.room > 0
    }

    pub(super) fn finish(self) -> (Vec<Item>, Option<Blob>) {
        (self.items, self.next)
    }
}

/// Which kinds are still to come, and behind which key the first of them goes on.
pub(super) fn rest(from: Option<&[u8]>) -> impl Iterator<Item = (u8, Option<&[u8]>)> {
    let (first, after) = match from.and_then(<[u8]>::split_first) {
        Some((kind, key)) => (*kind, Some(key)),
        None => (TXNS, None),
    };
    let kinds = [TXNS, ROWS, REQUESTS, OUTCOMES].into_iter().skip_while(move |kind| *kind != first);
    kinds.map(move |kind| (kind, after.filter(|_| kind == first)))
}

impl Changes {
    /// Adds what came from elsewhere. What cannot be read is left out: it never was written so.
    pub fn take(&mut self, partition: u16, items: Vec<Item>) {
        for item in items {
            let update = match item {
                Item::Row(key, version, content) => {
                    let Some(content) = Content::from_bytes(&content.0) else { continue };
                    Update { version, rows: vec![(key, content)], ..Update::default() }
                }
                Item::Request(request, version, written) => {
                    Update { version, request: Some((request, written)), ..Update::default() }
                }
                Item::Outcome(outcome) => {
                    Update { outcome: Some(Box::new(outcome)), ..Update::default() }
                }
                Item::Intent(intent) => {
                    self.txns.push((partition, TxnChange::Intent(intent)));
                    continue;
                }
                Item::Unsettled(unsettled) => {
                    self.txns.push((partition, TxnChange::Unsettled(unsettled)));
                    continue;
                }
            };
            self.updates.push((partition, Arc::new(update)));
        }
    }
}
