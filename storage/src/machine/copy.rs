//! A replica that missed more than the log still has takes a copy of the state over.
//!
//! ```text
//! follower --Fetch--> primary      what comes behind record 50?
//!          <--Gone---              that is not in the log any more
//!          --Copy---> primary      piece after piece, each asked for again until it is there
//!          <--Piece--              the state as of at least record 900; the log behind 900 stays
//! ```
//!
//! What was here before is cleared first: a copy is never merged with something older, or what
//! was forgotten elsewhere would come back. The pieces may hold more than the state at the mark,
//! never less; what is more comes again with the log and is the same. What is forgotten here while
//! pieces are still to come takes along what these have of the same record. The copy counts once it
//! is durable as a whole. Until then the replica stands for nothing but the promise not to help a
//! log that is behind what the others have.

use super::role::Role;
use super::tail::Tail;
use super::{Bug, Effect, Event, Node};
use crate::state::{Changes, Mark, State, StateError};
use catena_protocol::clock::Now;
use catena_protocol::message::gossip::{Item, Line, Piece};
use catena_protocol::message::replicate::Position;
use catena_protocol::placement::Member;
use catena_protocol::{Blob, Key, Timestamp};
use std::collections::BTreeMap;

/// The same piece is asked for again after this.
const PIECE_AGAIN_US: u64 = 200_000;
/// The log behind a copy stays for so long after the last piece was asked for, unless that makes it
/// far longer than it should be.
const PIN_US: u64 = 10_000_000;

/// A copy that is being taken over.
#[derive(Clone, Debug)]
pub(super) struct Copying {
    /// What was here when it began: for voting.
    pub(super) floor: Position,
    /// What was here before is gone already.
    begun: bool,
    /// Which piece comes next.
    next: Option<Blob>,
    /// With which version of which record the last piece ended.
    last: Option<(Key, Timestamp)>,
    /// What the copy stands for, once the first piece has come.
    mark: Option<Mark>,
    /// The batch that has the latest piece.
    batch: u64,
    /// The batch with which the last piece becomes durable, once that has come.
    ends: Option<u64>,
    ask_us: u64,
}

impl Copying {
    pub(super) const fn new(floor: Position, begun: bool) -> Self {
        Self { floor, begun, next: None, last: None, mark: None, batch: 0, ends: None, ask_us: 0 }
    }
}

impl Copying {
    /// A piece may go on with older versions of the record with which the last one ended. If that
    /// version lies at or before the horizon, it has superseded them; and if it said that the
    /// record is gone, it may have been forgotten since: they would come back to life.
    fn without_superseded(&mut self, mut items: Vec<Item>, horizon: Timestamp) -> Vec<Item> {
        let before = match items.last() {
            Some(Item::Row(key, version, _)) => self.last.replace((key.clone(), *version)),
            _ => self.last.take(),
        };
        if let Some((record, version)) = before
            && version <= horizon
        {
            items.retain(|item| !matches!(item, Item::Row(key, ..) if *key == record));
        }
        items
    }
}

/// Copies that others take from here: what they stand for, and until when the log behind that
/// stays.
pub(super) type Pins = BTreeMap<Member, (Mark, u64)>;

impl<C> super::partition::Partition<C> {
    /// Another primary: a copy begins anew, for its pieces would not fit.
    pub(super) fn copying_again(&mut self) {
        if let Some(copying) = &mut self.copying
            && copying.ends.is_none()
        {
            copying.next = None;
            copying.last = None;
            copying.mark = None;
            copying.ask_us = 0;
        }
    }

    /// Whether a copy has taken the place of what was here.
    pub(super) fn has_given_up(&self) -> bool {
        self.copying.as_ref().is_some_and(|copying| copying.begun)
    }

    /// Up to which record the log may be shortened at `now`.
    pub(super) fn may_shorten(&self, now: Now) -> u64 {
        let applied = self.applied.applied.index;
        let pinned = self.pins.values().filter(|(_, until_us)| *until_us > now.mono_us);
        pinned.map(|(mark, _)| mark.applied.index).fold(applied, u64::min)
    }
}

