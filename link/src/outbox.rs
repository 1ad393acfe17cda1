//! What one turn of a service's loop wants to send, gathered by destination.
//!
//! Everything that is pushed between two flushes to one subject becomes one message (or a few,
//! below the size limit). There is no timer: when little happens a message goes out at once with
//! one item, under load what queued up during the last turn goes together.

use async_nats::{Client, PublishError, Subject};
use bytes::Bytes;
use catena_protocol::codec::Batch;
use minicbor::Encode;
use std::collections::HashMap;

/// Messages by destination.
#[derive(Debug, Default)]
pub struct Outbox {
    limit: usize,
    slots: Vec<Slot>,
    by_subject: HashMap<String, usize>,
    ready: Vec<(Subject, Option<Subject>, Bytes)>,
}

#[derive(Debug)]
struct Slot {
    subject: Subject,
    reply: Option<Subject>,
    batch: Batch,
}

/// Batches are closed at this size: longer ones gain nothing, and what is read and written in
/// pieces that stay in the cache is passed on sooner.
const BATCH_BYTES: usize = 64 * 1024;

impl Outbox {
    /// An empty outbox whose messages stay below `limit` bytes (and below 64 KiB) where a single
    /// item does.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.min(BATCH_BYTES), ..Self::default() }
    }

    /// Adds an item for `subject`. The reply subject of the first item of a message counts;
    /// items for one subject should all name the same.
    pub fn push<T: Encode<()>>(&mut self, subject: &Subject, reply: Option<&Subject>, item: &T) {
        let at = match self.by_subject.get(subject.as_str()) {
            Some(at) => *at,
            None => self.open(subject, reply),
        };
        let slot = &mut self.slots[at];
        if let Some(full) = slot.batch.push_within(item, self.limit) {
            self.ready.push((slot.subject.clone(), slot.reply.clone(), full));
        }
    }

    fn open(&mut self, subject: &Subject, reply: Option<&Subject>) -> usize {
        let slot =
            Slot { subject: subject.clone(), reply: reply.cloned(), batch: Batch::default() };
        self.slots.push(slot);
        self.by_subject.insert(subject.to_string(), self.slots.len() - 1);
        self.slots.len() - 1
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.ready.is_empty()
    }

    /// Hands everything to the connection, in order for each subject. Waits when the connection
    /// is behind: this is the back-pressure of the loop.
    ///
    /// # Errors
    /// If the connection is closed for good, or a message is larger than the server takes; the
    /// other messages are still sent.
    pub async fn flush(&mut self, client: &Client) -> Result<(), PublishError> {
        self.by_subject.clear();
        let mut failed = None;
        let slots =
            self.slots.drain(..).map(|slot| (slot.subject, slot.reply, slot.batch.finish()));
        for (subject, reply, bytes) in self.ready.drain(..).chain(slots) {
            let sent = match reply {
                Some(reply) => client.publish_with_reply(subject, reply, bytes).await,
                None => client.publish(subject, bytes).await,
            };
            if let Err(error) = sent {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
