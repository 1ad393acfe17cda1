//! The time that the machine is told.

use catena_protocol::clock::Now;
use catena_service::wall_us;
use std::time::{Duration, Instant};

/// Reads both clocks.
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
        Now { wall_us: wall_us(), mono_us }
    }

    /// The moment at which monotonic time is `mono_us`.
    pub(crate) fn at(&self, mono_us: u64) -> Instant {
        self.start + Duration::from_micros(mono_us)
    }
}
