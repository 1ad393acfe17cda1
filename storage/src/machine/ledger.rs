//! What transactions have left behind in a partition's log, in the order of the log.
//!
//! An entry begins with one record and ends with another. Until the second is committed it may
//! be cut off, and then the entry goes on as if nothing had been.

use catena_protocol::message::prepare::TxnId;
use std::collections::BTreeMap;

/// An entry is named by its transaction and the index of the record that began it.
type Place = (TxnId, u64);

#[derive(Clone, Debug)]
struct Entry<T> {
    value: T,
    ends: Option<u64>,
}

/// Entries of one kind.
#[derive(Clone, Debug)]
pub(super) struct Ledger<T> {
    entries: BTreeMap<Place, Entry<T>>,
    ends: BTreeMap<u64, Vec<Place>>,
    live: usize,
}

impl<T> Ledger<T> {
    pub(super) const fn new() -> Self {
        Self { entries: BTreeMap::new(), ends: BTreeMap::new(), live: 0 }
    }

    /// How many entries have not ended.
    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// A record begins an entry; one of the same transaction ends with that.
    pub(super) fn begin(&mut self, txn: TxnId, index: u64, value: T) {
        self.end(txn, index);
        if self.entries.insert((txn, index), Entry { value, ends: None }).is_none() {
            self.live += 1;
        }
    }

    /// A record ends the entry of a transaction, if there is one.
    pub(super) fn end(&mut self, txn: TxnId, index: u64) {
        let places = self.entries.range_mut((txn, 0)..(txn, index));
        if let Some((place, entry)) = places.rev().find(|(_, entry)| entry.ends.is_none()) {
            entry.ends = Some(index);
            self.ends.entry(index).or_default().push(*place);
            self.live -= 1;
        }
    }

    /// The entry of a transaction that has not ended, and the index with which it began.
    pub(super) fn get(&self, txn: TxnId) -> Option<(u64, &T)> {
        let mut places = self.of(txn).rev();
        places.find(|(_, entry)| entry.ends.is_none()).map(|(at, entry)| (at, &entry.value))
    }

    /// The index of the record that ended the last entry of a transaction, if it is not committed
    /// yet.
    pub(super) fn ending(&self, txn: TxnId) -> Option<u64> {
        self.of(txn).filter_map(|(_, entry)| entry.ends).max()
    }

    fn of(&self, txn: TxnId) -> impl DoubleEndedIterator<Item = (u64, &Entry<T>)> {
        self.entries.range((txn, 0)..=(txn, u64::MAX)).map(|((_, at), entry)| (*at, entry))
    }

    /// The entries that have not ended, with the indexes with which they began.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TxnId, u64, &T)> {
        let live = self.entries.iter().filter(|(_, entry)| entry.ends.is_none());
        live.map(|((txn, index), entry)| (*txn, *index, &entry.value))
    }

    /// The log is committed up to `index`. Returns what has ended for good with that.
    pub(super) fn settle(&mut self, index: u64) -> Vec<T> {
        let mut ended = Vec::new();
        while let Some(entry) = self.ends.first_entry() {
            if *entry.key() > index {
                break;
            }
            let entries = entry.remove().into_iter();
            ended.extend(entries.filter_map(|place| Some(self.entries.remove(&place)?.value)));
        }
        ended
    }

    /// The log behind `index` is gone.
    pub(super) fn truncate(&mut self, index: u64) {
        for place in self.ends.split_off(&(index + 1)).into_values().flatten() {
            if let Some(entry) = self.entries.get_mut(&place) {
                entry.ends = None;
            }
        }
        self.entries.retain(|(_, began), _| *began <= index);
        self.live = self.entries.values().filter(|entry| entry.ends.is_none()).count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catena_protocol::JobId;

    fn txn(number: u64) -> TxnId {
        TxnId { job: JobId([0; 16]), epoch: 1, number }
    }

    #[test]
    fn what_ended_goes_on_when_its_end_is_cut_off() {
        let mut ledger = Ledger::new();
        ledger.begin(txn(1), 5, "a");
        ledger.begin(txn(1), 7, "b");
        assert_eq!(ledger.get(txn(1)), Some((7, &"b")));
        ledger.end(txn(1), 9);
        assert_eq!((ledger.get(txn(1)), ledger.ending(txn(1)), ledger.len()), (None, Some(9), 0));
        ledger.truncate(8);
        assert_eq!((ledger.get(txn(1)), ledger.len()), (Some((7, &"b")), 1));
        ledger.truncate(6);
        assert_eq!((ledger.get(txn(1)), ledger.len()), (Some((5, &"a")), 1));
        ledger.truncate(4);
        assert_eq!((ledger.get(txn(1)), ledger.len()), (None, 0));
    }

    #[test]
    fn what_ended_is_forgotten_when_its_end_is_committed() {
        let mut ledger = Ledger::new();
        ledger.begin(txn(1), 5, "a");
        ledger.begin(txn(2), 6, "b");
        ledger.end(txn(1), 9);
        ledger.settle(8);
        assert_eq!(ledger.ending(txn(1)), Some(9));
        ledger.settle(9);
        ledger.truncate(9);
        assert_eq!((ledger.ending(txn(1)), ledger.get(txn(1))), (None, None));
        assert_eq!(ledger.iter().collect::<Vec<_>>(), [(txn(2), 6, &"b")]);
    }
}
