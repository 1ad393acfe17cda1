//! Timestamps and the hybrid logical clock that makes them.
//!
//! A timestamp counts microseconds since the Unix epoch. The clock follows physical time and
//! never repeats or goes back: when physical time stands still it counts up by one. This is the
//! hybrid logical clock of Kulkarni et al. (2014) with the logical part folded into the low end
//! of the physical one, so that a version fits into 53 bits, is exact in JSON and can be read as
//! a time. Knows nothing of real clocks: physical time is an argument.

use crate::limit::CLOCK_OFFSET_US;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A point in hybrid time, in microseconds since the Unix epoch; also the version of a record.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    Serialize,
    Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Timestamp(#[n(0)] pub u64);

impl Timestamp {
    /// Before everything: the version of a record that never existed.
    pub const ZERO: Self = Self(0);
    /// After everything.
    pub const MAX: Self = Self(u64::MAX);

    /// The timestamp that follows directly.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// This timestamp moved forward by milliseconds.
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1000)))
    }

    /// This timestamp moved back by milliseconds.
    pub const fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms.saturating_mul(1000)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The time that a machine is told with each input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Physical wall time in microseconds since the Unix epoch; may jump.
    pub wall_us: u64,
    /// Monotonic time in microseconds since an arbitrary start; for timeouts only.
    pub mono_us: u64,
}

impl Now {
    /// Monotonic time in whole milliseconds.
    pub const fn mono_ms(self) -> u64 {
        self.mono_us / 1000
    }
}

/// A timestamp from outside lies too far in the future to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "timestamp {remote} is {ahead_us} us ahead of this node's clock, more than the allowed {CLOCK_OFFSET_US} us"
)]
pub struct ClockAhead {
    /// What was received.
    pub remote: Timestamp,
    /// How far it is ahead of physical time.
    pub ahead_us: u64,
}

/// A hybrid logical clock.
#[derive(Clone, Debug, Default)]
pub struct HybridClock {
    last: Timestamp,
}

impl HybridClock {
    /// A clock that has already reached `at_least`.
    pub const fn starting_at(at_least: Timestamp) -> Self {
        Self { last: at_least }
    }

    /// A new timestamp, larger than every one that this clock gave or observed.
    pub fn tick(&mut self, wall_us: u64) -> Timestamp {
        self.last = Timestamp(wall_us.max(self.last.0 + 1));
        self.last
    }

    /// Later ticks are above `at`, which comes from this node's own log.
    pub fn reach(&mut self, at: Timestamp) {
        self.last = self.last.max(at);
    }

    /// The present, without using up a timestamp.
    pub fn read(&self, wall_us: u64) -> Timestamp {
        Timestamp(wall_us.max(self.last.0))
    }

    /// Takes note of a foreign timestamp, so that later ticks are above it.
    ///
    /// # Errors
    /// [`ClockAhead`] when it is further ahead of `wall_us` than the allowed offset; the clock
    /// is then unchanged.
    pub fn observe(&mut self, remote: Timestamp, wall_us: u64) -> Result<(), ClockAhead> {
        if remote <= self.last {
            return Ok(());
        }
        // Measured against real time, not against `last`: else a row of timestamps, each a little
        // ahead, could pull the clock along without end.
        let ahead_us = remote.0.saturating_sub(wall_us);
        if ahead_us > CLOCK_OFFSET_US {
            return Err(ClockAhead { remote, ahead_us });
        }
        self.last = remote;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_grow_when_time_stands_still_or_goes_back() {
        let mut clock = HybridClock::default();
        let first = clock.tick(100);
        assert!(clock.tick(100) > first);
        assert!(clock.tick(50) > first.next());
        assert_eq!(clock.tick(1_000), Timestamp(1_000));
    }

    #[test]
    fn a_far_future_is_refused_and_changes_nothing() {
        let mut clock = HybridClock::default();
        assert!(clock.observe(Timestamp(10 + CLOCK_OFFSET_US), 10).is_ok());
        let before = clock.read(0);
        assert!(clock.observe(Timestamp(11 + 2 * CLOCK_OFFSET_US), 10).is_err());
        assert_eq!(clock.read(0), before);
    }

    #[test]
    fn small_steps_cannot_pull_the_clock_along() {
        let mut clock = HybridClock::default();
        assert!(clock.observe(Timestamp(CLOCK_OFFSET_US), 0).is_ok());
        assert!(clock.observe(Timestamp(CLOCK_OFFSET_US + 1), 0).is_err());
        assert!(clock.observe(Timestamp(CLOCK_OFFSET_US), 0).is_ok());
    }
}
