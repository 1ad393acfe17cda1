//! Until when records were read: nobody writes them at or before that any more.
//!
//! A primary's own clock has passed every snapshot that it served. A commit that another primary
//! has given its time to may come from behind, so what was read here is remembered: by key, by
//! prefix, and below a low-water mark for everything. A new primary knows of no reads; they were
//! all below the ceiling above which it begins, and that is its low-water mark.

use catena_protocol::{Key, Timestamp};
use std::collections::BTreeMap;

/// So many keys and prefixes are remembered for sure; twice as many at most.
const MARKS: usize = 16_384;

type Marks = BTreeMap<String, Timestamp>;

/// What was read in one partition.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadMarks {
    low: Timestamp,
    keys: Generations,
    prefixes: Generations,
}

/// The marks of now and of before; those of before that go away raise the low-water mark.
#[derive(Clone, Debug, Default)]
struct Generations {
    young: Marks,
    old: Marks,
}

impl Generations {
    /// Returns what the low-water mark must be at least.
    fn note(&mut self, name: &str, at: Timestamp) -> Timestamp {
        if let Some(mark) = self.young.get_mut(name) {
            *mark = at.max(*mark);
            return Timestamp::ZERO;
        }
        let mut low = Timestamp::ZERO;
        if self.young.len() >= MARKS {
            low = self.old.values().copied().max().unwrap_or_default();
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name.to_owned(), at);
        low
    }

    fn of(&self, name: &str) -> Timestamp {
        let of = |marks: &Marks| marks.get(name).copied().unwrap_or_default();
        of(&self.young).max(of(&self.old))
    }

    fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }
}

impl ReadMarks {
    /// A primary begins: everything may have been read up to `low`.
    pub(super) fn restart(&mut self, low: Timestamp) {
        *self = Self { low, ..Self::default() };
    }

    /// A record was read at a time.
    pub(super) fn read(&mut self, key: &Key, at: Timestamp) {
        if at > self.low {
            self.low = self.low.max(self.keys.note(key.as_str(), at));
        }
    }

    /// All records with a prefix were read at a time.
    pub(super) fn scanned(&mut self, prefix: &str, at: Timestamp) {
        if at > self.low {
            self.low = self.low.max(self.prefixes.note(prefix, at));
        }
    }

    /// Until when a record was read.
    pub(super) fn of(&self, key: &Key) -> Timestamp {
        let exact = self.low.max(self.keys.of(key.as_str()));
        if self.prefixes.is_empty() {
            return exact;
        }
        let text = key.as_str();
        let ends = (0..=text.len()).filter(|end| text.is_char_boundary(*end));
        ends.map(|end| self.prefixes.of(&text[..end])).fold(exact, Timestamp::max)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    #[test]
    fn keys_and_prefixes_count_each_for_itself() {
        let mut marks = ReadMarks::default();
        marks.restart(Timestamp(10));
        marks.read(&key("a:1"), Timestamp(20));
        marks.read(&key("a:1"), Timestamp(15));
        marks.scanned("b:", Timestamp(30));
        let of = |name| marks.of(&key(name)).0;
        assert_eq!([of("a:1"), of("a:2"), of("b"), of("b:"), of("b:x")], [20, 10, 10, 30, 30]);
    }

    #[test]
    fn what_is_forgotten_counts_for_everything() {
        let mut marks = ReadMarks::default();
        marks.read(&key("first"), Timestamp(99));
        for number in 0..2 * MARKS + 1 {
            marks.read(&key(&format!("k{number}")), Timestamp(100));
        }
        assert_eq!(marks.low, Timestamp(100));
        assert_eq!(marks.of(&key("first")), Timestamp(100));
        assert!(marks.keys.young.len() + marks.keys.old.len() <= 2 * MARKS);
    }
}
