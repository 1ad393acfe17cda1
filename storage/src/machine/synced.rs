//! A frame is durable, a log is committed further, a batch is in the state.

use super::append::Frame;
use super::pending::TxnStep;
use super::{Bug, Effect, Node};
use crate::state::{Changes, Mark, State, StateError};
use catena_protocol::clock::Now;

/// The wall clock is looked at again after this at the earliest: it may stand still.
const EARLY_US: u64 = 100;

impl<C> Node<C> {
    /// Everything up to `frame` is durable here.
    pub(super) fn synced(&mut self, frame: u64, out: &mut Vec<Effect<C>>) {
        while self.frames.sent.front().is_some_and(|sent| sent.number <= frame) {
            let Some(sent) = self.frames.sent.pop_front() else { break };
            let mut acks = sent.acks;
            for (number, touched) in sent.touched {
                let careless = self.has(Bug::SyncedByIndex);
                let partition = &mut self.partitions[usize::from(number)];
                // Since then the end may have been cut off, or given up for a copy.
                let known = partition.tail.position(touched.last);
                if partition.copying.is_none()
                    && known.is_some_and(|position| careless || position.epoch == touched.epoch)
                {
                    partition.synced = partition.synced.max(touched.last);
                }
                if self.is_follower(number) {
                    self.follow_commit(number);
                    acks.insert(number);
                } else {
                    self.advance(number);
                }
            }
            self.tell_synced(acks, sent.lines, out);
        }
    }

    /// Takes what is only on its way to the disk for durable.
    pub(super) fn count_unsynced(&mut self, frame: &Frame, out: &mut Vec<Effect<C>>) {
        for (number, touched) in &frame.touched {
            let partition = &mut self.partitions[usize::from(*number)];
            partition.synced = partition.synced.max(touched.last);
            self.advance(*number);
        }
        self.tell_synced(frame.acks.iter().copied(), Vec::new(), out);
    }

    /// The log of a partition is committed up to `index`: the state may have it, and who waited
    /// for it is answered at the end of the turn.
    pub(super) fn commit_to(&mut self, number: u16, index: u64) {
        let partition = &mut self.partitions[usize::from(number)];
        let before = partition.pending.committed_index();
        if before >= index {
            return;
        }
        for draft in partition.pending.between(before, index) {
            partition.mark.applied.epoch = draft.epoch;
            partition.mark.newest = partition.mark.newest.max(draft.version);
            if let Some(ceiling) = draft.ceiling {
                partition.ceiling.grant(ceiling);
                partition.mark.ceiling = partition.mark.ceiling.max(ceiling);
            }
            for step in &draft.txns {
                match step {
                    TxnStep::Unsettled(unsettled) => {
                        self.spreading.push_back((number, unsettled.txn));
                    }
                    TxnStep::Resolve { txn, .. } => self.unblocked.push_back((number, *txn)),
                    TxnStep::Intent(_) | TxnStep::Settled(_) => {}
                }
            }
            if let Some(voters) = &draft.voters {
                partition.mark.voters = Some(voters.clone());
            }
        }
        partition.mark.applied.index = index;
        partition.mark.hash = partition.tail.hash_at(index).unwrap_or_default();
        partition.pending.commit(number, index, &mut self.changes);
        partition.voters.settle(index);
        partition.intents.settle(index);
        partition.unsettled.settle(index);
        self.committed.insert(number);
    }

    /// Hands the changes of this turn to the state and answers who waited for them.
    pub(super) fn conclude_turn<S: State>(
        &mut self,
        now: Now,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        while !self.committed.is_empty() {
            let committed = std::mem::take(&mut self.committed);
            let marks: Vec<(u16, Mark)> = committed
                .iter()
                .map(|number| (*number, self.partitions[usize::from(*number)].mark.clone()))
                .collect();
            let mut changes = std::mem::take(&mut self.changes);
            changes.marks.clone_from(&marks);
            self.apply(changes, marks, false, out);
            for number in committed {
                let partition = &mut self.partitions[usize::from(number)];
                let ready = partition.held.until(partition.pending.committed_index());
                self.answer_waiting(now, ready, state, out)?;
            }
        }
        Ok(())
    }

    /// Hands out changes of the state.
    pub(super) fn apply(
        &mut self,
        changes: Changes,
        marks: Vec<(u16, Mark)>,
        durable: bool,
        out: &mut Vec<Effect<C>>,
    ) {
        self.next_batch += 1;
        self.applying.push_back((self.next_batch, marks));
        out.push(Effect::Apply { batch: self.next_batch, changes, durable });
    }

    /// The state contains all batches up to this one.
    pub(super) fn applied<S: State>(
        &mut self,
        now: Now,
        batch: u64,
        state: &S,
    ) -> Result<(), StateError> {
        let most = self.settings.tail_bytes / self.hosted.max(1);
        while self.applying.front().is_some_and(|(number, _)| *number <= batch) {
            let Some((batch, marks)) = self.applying.pop_front() else { break };
            for (number, mark) in marks {
                if self.ends_copy(number, batch) {
                    self.copy_ends(number, state)?;
                    continue;
                }
                let partition = &mut self.partitions[usize::from(number)];
                if partition.copying.is_some() {
                    continue;
                }
                let freed = partition.pending.applied(mark.applied.index);
                self.pending_bytes = self.pending_bytes.saturating_sub(freed);
                partition.applied = mark;
                let until = partition.may_shorten(now);
                partition.tail.shorten(until, most);
            }
            self.retention.applied(batch);
        }
        Ok(())
    }

    pub(super) fn set_deadline(&mut self, now: Now) {
        let early = self
            .early
            .first_key_value()
            .map(|(version, _)| now.mono_us + version.0.saturating_sub(now.wall_us).max(EARLY_US));
        let elections = self.partitions.iter().filter_map(|partition| partition.due_us());
        let beat = (self.settings.founders.len() > 1).then_some(self.beat_us);
        let tend = (self.tend_us != u64::MAX).then_some(self.tend_us);
        self.deadline_us = [early, self.retention.deadline_us(), beat, tend]
            .into_iter()
            .flatten()
            .chain(elections)
            .min();
    }
}
