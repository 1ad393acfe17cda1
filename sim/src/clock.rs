//! What time a process believes it is.

use catena_protocol::clock::Now;

/// Real time begins some day in 2026.
const START_US: u64 = 1_790_000_000_000_000;

/// The clocks of one machine.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// Difference of the wall clock from real time.
    pub(crate) offset_us: i64,
    /// The wall clock stands still since.
    pub(crate) stopped_us: Option<u64>,
    /// The monotonic clock runs faster by so many millionths.
    pub(crate) drift_ppm: i64,
}

impl Clock {
    /// Both times at real time `at_us`, for a process that began at `since_us`.
    pub(crate) fn now(&self, at_us: u64, since_us: u64) -> Now {
        let wall_us = self.wall_us(self.stopped_us.unwrap_or(at_us));
        let elapsed = i64::try_from(at_us - since_us).unwrap_or(i64::MAX);
        let mono = elapsed
            + elapsed / 1_000_000 * self.drift_ppm
            + elapsed % 1_000_000 * self.drift_ppm / 1_000_000;
        Now { wall_us, mono_us: u64::try_from(mono).unwrap_or(0) }
    }

    fn wall_us(&self, at_us: u64) -> u64 {
        (START_US + at_us).saturating_add_signed(self.offset_us)
    }

    /// Real time at which the monotonic clock will show `mono_us`, or shortly after.
    pub(crate) fn at(&self, at_us: u64, since_us: u64, mono_us: u64) -> u64 {
        let left = mono_us.saturating_sub(self.now(at_us, since_us).mono_us);
        let slower = u64::try_from(self.drift_ppm.abs()).unwrap_or(0);
        at_us + left + (left * slower).div_ceil(1_000_000 - slower) + 2
    }
}

/// A clock that is right.
pub(crate) const fn right(at_us: u64) -> Now {
    Now { wall_us: START_US + at_us, mono_us: at_us }
}
