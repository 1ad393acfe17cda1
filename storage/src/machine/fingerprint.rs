//! What a node will do, as text: for those who go through all orders of events and must know
//! when they come to the same place twice.
//!
//! Left out is what only counts or spreads in time: chance, the numbers of beats, the look of the
//! retention, the next deadline (it follows from the rest), and since when others are heard of.
//! So it says nothing of leases, of hand-overs in time and of what is forgotten.

use super::Node;
use super::partition::Partition;
use std::fmt::{Debug, Result, Write};

impl<C: Debug> Node<C> {
    /// Writes everything that decides what this node will do, except for what the module leaves
    /// out. Times are the monotonic ones that it was told.
    ///
    /// # Errors
    /// If `out` takes no more.
    pub fn fingerprint(&self, out: &mut impl Write) -> Result {
        // All fields are named, so that a new one has to be thought about.
        let Self {
            settings,
            clock,
            now: _,
            chance: _,
            horizon,
            partitions,
            hosted: _,
            sets: _,
            others,
            frames,
            encoded: _,
            beats: _,
            beat_us,
            beat_soon,
            committed,
            gathered,
            applying,
            early,
            held,
            pending_bytes,
            retention: _,
            deadline_us: _,
            sure,
            resumed: _,
            leaders,
            outgoing,
            unblocked,
            spreading,
            next_txn,
            tend_us,
            retiring,
        } = self;
        write!(out, "{} {clock:?} {horizon:?} {frames:?}", settings.boot)?;
        write!(out, "{beat_us} {beat_soon} {committed:?} {gathered:?} {applying:?}")?;
        write!(out, "{early:?} {held} {pending_bytes} {sure} {retiring}")?;
        write!(out, "{leaders:?} {outgoing:?} {unblocked:?} {spreading:?} {next_txn} {tend_us}")?;
        // Before a first process there was none that would be ignored.
        for (member, seen) in others.iter().filter(|(_, seen)| seen.boot > 1) {
            write!(out, " {member:?} {}", seen.boot)?;
        }
        partitions.iter().try_for_each(|partition| partition.fingerprint(out))
    }
}

impl<C: Debug> Partition<C> {
    fn fingerprint(&self, out: &mut impl Write) -> Result {
        let Self {
            number,
            places: _,
            set: _,
            epoch,
            voted,
            role,
            heard_us,
            tail,
            synced,
            logged: _,
            ahead: _,
            stale: _,
            mark,
            applied,
            ceiling,
            pending,
            voters,
            closed,
            held,
            patched,
            intents,
            unsettled,
            coordinations,
            lines,
            queued,
            ends,
            marks,
            copying,
            pins,
        } = self;
        write!(
            out,
            "{number} {epoch} {voted:?} {role:?} {heard_us} {synced} {mark:?} {applied:?}"
        )?;
        // The chained hash says what the log holds.
        write!(out, "{:?} {:?} {:x}", tail.base(), tail.last(), tail.hash())?;
        write!(out, "{ceiling:?} {} {:?}", pending.committed_index(), pending.first_index())?;
        write!(
            out,
            "{patched} {intents:?} {unsettled:?} {coordinations:?} {lines:?} {queued:?} {ends:?} {marks:?}"
        )?;
        write!(out, "{voters:?} {closed:?} {held:?} {copying:?} {pins:?}")
    }
}
