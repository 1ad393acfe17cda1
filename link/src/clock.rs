//! The one place that reads clocks on behalf of the machines.

use catena_protocol::clock::Now;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Real time, as machines are told it: a monotonic clock that starts when it is made, beside the
/// wall clock.
///
/// The monotonic one goes on while the machine is suspended: a lease must not outlive that.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start_us: u64,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    pub fn start() -> Self {
        Self { start_us: since_boot_us() }
    }

    /// Both times.
    pub fn now(&self) -> Now {
        Now { wall_us: wall_us(), mono_us: self.mono_us() }
    }

    fn mono_us(&self) -> u64 {
        since_boot_us().saturating_sub(self.start_us)
    }

    /// Monotonic microseconds after `wait` from now.
    pub fn after(&self, wait: Duration) -> u64 {
        self.mono_us().saturating_add(micros(wait))
    }

    /// The moment of a monotonic time.
    pub fn at(&self, mono_us: u64) -> tokio::time::Instant {
        let wait = mono_us.saturating_sub(self.mono_us());
        tokio::time::Instant::now() + Duration::from_micros(wait)
    }
}

#[cfg(target_os = "linux")]
fn since_boot_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000 + nanos / 1_000
}

/// Elsewhere as well as it goes: since the process first asked.
#[cfg(not(target_os = "linux"))]
fn since_boot_us() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    micros(START.get_or_init(std::time::Instant::now).elapsed())
}

/// Wall time in microseconds since the Unix epoch.
pub fn wall_us() -> u64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