impl<C> Node<C> {
    /// The log does not reach back far enough: takes a copy.
    pub(super) fn gone(
        &mut self,
        now: Now,
        from: &Member,
        (number, epoch, base): (u16, u64, Position),
        out: &mut Vec<Effect<C>>,
    ) {
        let Some(partition) = self.partitions.get_mut(usize::from(number)) else { return };
        if partition.primary() != Some(from) || partition.epoch != epoch {
            return;
        }
        if partition.copying.is_some() {
            partition.copying_again();
            return self.go_on_copying(now, number, out);
        }
        // It may be an old answer: since then the log may have come.
        if !partition.lacks() {
            return;
        }
        if self.is_known(number, base) {
            return self.fetch_behind(now, number, base.index, out);
        }
        let partition = &mut self.partitions[usize::from(number)];
        partition.copying = Some(Copying::new(partition.last(), false));
        out.push(Effect::Event(Event::Copies { partition: number }));
        self.go_on_copying(now, number, out);
    }

    /// Nothing that is here counts any more.
    fn give_up_state(&mut self, number: u16) {
        let partition = &mut self.partitions[usize::from(number)];
        partition.truncate_txns(0);
        let freed = partition.pending.truncate(0);
        self.pending_bytes = self.pending_bytes.saturating_sub(freed);
    }

    /// Asks for the next piece, if it is time.
    pub(super) fn go_on_copying(&mut self, now: Now, number: u16, out: &mut Vec<Effect<C>>) {
        let partition = &mut self.partitions[usize::from(number)];
        let epoch = partition.epoch;
        let Some(primary) = partition.primary().cloned() else { return };
        let Some(copying) = &mut partition.copying else { return };
        if copying.ends.is_some()
            || now.mono_us < copying.ask_us
            || !self.applying.is_near(copying.batch)
        {
            return;
        }
        copying.ask_us = now.mono_us + PIECE_AGAIN_US;
        let from = copying.next.clone();
        // The first piece would not have been taken had it not reached that far.
        let known = copying.begun.then_some(copying.floor);
        let line = Line::Copy { partition: number, epoch, from, known };
        out.push(Effect::Send { to: primary.node, line });
    }

    /// Somebody who has nothing any more knows what is committed. What is committed once stays so,
    /// whoever leads; of all primaries only this one may be left to tell others.
    pub(super) fn learn_committed(&mut self, number: u16, epoch: u64, known: Option<Position>) {
        let Some(partition) = self.partitions.get(usize::from(number)) else { return };
        let leads = partition.leads() && partition.epoch == epoch;
        if let Some(known) = known
            && leads
            && partition.tail.position(known.index) == Some(known)
        {
            self.commit_to(number, known.index);
        }
    }

    /// Somebody wants a piece, and perhaps stands for something already.
    pub(super) fn copied<S: State>(
        &mut self,
        now: Now,
        to: &Member,
        (number, epoch, from, known): (u16, u64, Option<Blob>, Option<Position>),
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let Some(partition) = self.partitions.get(usize::from(number)) else { return Ok(()) };
        if !matches!(partition.role, Role::Primary(_)) || partition.epoch != epoch {
            return Ok(());
        }
        let waits = self.has(Bug::CopyAwaitsState);
        if from.is_none() && self.gathered.touched.contains(&number) && self.is_idle() && !waits {
            // What is only in the log here may be what the other one stands for already: it would
            // wait for that until the state has it. It asks again, so a batch at a time will do.
            self.apply_gathered(out);
        }
        let partition = &mut self.partitions[usize::from(number)];
        if from.is_none() && known.is_some_and(|known| partition.applied.applied < known) {
            // It would not take it. It asks again.
            return Ok(());
        }
        let until_us = now.mono_us + PIN_US;
        partition.pins.retain(|_, (_, until_us)| *until_us > now.mono_us);
        let pinned = partition.pins.get(to).map(|(mark, _)| mark);
        let whole = |mark: &&Mark| partition.tail.position(mark.applied.index).is_some();
        let mark = match (pinned.filter(whole), &from) {
            (_, None) => partition.applied.clone(),
            (Some(mark), Some(_)) => mark.clone(),
            (None, Some(_)) => {
                // Without the log behind it a copy is of no use: it has to begin anew.
                let base = partition.tail.base();
                let line = Line::Gone { partition: number, epoch, base };
                out.push(Effect::Send { to: to.node.clone(), line });
                return Ok(());
            }
        };
        partition.pins.insert(to.clone(), (mark.clone(), until_us));
        let most = self.settings.message_bytes;
        let (items, next) = state.export(number, from.as_ref().map(Blob::as_ref), most)?;
        let horizon = self.horizon;
        let partition = &self.partitions[usize::from(number)];
        let commit = partition.pending.committed_index().max(partition.ahead);
        let piece = Piece { partition: number, epoch, from, next, mark, items, horizon, commit };
        out.push(Effect::Send { to: to.node.clone(), line: Line::Piece(piece) });
        Ok(())
    }

