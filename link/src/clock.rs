//! The one place that reads clocks on behalf of the machines.

use catena_protocol::clock::Now;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Real time, as machines are told it: a monotonic clock that starts when it is made, beside the
/// wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Both times.
    pub fn now(&self) -> Now {
        Now { wall_us: wall_us(), mono_us: micros(self.start.elapsed()) }
    }

    /// Monotonic microseconds after `wait` from now.
    pub fn after(&self, wait: Duration) -> u64 {
        micros(self.start.elapsed()).saturating_add(micros(wait))
    }

    /// The moment of a monotonic time.
    pub fn at(&self, mono_us: u64) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.start + Duration::from_micros(mono_us))
    }
}

/// Wall time in microseconds since the Unix epoch.
pub fn wall_us() -> u64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
