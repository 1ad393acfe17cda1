//! Coarse timers: thousands of jobs are looked at again later, and most of them end before.
//!
//! Setting a timer is one push and taking it back costs nothing: the owner remembers the tick of
//! its newest timer and ignores the others when they come due. Times are monotonic milliseconds.

use super::jobs::JobKey;

/// How exact a timer is, in milliseconds; it never comes early.
pub(super) const TICK_MS: u64 = 16;
/// Timers further away than these many ticks (8 s) come due then, and are set again by the owner.
const TICKS: u64 = 512;

/// Timers by tick.
#[derive(Debug)]
pub(super) struct Wheel {
    buckets: Vec<Vec<JobKey>>,
    /// Every tick up to and including this one has been taken.
    taken: u64,
    /// No timer is set for a tick before this one.
    earliest: u64,
    timers: usize,
}

impl Default for Wheel {
    fn default() -> Self {
        Self { buckets: vec![Vec::new(); TICKS as usize], taken: 0, earliest: 0, timers: 0 }
    }
}

impl Wheel {
    /// Sets a timer and returns the tick at which it comes due, at or soon after `due_ms`.
    pub(super) fn set(&mut self, now_ms: u64, due_ms: u64, key: JobKey) -> u64 {
        if self.timers == 0 {
            self.taken = self.taken.max(now_ms / TICK_MS);
        }
        let tick = due_ms.div_ceil(TICK_MS).clamp(self.taken + 1, self.taken + TICKS - 1);
        self.earliest = if self.timers == 0 { tick } else { self.earliest.min(tick) };
        self.buckets[(tick % TICKS) as usize].push(key);
        self.timers += 1;
        tick
    }

    /// Takes all timers that are due, each with its tick.
    pub(super) fn take_due(&mut self, now_ms: u64, due: &mut Vec<(u64, JobKey)>) {
        let now = now_ms / TICK_MS;
        if self.timers == 0 || now < self.earliest {
            return;
        }
        // Every timer lies within TICKS of `taken`, so one turn of the wheel sees all.
        let last = now.min(self.taken + TICKS - 1);
        for tick in self.earliest..=last {
            let bucket = &mut self.buckets[(tick % TICKS) as usize];
            self.timers -= bucket.len();
            due.extend(bucket.drain(..).map(|key| (tick, key)));
        }
        self.taken = now;
        self.earliest = self.first_from(last + 1);
    }

    fn first_from(&self, tick: u64) -> u64 {
        (tick..tick + TICKS)
            .find(|tick| !self.buckets[(tick % TICKS) as usize].is_empty())
            .unwrap_or(tick)
    }

    /// When the first timer comes due.
    pub(super) fn next_ms(&self) -> Option<u64> {
        (self.timers > 0).then_some(self.earliest * TICK_MS)
    }

    /// How many timers are set, those that were overtaken included.
    pub(super) const fn len(&self) -> usize {
        self.timers
    }

    /// Drops the timers that were overtaken, to bound how many lie here; `newest` is the tick of
    /// a key's newest timer.
    pub(super) fn sweep(&mut self, newest: impl Fn(JobKey) -> Option<u64>) {
        for (at, bucket) in self.buckets.iter_mut().enumerate() {
            let taken = self.taken;
            bucket.retain(|key| {
                newest(*key).is_some_and(|tick| tick % TICKS == at as u64 && tick > taken)
            });
        }
        self.timers = self.buckets.iter().map(Vec::len).sum();
        self.earliest = self.first_from(self.taken + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotmap::SlotMap;

    fn keys(count: usize) -> Vec<JobKey> {
        let mut map = SlotMap::<JobKey, ()>::with_key();
        (0..count).map(|_| map.insert(())).collect()
    }

    #[test]
    fn timers_come_due_in_time_and_never_early() {
        let key = keys(1)[0];
        for (now, wait) in [(0, 1), (5, 16), (1_000_000, 4_500), (77, 8_000)] {
            let mut wheel = Wheel::default();
            let tick = wheel.set(now, now + wait, key);
            let mut due = Vec::new();
            wheel.take_due(now + wait - 1, &mut due);
            assert_eq!(due, []);
            assert!(wheel.next_ms().unwrap() <= now + wait + 2 * TICK_MS);
            wheel.take_due(now + wait + TICK_MS, &mut due);
            assert_eq!(due, [(tick, key)]);
            assert_eq!((wheel.len(), wheel.next_ms()), (0, None));
        }
    }

    #[test]
    fn far_timers_come_early_to_be_set_again_and_none_is_lost() {
        let keys = keys(1000);
        let mut wheel = Wheel::default();
        for (n, key) in keys.iter().enumerate() {
            wheel.set(0, n as u64 * 100, *key);
        }
        let mut due = Vec::new();
        let mut seen = 0;
        while let Some(next) = wheel.next_ms() {
            assert!(next <= TICKS * TICK_MS);
            wheel.take_due(next, &mut due);
            seen += due.len();
            due.clear();
        }
        assert_eq!(seen, 1000);
    }

    #[test]
    fn a_long_pause_takes_everything_once() {
        let keys = keys(100);
        let mut wheel = Wheel::default();
        for (n, key) in keys.iter().enumerate() {
            wheel.set(0, n as u64 * 80, *key);
        }
        let mut due = Vec::new();
        wheel.take_due(10_000_000, &mut due);
        assert_eq!(due.len(), 100);
        let tick = wheel.set(10_000_000, 10_000_020, keys[0]);
        assert_eq!(wheel.next_ms(), Some(tick * TICK_MS));
        assert!(tick * TICK_MS <= 10_000_020 + TICK_MS);
    }

    #[test]
    fn a_sweep_drops_what_was_overtaken_and_nothing_else() {
        let keys = keys(3);
        let mut wheel = Wheel::default();
        let early = wheel.set(0, 100, keys[0]);
        let late = wheel.set(0, 2_000, keys[0]);
        let other = wheel.set(0, 3_000, keys[1]);
        wheel.set(0, 500, keys[2]);
        wheel.sweep(|key| match key {
            key if key == keys[0] => Some(late),
            key if key == keys[1] => Some(other),
            _ => None,
        });
        assert_eq!((wheel.len(), wheel.next_ms()), (2, Some(late * TICK_MS)));
        assert!(early < late);
    }
}