    /// A piece has come.
    pub(super) fn take_piece<S: State>(
        &mut self,
        now: Now,
        from: &Member,
        piece: Piece,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let number = piece.partition;
        let merges = self.has(Bug::MergeCopy);
        let forgets_less = self.has(Bug::CopyWithoutHorizon);
        let revives = self.has(Bug::CopyRevives);
        let early = self.has(Bug::CopyVouchedEarly);
        let Some(partition) = self.partitions.get_mut(usize::from(number)) else { return Ok(()) };
        if partition.primary() != Some(from) || partition.epoch != piece.epoch {
            return Ok(());
        }
        let Some(copying) = &mut partition.copying else { return Ok(()) };
        if copying.ends.is_some() || copying.next != piece.from {
            return Ok(());
        }
        if !forgets_less {
            self.horizon = self.horizon.max(piece.horizon);
        }
        let first = piece.from.is_none();
        if first && piece.mark.applied < copying.floor {
            // It would take away what this replica has vouched for: later there is a newer one.
            if !copying.begun {
                partition.copying = None;
            }
            return Ok(());
        }
        let mark = copying.mark.get_or_insert_with(|| piece.mark.clone()).clone();
        if mark != piece.mark {
            // Whoever gives it began anew: what came so far does not fit.
            partition.copying_again();
            self.go_on_copying(now, number, out);
            return Ok(());
        }
        partition.ahead = partition.ahead.max(piece.commit);
        copying.floor = copying.floor.max(mark.applied);
        copying.ask_us = 0;
        copying.begun = true;
        let ends = piece.next.is_none();
        copying.next = piece.next;
        let forgotten = if revives { Timestamp::ZERO } else { self.horizon };
        let items = copying.without_superseded(piece.items, forgotten);
        let floor = copying.floor;
        let clear = (first && !merges).then_some(number);
        let mut changes = Changes { clear, ..Changes::default() };
        changes.take(number, items);
        // Also with the last piece, which may be the first: a crash may come before the mark that
        // ends the copy, and what this replica vouched for must not be forgotten then.
        let begun = Mark { copying: true, floor, ..Mark::default() };
        changes.marks.push((number, begun));
        let ahead = Some(partition.ahead);
        let whole = ends.then(|| Mark { floor: mark.applied, ahead, ..mark });
        if let Some(whole) = whole.as_ref().filter(|_| early) {
            partition.mark = whole.clone();
        }
        if first {
            // What was committed before comes before the copy, and stands only for itself: a crash
            // may come between the two.
            self.apply_gathered(out);
            self.give_up_state(number);
        }
        let batch = self.applying.next();
        let partition = &mut self.partitions[usize::from(number)];
        if let Some(whole) = whole {
            partition.mark = whole;
        }
        if let Some(copying) = &mut partition.copying {
            copying.batch = batch;
        }
        self.gather_piece(now, changes);
        if ends {
            self.end_copy(now, number, state, out)?;
        }
        self.go_on_copying(now, number, out);
        Ok(())
    }

    /// The last piece is there: when the state has it, the copy counts.
    fn end_copy<S: State>(
        &mut self,
        now: Now,
        number: u16,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        if let Some(copying) = &mut self.partitions[usize::from(number)].copying {
            copying.ends = Some(self.applying.next());
        }
        self.gathered.touched.insert(number);
        // With the copy comes its horizon.
        self.tell_horizon(now);
        self.apply_gathered(out);
        if self.has(Bug::CopyNotDurable) {
            self.copy_ends(number, state)?;
        }
        Ok(())
    }

    /// The last piece is durable: the log goes on behind it.
    pub(super) fn copy_ends<S: State>(&mut self, number: u16, state: &S) -> Result<(), StateError> {
        let partition = &mut self.partitions[usize::from(number)];
        let mark = partition.mark.clone();
        partition.copying = None;
        partition.synced = mark.applied.index;
        partition.tail = Tail::new(mark.applied, mark.hash);
        partition.pending.restart(mark.applied.index);
        partition.voters.restart(mark.voters.clone());
        if let Role::Follower(following) = &mut partition.role {
            following.matched = mark.applied.index;
            following.fetch_us = 0;
        }
        partition.applied = mark;
        partition.load_txns(state)
    }

    /// Whether a copy is whole with this batch.
    pub(super) fn ends_copy(&self, number: u16, batch: u64) -> bool {
        let copying = self.partitions[usize::from(number)].copying.as_ref();
        copying.is_some_and(|copying| copying.ends == Some(batch))
    }
}
