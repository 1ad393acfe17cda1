//! The one place that looks at a clock.

use catena_protocol::clock::Now;
use tokio::time::Instant;

/// Real time, as the rules are told it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let mono_us = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { wall_us: catena_service::wall_us(), mono_us }
    }

    /// The instant of a monotonic time.
    pub(crate) fn at(&self, mono_us: u64) -> Instant {
        self.start + std::time::Duration::from_micros(mono_us)
    }
}
