//! How long each partition of a killed node took no writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The gaps of one kill, from the kill until the first write that was acknowledged afterwards.
#[derive(Debug)]
pub(crate) struct Gaps {
    killed: Instant,
    gone: Instant,
    open: BTreeSet<u16>,
    closed: BTreeMap<u16, Duration>,
}

impl Gaps {
    /// The node that led `partitions` was killed at `killed`, and its process gone at `gone`.
    pub(crate) fn new(killed: Instant, gone: Instant, partitions: &[u16]) -> Self {
        Self { killed, gone, open: partitions.iter().copied().collect(), closed: BTreeMap::new() }
    }

    /// A write was acknowledged. One that began while the process still lived may have been
    /// answered by it, and proves nothing.
    pub(crate) fn acknowledged(&mut self, partition: u16, began: Instant, now: Instant) {
        if began >= self.gone && self.open.remove(&partition) {
            self.closed.insert(partition, now.duration_since(self.killed));
        }
    }

    /// Partitions that have taken no write yet.
    pub(crate) const fn open(&self) -> &BTreeSet<u16> {
        &self.open
    }

    /// The gaps that are over, by partition.
    pub(crate) const fn closed(&self) -> &BTreeMap<u16, Duration> {
        &self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_write_that_began_after_the_death_ends_a_gap() {
        let killed = Instant::now();
        let at = |ms| killed + Duration::from_millis(ms);
        let mut gaps = Gaps::new(killed, at(5), &[1, 2]);
        gaps.acknowledged(1, at(4), at(20));
        gaps.acknowledged(9, at(6), at(20));
        assert!(gaps.closed().is_empty(), "answered by the dead, and of another node");
        gaps.acknowledged(1, at(5), at(700));
        gaps.acknowledged(1, at(701), at(702));
        assert_eq!(gaps.closed().get(&1), Some(&Duration::from_millis(700)));
        assert_eq!(gaps.open().iter().copied().collect::<Vec<_>>(), [2]);
        gaps.acknowledged(2, at(30), at(900));
        assert!(gaps.open().is_empty());
    }
}
