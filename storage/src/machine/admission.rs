//! Whether there is room for a request, and whether this node's time can be used for it.

use super::Node;
use catena_protocol::clock::Now;
use catena_protocol::limit::CLOCK_OFFSET_US;
use catena_protocol::message::store::Tell;
use catena_protocol::{Code, Fault, Timestamp};

/// How far versions may run ahead of the wall clock before writes are refused: twice what a
/// foreign clock may push them, plus a ceiling after a restart.
const AHEAD_US: u64 = 2 * CLOCK_OFFSET_US + 250_000;

impl<C> Node<C> {
    /// Room for one more request that waits.
    pub(super) fn admit_wait(&self) -> Result<(), Tell> {
        if self.held < self.settings.held {
            return Ok(());
        }
        Err(busy(format!("{} requests are waiting for the disk", self.held)))
    }

    /// Room for a request that appends, and a version that can be acknowledged soon.
    pub(super) fn admit_write(&self, now: Now) -> Result<(), Tell> {
        self.admit_wait()?;
        if self.pending_bytes >= self.settings.pending_bytes {
            let bytes = self.pending_bytes;
            return Err(busy(format!("{bytes} bytes are on their way into the store")));
        }
        let ahead_us = self.clock.read(0).0.saturating_sub(now.wall_us);
        if ahead_us > AHEAD_US {
            return Err(Tell::Fault(Fault::new(
                Code::Unavailable,
                format!(
                    "the clock of this storage node is {ahead_us} us behind versions that it gave \
                     out: it was set back; nothing was changed; correct the clock or wait"
                ),
            )));
        }
        Ok(())
    }

    /// Makes sure that no later commit is at or below `snapshot`, and that all of it is kept.
    pub(super) fn open_snapshot(&mut self, now: Now, snapshot: Timestamp) -> Result<(), Tell> {
        // Measured against the wall clock alone: else a sequence of timestamps, each a little
        // ahead of the last, would pull this clock along without end.
        let ahead_us = snapshot.0.saturating_sub(now.wall_us);
        if ahead_us > CLOCK_OFFSET_US {
            return Err(Tell::Fault(Fault::bad_request(format_args!(
                "snapshot {snapshot} is {ahead_us} us ahead of this node's clock, more than the \
                 allowed {CLOCK_OFFSET_US} us; nothing was done; compare the clocks of the machines"
            ))));
        }
        let horizon = self.horizon(now);
        if snapshot < horizon {
            return Err(Tell::SnapshotTooOld { horizon });
        }
        self.clock.observe(snapshot, now.wall_us).map_err(|error| {
            Tell::Fault(Fault::bad_request(format_args!("{error}; nothing was done")))
        })
    }
}

fn busy(why: String) -> Tell {
    let message = format!("{why}, no more are taken; nothing was changed; try again later");
    Tell::Fault(Fault::new(Code::TooBusy, message))
}
