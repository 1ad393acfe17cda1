//! What is old may be forgotten: now and then the state is told up to when.

use super::Node;
use crate::state::Forget;
use catena_protocol::Timestamp;
use catena_protocol::clock::Now;

/// Time between two moments at which the state is told.
const EVERY_US: u64 = 1_000_000;

/// When the state is told next, in monotonic microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention(u64);

impl Retention {
    /// Nothing is forgotten before the node has begun.
    pub(super) const fn new() -> Self {
        Self(u64::MAX)
    }

    pub(super) const fn start(&mut self, now: Now) {
        self.0 = now.mono_us + EVERY_US;
    }

    pub(super) const fn deadline_us(self) -> u64 {
        self.0
    }
}

impl<C> Node<C> {
    /// The oldest time that can be read. Never falls.
    pub(super) fn horizon(&mut self, now: Now) -> Timestamp {
        let kept = self.clock.read(now.wall_us).minus_ms(self.settings.retention_ms);
        self.horizon = self.horizon.max(kept);
        self.horizon
    }

    /// Adds to what the state is told next, if it is time.
    pub(super) fn retain(&mut self, now: Now) {
        if now.mono_us < self.retention.0 {
            return;
        }
        self.retention.start(now);
        self.tell_horizon(now);
    }

    /// Adds to what the state is told next.
    pub(super) fn tell_horizon(&mut self, now: Now) {
        let present = self.clock.read(now.wall_us);
        let forget = Forget {
            versions: self.horizon(now),
            requests: present.minus_ms(self.settings.request_memory_ms),
            outcomes: present,
        };
        self.gathered.changes.forget = Some(forget);
        self.gathered.added(now);
    }
}
