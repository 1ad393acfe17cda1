//! The end of a partition's log in memory: positions, chained hashes and bytes.
//!
//! Reaches back at least to what the state does not contain yet, and further as far as there is
//! room, so that replicas that missed something get it from here.

use super::packed::Packed;
use bytes::Bytes;
use catena_protocol::codec::Raw;
use catena_protocol::message::replicate::Position;
use std::collections::VecDeque;
use xxhash_rust::xxh3::xxh3_64_with_seed;

#[derive(Clone, Debug)]
struct Kept {
    epoch: u64,
    hash: u64,
    bytes: Bytes,
}

/// The end of a log.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    base: Position,
    base_hash: u64,
    kept: VecDeque<Kept>,
    bytes: usize,
    packed: Packed,
}

/// The hash of a log whose hash was `before` and that a record is added to (XXH3, Y. Collet).
pub(super) fn chain(before: u64, record: &[u8]) -> u64 {
    xxh3_64_with_seed(record, before)
}

impl Tail {
    /// A log of which everything up to `base` is elsewhere.
    pub(super) fn new(base: Position, base_hash: u64) -> Self {
        Self { base, base_hash, kept: VecDeque::new(), bytes: 0, packed: Packed::default() }
    }

    pub(super) fn last(&self) -> Position {
        match self.kept.back() {
            Some(kept) => {
                Position { epoch: kept.epoch, index: self.base.index + self.kept.len() as u64 }
            }
            None => self.base,
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.kept.back().map_or(self.base_hash, |kept| kept.hash)
    }

    /// Where what is kept here begins: the record before it.
    pub(super) const fn base(&self) -> Position {
        self.base
    }

    #[cfg(test)]
    const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a record. Returns its bytes as they are kept here.
    pub(super) fn push(&mut self, epoch: u64, record: &[u8]) -> Bytes {
        let hash = chain(self.hash(), record);
        let bytes = self.packed.keep(record, self.bytes);
        self.bytes += bytes.len();
        self.kept.push_back(Kept { epoch, hash, bytes: bytes.clone() });
        bytes
    }

    fn at(&self, index: u64) -> Option<&Kept> {
        let behind = index.checked_sub(self.base.index + 1)?;
        self.kept.get(usize::try_from(behind).ok()?)
    }

    /// The position with this index; none: it is not known here.
    pub(super) fn position(&self, index: u64) -> Option<Position> {
        if index == self.base.index {
            return Some(self.base);
        }
        self.at(index).map(|kept| Position { epoch: kept.epoch, index })
    }

    /// The chained hash up to this index; none: it is not known here.
    pub(super) fn hash_at(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base_hash);
        }
        self.at(index).map(|kept| kept.hash)
    }

    /// All positions that are kept, with the chained hash up to each.
    pub(super) fn positions(&self) -> impl Iterator<Item = (Position, u64)> + '_ {
        let indexes = self.base.index + 1..;
        let at = |(index, kept): (u64, &Kept)| (Position { epoch: kept.epoch, index }, kept.hash);
        indexes.zip(&self.kept).map(at)
    }

    /// The records behind `after` up to `last`, at least one and then as many as fit.
    pub(super) fn records(&self, after: u64, last: u64, most_bytes: usize) -> Vec<Raw> {
        let mut records = Vec::new();
        let mut bytes = 0;
        for index in after + 1..=last {
            let Some(kept) = self.at(index) else { break };
            bytes += kept.bytes.len() + 8;
            if bytes > most_bytes && !records.is_empty() {
                break;
            }
            records.push(Raw(kept.bytes.clone()));
        }
        records
    }

    /// Forgets everything behind `index`: another primary decided otherwise.
    pub(super) fn truncate(&mut self, index: u64) {
        let keep = usize::try_from(index.saturating_sub(self.base.index)).unwrap_or(usize::MAX);
        while self.kept.len() > keep {
            let Some(gone) = self.kept.pop_back() else { break };
            self.bytes -= gone.bytes.len();
        }
    }

    /// Gives up the oldest records up to `index` as long as more than `most_bytes` are kept.
    pub(super) fn shorten(&mut self, index: u64, most_bytes: usize) {
        while self.bytes > most_bytes && self.base.index < index {
            let Some(gone) = self.kept.pop_front() else { break };
            self.bytes -= gone.bytes.len();
            self.base = Position { epoch: gone.epoch, index: self.base.index + 1 };
            self.base_hash = gone.hash;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail() -> Tail {
        let mut tail = Tail::new(Position { epoch: 1, index: 10 }, 7);
        for (epoch, text) in [(1, "a"), (2, "bb"), (2, "ccc")] {
            tail.push(epoch, text.as_bytes());
        }
        tail
    }

    #[test]
    fn positions_are_known_from_the_base_to_the_end() {
        let tail = tail();
        assert_eq!(tail.position(9), None);
        assert_eq!(tail.position(10), Some(Position { epoch: 1, index: 10 }));
        assert_eq!(tail.position(12), Some(Position { epoch: 2, index: 12 }));
        assert_eq!(tail.last(), Position { epoch: 2, index: 13 });
        assert_eq!(tail.position(14), None);
        assert_eq!(tail.hash_at(11), Some(chain(7, b"a")));
    }

    #[test]
    fn cut_at_either_end_the_rest_is_as_it_was() {
        let mut tail = tail();
        let whole = tail.hash();
        tail.shorten(12, 3);
        assert_eq!((tail.base().index, tail.bytes()), (12, 3));
        assert_eq!(tail.hash(), whole);
        tail.truncate(12);
        assert_eq!(tail.last(), Position { epoch: 2, index: 12 });
        tail.push(2, b"ccc");
        assert_eq!(tail.hash(), whole);
    }

    #[test]
    fn records_are_handed_out_by_size_but_never_none() {
        let tail = tail();
        assert_eq!(tail.records(10, 13, 1).len(), 1);
        assert_eq!(tail.records(10, 12, 1_000).len(), 2);
        assert!(tail.records(13, 13, 1_000).is_empty());
    }
}
