//! What a follower does: it takes in what the primary says, asks for what it lacks, and says how
//! far it has got.
//!
//! Two logs with the same position hold the same up to there. So a piece of log is taken in where
//! its beginning is known; where not, the follower asks for everything behind the last record
//! that is certain. What stands here otherwise is cut off, never below what is committed.

use super::role::Role;
use super::{Bug, Effect, Node};
use crate::state::{State, StateError};
use catena_protocol::Timestamp;
use catena_protocol::clock::Now;
use catena_protocol::codec::{Raw, decode};
use catena_protocol::message::gossip::{Acked, Line, Run, Sender};
use catena_protocol::message::replicate::{LogRecord, Position};
use catena_protocol::placement::Member;

/// The same thing is asked for again after this.
const FETCH_AGAIN_US: u64 = 100_000;

/// What became of a piece of log.
enum Taken {
    /// It fits, or there was nothing to take.
    Fits,
    /// Something before it is missing, or there is no room for it.
    Gap,
}

impl<C> Node<C> {
    /// A primary says what is in its log.
    pub(super) fn take_run<S: State>(
        &mut self,
        now: Now,
        from: &Sender,
        run: Run,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<Option<Acked>, StateError> {
        let number = run.partition;
        let Some(partition) = self.partitions.get(usize::from(number)) else { return Ok(None) };
        if matches!(partition.role, Role::Absent | Role::Halted(_)) {
            return Ok(None);
        }
        if run.epoch < partition.epoch && !self.has(Bug::NoFencing) {
            // Whoever still believes to lead must hear that it does not.
            return Ok(Some(Acked { partition: number, epoch: partition.epoch, index: 0 }));
        }
        if !self.accept(now, number, run.epoch, from, out) {
            return Ok(None);
        }
        if self.partitions[usize::from(number)].copying.is_some() {
            self.go_on_copying(now, number, out);
            return Ok(Some(Acked { partition: number, epoch: run.epoch, index: 0 }));
        }
        let careless = self.has(Bug::CloseWithoutCommit);
        let end = run.before.index + run.records.len() as u64;
        let (commit, closed) = (run.commit, run.closed);
        let overdue = self.is_overdue();
        let taken = match overdue && !run.records.is_empty() {
            // It is fetched when there is room again.
            true => Taken::Gap,
            false => self.take_records(number, run, state, out)?,
        };
        let partition = &mut self.partitions[usize::from(number)];
        let Role::Follower(following) = &mut partition.role else { return Ok(None) };
        following.target = following.target.max(end).max(commit);
        if matches!(taken, Taken::Fits) {
            following.matched = following.matched.max(end);
        }
        following.commit = following.commit.max(commit);
        if closed > following.closing.1 {
            following.closing = (if careless { 0 } else { commit }, closed);
        }
        let lacks = matches!(taken, Taken::Gap) || following.matched < following.target;
        self.follow_commit(number);
        if lacks && !overdue {
            self.fetch(now, number, out);
        }
        self.succeed(now, number, state, out)?;
        let partition = &self.partitions[usize::from(number)];
        let Role::Follower(following) = &partition.role else { return Ok(None) };
        let index = following.matched.min(partition.synced);
        Ok(Some(Acked { partition: number, epoch: partition.epoch, index }))
    }

    /// Commits what the primary has committed, as far as it is here, durably; closes what it has
    /// closed with that.
    pub(super) fn follow_commit(&mut self, number: u16) {
        let partition = &self.partitions[usize::from(number)];
        let Role::Follower(following) = &partition.role else { return };
        if partition.copying.is_some() {
            // The log that is matched is given up for the copy.
            return;
        }
        let index = following.matched.min(following.commit).min(partition.synced);
        let (needs, closed) = following.closing;
        self.commit_to(number, index);
        let partition = &mut self.partitions[usize::from(number)];
        if partition.pending.committed_index() >= needs {
            partition.closed = partition.closed.max(closed);
        }
    }

    /// Follows the primary of `epoch`, which is not lower than what is known here. Returns false
    /// if that cannot be.
    fn accept(
        &mut self,
        now: Now,
        number: u16,
        epoch: u64,
        from: &Sender,
        out: &mut Vec<Effect<C>>,
    ) -> bool {
        let partition = &self.partitions[usize::from(number)];
        let known = match &partition.role {
            Role::Follower(following) => following.primary.as_ref() == Some(&from.member),
            Role::Primary(_) if epoch == partition.epoch => {
                let why =
                    format!("two primaries in epoch {epoch}: this one and {}", from.member.node);
                self.halt(number, why, out);
                return false;
            }
            _ => false,
        };
        if !known || epoch > partition.epoch {
            if self.has(Bug::TruncateToCommit) {
                self.truncate(
                    number,
                    self.partitions[usize::from(number)].pending.committed_index(),
                );
            }
            self.follow(now, number, epoch, Some(from.member.clone()), out);
            self.partitions[usize::from(number)].copying_again();
        }
        let due_us = self.election_due(now, number);
        let partition = &mut self.partitions[usize::from(number)];
        partition.heard_us = now.mono_us;
        if let Role::Follower(following) = &mut partition.role {
            following.due_us = due_us;
            following.beat = following.beat.max((from.boot, from.beat));
        }
        true
    }

    fn take_records<S: State>(
        &mut self,
        number: u16,
        run: Run,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<Taken, StateError> {
        if let Some(why) = self.differs(number, run.before, run.hash) {
            self.halt(number, why, out);
            return Ok(Taken::Fits);
        }
        if !self.is_known(number, run.before) {
            return Ok(Taken::Gap);
        }
        let mut index = run.before.index;
        for raw in run.records {
            index += 1;
            match self.take_record(number, index, raw, state)? {
                Ok(()) => {}
                Err(why) => {
                    self.halt(number, why, out);
                    return Ok(Taken::Fits);
                }
            }
        }
        Ok(Taken::Fits)
    }

    /// Whether the log here has this position, so that it is the same up to there.
    pub(super) fn is_known(&self, number: u16, position: Position) -> bool {
        let partition = &self.partitions[usize::from(number)];
        let here = partition.tail.position(position.index);
        position.index <= partition.pending.committed_index()
            || here == Some(position)
            || (self.has(Bug::PositionByIndex) && here.is_some())
    }

    /// What is wrong if the log here has this position with another hash, or something else
    /// committed in its place.
    fn differs(&self, number: u16, position: Position, hash: u64) -> Option<String> {
        let partition = &self.partitions[usize::from(number)];
        let here = partition.tail.position(position.index)?;
        let committed = position.index <= partition.pending.committed_index();
        if here != position {
            return committed.then(|| {
                format!(
                    "record {} is committed here in epoch {} and stands in the primary's log in \
                     epoch {}",
                    position.index, here.epoch, position.epoch
                )
            });
        }
        let own = partition.tail.hash_at(position.index)?;
        (own != hash).then(|| {
            format!("the log up to record {} is not the primary's: hashes differ", position.index)
        })
    }

    /// Takes one record in. The inner error is one that must stop this replica.
    fn take_record<S: State>(
        &mut self,
        number: u16,
        index: u64,
        raw: Raw,
        state: &S,
    ) -> Result<Result<(), String>, StateError> {
        let record: LogRecord = match decode(&raw.0) {
            Ok(record) => record,
            Err(error) => return Ok(Err(format!("record {index} cannot be read: {error}"))),
        };
        if record.partition != number || record.index != index {
            let found = format!("record {} of partition {}", record.index, record.partition);
            return Ok(Err(format!("{found} came in place of record {index}")));
        }
        let partition = &self.partitions[usize::from(number)];
        if index <= partition.pending.committed_index() {
            return Ok(Ok(()));
        }
        match partition.tail.position(index) {
            Some(here) if here.epoch == record.epoch => return Ok(Ok(())),
            Some(_) => self.truncate(number, index - 1),
            None => {}
        }
        self.adopt(&record, &raw.0, state).map(|taken| taken.map_err(|error| error.to_string()))
    }

    /// Cuts off what another primary decided otherwise.
    fn truncate(&mut self, number: u16, index: u64) {
        let partition = &mut self.partitions[usize::from(number)];
        debug_assert!(index >= partition.pending.committed_index(), "committed records stay");
        partition.tail.truncate(index);
        partition.synced = partition.synced.min(index);
        partition.voters.truncate(index);
        partition.truncate_txns(index);
        let freed = partition.pending.truncate(index);
        self.pending_bytes = self.pending_bytes.saturating_sub(freed);
    }

    /// Asks the primary for what comes behind the last record that is certainly the same.
    pub(super) fn fetch(&mut self, now: Now, number: u16, out: &mut Vec<Effect<C>>) {
        let partition = &mut self.partitions[usize::from(number)];
        let epoch = partition.epoch;
        let last = partition.tail.last();
        let committed = partition.pending.committed_index();
        let Role::Follower(following) = &mut partition.role else { return };
        let Some(primary) = following.primary.clone() else { return };
        if now.mono_us < following.fetch_us {
            return;
        }
        following.fetch_us = now.mono_us + FETCH_AGAIN_US;
        // What the same primary sent is the same; what others sent only as far as it is committed.
        let after = if last.epoch == epoch { last.index } else { committed };
        let after = after.max(following.matched.min(last.index));
        let line = Line::Fetch { partition: number, epoch, after };
        out.push(Effect::Send { to: primary.node, line });
    }

    /// The log here is the primary's up to `index`, and that one still has what comes behind.
    pub(super) fn fetch_behind(
        &mut self,
        now: Now,
        number: u16,
        index: u64,
        out: &mut Vec<Effect<C>>,
    ) {
        let partition = &mut self.partitions[usize::from(number)];
        if let Role::Follower(following) = &mut partition.role {
            following.matched = following.matched.max(index);
            following.fetch_us = 0;
        }
        self.fetch(now, number, out);
    }

    /// What was fetched has come.
    pub(super) fn take_fetched<S: State>(
        &mut self,
        now: Now,
        from: &Sender,
        run: Run,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let number = run.partition;
        let Some(partition) = self.partitions.get_mut(usize::from(number)) else { return Ok(()) };
        let epoch = partition.epoch;
        let Role::Follower(following) = &mut partition.role else { return Ok(()) };
        if following.primary.as_ref() != Some(&from.member) || run.epoch != epoch {
            return Ok(());
        }
        following.fetch_us = 0;
        // A letter carries no beat; what was heard last stays.
        let sender = Sender { beat: following.beat.1, boot: following.beat.0, ..from.clone() };
        self.take_run(now, &sender, run, state, out)?;
        Ok(())
    }

    /// Notes down, for when the frame is durable, that the primary is to be told.
    pub(super) fn acknowledge(&self, number: u16) -> Option<(Member, u64, u64, Acked)> {
        let partition = &self.partitions[usize::from(number)];
        let Role::Follower(following) = &partition.role else { return None };
        let primary = following.primary.clone()?;
        let index = match partition.copying {
            Some(_) => 0,
            None => following.matched.min(partition.synced),
        };
        let acked = Acked { partition: number, epoch: partition.epoch, index };
        Some((primary, following.beat.0, following.beat.1, acked))
    }

    /// A read at a snapshot is answered here if nothing commits any more at or below it.
    pub(super) fn covers(&self, number: u16, snapshot: Timestamp) -> bool {
        let partition = &self.partitions[usize::from(number)];
        matches!(partition.role, Role::Follower(_) | Role::Candidate(_))
            && partition.copying.is_none()
            && (snapshot <= partition.closed || self.has(Bug::ReadUnclosed))
    }

    pub(super) fn is_follower(&self, number: u16) -> bool {
        matches!(self.partitions[usize::from(number)].role, Role::Follower(_))
    }
}
