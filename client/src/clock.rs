//! The one place of this library that reads clocks.

use catena_protocol::clock::Now;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A monotonic clock that starts when it is made, beside the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Both times.
    pub(crate) fn now(&self) -> Now {
        Now { wall_us: wall_us(), mono_us: micros(self.start.elapsed()) }
    }

    /// Monotonic microseconds after `wait` from now.
    pub(crate) fn after(&self, wait: Duration) -> u64 {
        micros(self.start.elapsed()).saturating_add(micros(wait))
    }

    /// The moment of a monotonic time.
    pub(crate) fn at(&self, mono_us: u64) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.start + Duration::from_micros(mono_us))
    }
}

/// Microseconds since the Unix epoch.
pub(crate) fn wall_us() -> u64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
