//! What is committed gathers here and goes to the state in large batches.
//!
//! The state is a file of sorted tables: few large changes cost it far less than many small ones.
//! Until a batch is there, the records are kept in memory (`pending.rs`), where reads look first,
//! and in the log, which is replayed after a crash.

use super::{Bug, Effect, Node};
use crate::state::{Changes, Mark, State, StateError};
use catena_protocol::clock::Now;
use std::collections::{BTreeSet, VecDeque};

/// Records that one turn strikes off when the state has them: many at once would hold up others.
const STRUCK_OFF: usize = 2_048;

/// Further pieces of a copy are asked for when so many batches are before the last one at most.
const MOST_BATCHES: u64 = 4;
/// What others need behind copies that they take makes the log in memory at most so many times as
/// long as its share. Whoever is slower than that begins anew.
const MOST_PINNED: usize = 4;
/// Updates that are kept in one piece: a longer list would be copied as it grows.
const PIECE: usize = 1_024;

/// What the state will be given next.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    /// In order, full ones.
    pieces: Vec<Changes>,
    pub(super) changes: Changes,
    /// Partitions that get further with it.
    pub(super) touched: BTreeSet<u16>,
    pub(super) bytes: usize,
    /// When the first of it came, in monotonic microseconds.
    since_us: Option<u64>,
}

impl Gathered {
    /// Something has been added.
    pub(super) fn added(&mut self, now: Now) {
        self.since_us.get_or_insert(now.mono_us);
        if self.changes.updates.len() >= PIECE {
            self.pieces.push(std::mem::take(&mut self.changes));
        }
    }
}

/// Batches on their way into the state.
#[derive(Clone, Debug, Default)]
pub(super) struct Applying {
    last: u64,
    /// Oldest first.
    batches: VecDeque<Batch>,
    /// The last that the state has.
    done: u64,
    /// Bytes of those that it has not.
    bytes: usize,
}

/// What the state is given at once.
#[derive(Clone, Debug)]
struct Batch {
    number: u64,
    /// How far it brings which partitions.
    marks: Vec<(u16, Mark)>,
    bytes: usize,
}

impl Applying {
    /// The number of the next batch.
    pub(super) const fn next(&self) -> u64 {
        self.last + 1
    }

    /// Whether what goes into `batch` is near its turn, so that more of the same may be fetched.
    pub(super) const fn is_near(&self, batch: u64) -> bool {
        batch <= self.done + MOST_BATCHES
    }

    /// Whether records have to be struck off.
    fn is_behind(&self) -> bool {
        self.batches.front().is_some_and(|batch| batch.number <= self.done)
    }

    fn begin(&mut self, marks: Vec<(u16, Mark)>, bytes: usize) -> u64 {
        self.last += 1;
        self.bytes += bytes;
        self.batches.push_back(Batch { number: self.last, marks, bytes });
        self.last
    }

    fn end(&mut self, number: u64) {
        let ended = |batch: &&Batch| self.done < batch.number && batch.number <= number;
        self.bytes -= self.batches.iter().filter(ended).map(|batch| batch.bytes).sum::<usize>();
        self.done = self.done.max(number);
    }
}

impl<C> Node<C> {
    /// Hands out what has gathered, if it is much or has waited long.
    pub(super) fn apply_in_turn(&mut self, now: Now, out: &mut Vec<Effect<C>>) {
        let much = self.gathered.bytes >= self.settings.apply_bytes;
        let due = self.apply_due_us().is_some_and(|due| due <= now.mono_us);
        if due || (much && self.gathered.since_us.is_some()) {
            self.apply_gathered(out);
        }
    }

    fn apply_due_us(&self) -> Option<u64> {
        let since_us = self.gathered.since_us?;
        Some(since_us.saturating_add(self.settings.apply_ms.saturating_mul(1_000)))
    }

    /// Hands out what has gathered.
    pub fn apply_gathered(&mut self, out: &mut Vec<Effect<C>>) {
        let gathered = std::mem::take(&mut self.gathered);
        let Gathered { mut pieces, mut changes, touched, bytes, since_us } = gathered;
        if since_us.is_none() {
            return;
        }
        let marks: Vec<(u16, Mark)> = touched
            .iter()
            .map(|number| (*number, self.partitions[usize::from(*number)].mark.clone()))
            .collect();
        changes.marks.clone_from(&marks);
        pieces.push(changes);
        let batch = self.applying.begin(marks, bytes);
        out.push(Effect::Apply { batch, changes: pieces });
    }

    /// Whether this node's disk has so much to take in, as log or as state, that what others decide
    /// must wait. A primary counts all that it keeps; a follower must count only what its own disk is
    /// to blame for: the rest may wait for just the record that it would refuse.
    pub(super) fn is_overdue(&self) -> bool {
        let most = self.settings.pending_bytes;
        let much = self.applying.bytes >= most || self.frames.unsynced() >= most;
        much && !self.has(Bug::TakeWithoutEnd)
    }

    /// Whether the state has all that it was given.
    pub(super) const fn is_idle(&self) -> bool {
        self.applying.last == self.applying.done
    }

    /// Adds a piece of a copied state, behind what has gathered.
    pub(super) fn gather_piece(&mut self, now: Now, changes: Changes) {
        let before = std::mem::take(&mut self.gathered.changes);
        self.gathered.pieces.extend([before, changes]);
        self.gathered.bytes += self.settings.message_bytes;
        self.gathered.added(now);
    }

    /// The state has all batches up to this one.
    pub(super) fn applied(&mut self, batch: u64) {
        self.applying.end(batch);
    }

    /// Strikes off some of what the state has.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub(super) fn strike_off<S: State>(&mut self, now: Now, state: &S) -> Result<(), StateError> {
        let mut most = STRUCK_OFF;
        while most > 0
            && self.applying.is_behind()
            && let Some(Batch { number: batch, marks, .. }) = self.applying.batches.front_mut()
        {
            let batch = *batch;
            let Some((number, mark)) = marks.last().cloned() else {
                self.applying.batches.pop_front();
                continue;
            };
            if self.ends_copy(number, batch) {
                self.copy_ends(number, state)?;
            } else if !self.strike_off_in(now, number, mark, &mut most) {
                return Ok(());
            }
            if let Some(batch) = self.applying.batches.front_mut() {
                batch.marks.pop();
            }
        }
        Ok(())
    }

    /// Strikes off what a partition has up to `mark`. False: there is more.
    fn strike_off_in(&mut self, now: Now, number: u16, mark: Mark, most: &mut usize) -> bool {
        let share = self.settings.tail_bytes / self.hosted.max(1);
        let partition = &mut self.partitions[usize::from(number)];
        if partition.copying.is_some() {
            return true;
        }
        let index = mark.applied.index;
        partition.applied = mark;
        let freed = partition.pending.applied(index, most);
        self.pending_bytes = self.pending_bytes.saturating_sub(freed);
        if partition.pending.first_index().is_some_and(|first| first <= index) {
            return false;
        }
        let until = partition.may_shorten(now);
        partition.tail.shorten(until, share);
        partition.tail.shorten(index, share.saturating_mul(MOST_PINNED));
        true
    }

    /// When something is to be done here without being asked.
    pub(super) fn apply_deadline_us(&self, now: Now) -> Option<u64> {
        if self.applying.is_behind() { Some(now.mono_us) } else { self.apply_due_us() }
    }
}
