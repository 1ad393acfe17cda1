//! Timers of many requests, cheap to set and never removed: a timer that fires for a request
//! that is gone, or that has another one by now, is simply ignored by its owner.

use std::collections::BTreeMap;

/// Timers are rounded up to this many microseconds.
pub const TICK_US: u64 = 8_192;

/// Timers, by coarse time.
#[derive(Clone, Debug)]
pub struct Wheel<K> {
    ticks: BTreeMap<u64, Vec<K>>,
    count: usize,
}

impl<K> Default for Wheel<K> {
    fn default() -> Self {
        Self { ticks: BTreeMap::new(), count: 0 }
    }
}

impl<K> Wheel<K> {
    /// Fires `key` at `due_us` or at most a tick later.
    pub fn set(&mut self, due_us: u64, key: K) {
        self.ticks.entry(due_us.div_ceil(TICK_US)).or_default().push(key);
        self.count += 1;
    }

    /// When the next timer fires, in microseconds.
    pub fn next_us(&self) -> Option<u64> {
        self.ticks.first_key_value().map(|(tick, _)| tick * TICK_US)
    }

    /// The timers of one tick that has come, if there is one.
    pub fn take_due(&mut self, now_us: u64) -> Option<Vec<K>> {
        let first = self.ticks.first_entry()?;
        if *first.key() > now_us / TICK_US {
            return None;
        }
        let keys = first.remove();
        self.count -= keys.len();
        Some(keys)
    }

    /// How many timers are set, those of finished requests included.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no timer is set.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Forgets everything: the owner sets the timers that still matter again.
    pub fn clear(&mut self) {
        self.ticks.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_fires_early_or_more_than_a_tick_late() {
        let mut wheel = Wheel::default();
        wheel.set(20_000, 'b');
        wheel.set(1, 'a');
        assert_eq!(wheel.next_us(), Some(TICK_US));
        assert_eq!(wheel.take_due(TICK_US - 1), None);
        assert_eq!(wheel.take_due(TICK_US), Some(vec!['a']));
        assert_eq!(wheel.take_due(19_999), None);
        assert_eq!(wheel.take_due(20_000 + TICK_US), Some(vec!['b']));
        assert_eq!((wheel.next_us(), wheel.len()), (None, 0));
    }
}
