//! A frame is durable, a log is committed further.

use super::append::Frame;
use super::pending::TxnStep;
use super::{Bug, Effect, Node};
use crate::state::{State, StateError};
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
                if !partition.has_given_up()
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
            partition.mark.newest = partition.mark.newest.max(draft.version());
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
        self.gathered.bytes += partition.pending.commit(number, index, &mut self.gathered.changes);
        self.gathered.touched.insert(number);
        self.gathered.added(self.now);
        partition.voters.settle(index);
        partition.intents.settle(index);
        partition.unsettled.settle(index);
        self.committed.insert(number);
    }

    /// Answers who waited for what was committed in this turn.
    pub(super) fn conclude_turn<S: State>(
        &mut self,
        now: Now,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        while !self.committed.is_empty() {
            for number in std::mem::take(&mut self.committed) {
                let partition = &mut self.partitions[usize::from(number)];
                let ready = partition.held.until(partition.pending.committed_index());
                self.answer_waiting(now, ready, state, out)?;
            }
        }
        Ok(())
    }

    pub(super) fn set_deadline(&mut self, now: Now) {
        let early = self
            .early
            .first_key_value()
            .map(|(version, _)| now.mono_us + version.0.saturating_sub(now.wall_us).max(EARLY_US));
        let elections = self.partitions.iter().filter_map(|partition| partition.due_us());
        let beat = Some(self.beat_us);
        let retention = Some(self.retention.deadline_us());
        let tend = (self.tend_us != u64::MAX).then_some(self.tend_us);
        self.deadline_us = [early, retention, self.apply_deadline_us(now), beat, tend]
            .into_iter()
            .flatten()
            .chain(elections)
            .min();
    }
}
