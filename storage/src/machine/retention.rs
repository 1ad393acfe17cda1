//! What is old may be forgotten: now and then the state is told up to when.
//!
//! Old versions are kept as long as jobs may read at one snapshot: for the longest deadline of all
//! chains, as schedulers tell it, and a margin, and at least for the time that is set.

use super::Node;
use super::settings::Settings;
use crate::state::Forget;
use catena_protocol::Timestamp;
use catena_protocol::clock::Now;
use catena_protocol::limit::{DEADLINE_MAX_MS, RETENTION_MARGIN_MS};

/// Time between two moments at which the state is told.
const EVERY_US: u64 = 1_000_000;
/// After its start a node keeps what any chain may need until it has heard a scheduler, or for so
/// long.
const UNHEARD_US: u64 = 3_000_000;

/// What is kept for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    /// When the state is told next, in monotonic microseconds.
    next_us: u64,
    /// The longest deadline that was heard of, in milliseconds, and when, in monotonic
    /// microseconds.
    longest_ms: u64,
    heard_us: u64,
    began_us: u64,
}

impl Retention {
    /// Nothing is forgotten before the node has begun.
    pub(super) const fn new() -> Self {
        Self { next_us: u64::MAX, longest_ms: 0, heard_us: 0, began_us: 0 }
    }

    /// The node has begun.
    pub(super) const fn begin(&mut self, now: Now) {
        self.began_us = now.mono_us;
        self.next_us = now.mono_us + EVERY_US;
    }

    /// Whether schedulers may be there that have not been heard yet, with longer deadlines.
    const fn is_unheard(self, now: Now) -> bool {
        self.longest_ms == 0 && now.mono_us < self.began_us + UNHEARD_US
    }

    pub(super) const fn deadline_us(self) -> u64 {
        self.next_us
    }

    /// A scheduler tells the longest deadline that it knows. A shorter one counts when a job that
    /// began under the longer one has ended in any case.
    pub(super) fn heard(&mut self, now: Now, longest_ms: u64) {
        let longest_ms = longest_ms.min(DEADLINE_MAX_MS);
        let over_us = self.heard_us.saturating_add(self.longest_ms * 1_000);
        if longest_ms >= self.longest_ms || now.mono_us > over_us {
            self.longest_ms = longest_ms;
            self.heard_us = now.mono_us;
        }
    }

    /// How long old versions are kept, in milliseconds.
    fn keeps_ms(self, now: Now, settings: &Settings) -> u64 {
        let longest_ms = if self.is_unheard(now) { DEADLINE_MAX_MS } else { self.longest_ms };
        match longest_ms {
            0 => settings.retention_ms,
            longest_ms => settings.retention_ms.max(longest_ms + RETENTION_MARGIN_MS),
        }
    }
}

impl<C> Node<C> {
    /// The oldest time that can be read. Never falls.
    pub(super) fn horizon(&mut self, now: Now) -> Timestamp {
        let kept =
            self.clock.read(now.wall_us).minus_ms(self.retention.keeps_ms(now, &self.settings));
        self.horizon = self.horizon.max(kept);
        self.horizon
    }

    /// Adds to what the state is told next, if it is time.
    pub(super) fn retain(&mut self, now: Now) {
        if now.mono_us < self.retention.next_us {
            return;
        }
        self.retention.next_us = now.mono_us + EVERY_US;
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
