//! A frame is durable: its records are committed, and those who wait are answered.

use super::append::Waiting;
use super::{Effect, Node};
use crate::state::{Changes, State, StateError};
use catena_protocol::Timestamp;
use catena_protocol::clock::Now;
use catena_protocol::message::store::Response;

impl<C> Node<C> {
    pub(super) fn synced<S: State>(
        &mut self,
        now: Now,
        frame: u64,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let mut last = Vec::new();
        let mut waiting = Vec::new();
        let mut reached = 0;
        while self.frames.sent.front().is_some_and(|sent| sent.number <= frame) {
            let Some(sent) = self.frames.sent.pop_front() else { break };
            reached = sent.number;
            last.extend(sent.last);
            waiting.push(sent.waiting);
        }
        if !last.is_empty() {
            self.committed(reached, last, out);
        }
        for waiting in waiting.into_iter().flatten() {
            self.held -= 1;
            match waiting {
                Waiting::Answer(to, response, version) => {
                    self.answer(now, to, response, version, out);
                }
                Waiting::Request(from, request) => {
                    self.make_room(out);
                    self.request(now, from, request, state, out)?;
                }
            }
        }
        Ok(())
    }

    /// The partitions are committed up to the given indexes: the state may have it.
    pub(super) fn committed(
        &mut self,
        frame: u64,
        last: Vec<(u16, u64)>,
        out: &mut Vec<Effect<C>>,
    ) {
        let mut changes = Changes::default();
        for (number, index) in &last {
            let partition = &mut self.partitions[usize::from(*number)];
            let before = partition.pending.committed_index();
            if before >= *index {
                continue;
            }
            for draft in partition.pending.between(before, *index) {
                partition.mark.epoch = draft.epoch;
                partition.mark.newest = partition.mark.newest.max(draft.version);
                if let Some(ceiling) = draft.ceiling {
                    partition.ceiling.grant(ceiling);
                    partition.mark.ceiling = partition.mark.ceiling.max(ceiling);
                }
            }
            partition.mark.applied = *index;
            partition.pending.commit(*number, *index, &mut changes);
        }
        for (number, _) in &last {
            let mark = self.partitions[usize::from(*number)].mark;
            if changes.marks.iter().all(|(of, _)| of != number) {
                changes.marks.push((*number, mark));
            }
        }
        self.apply(frame, changes, last, out);
    }

    /// Hands out changes of the state.
    pub(super) fn apply(
        &mut self,
        frame: u64,
        changes: Changes,
        last: Vec<(u16, u64)>,
        out: &mut Vec<Effect<C>>,
    ) {
        self.next_batch += 1;
        self.applying.push_back((self.next_batch, last));
        out.push(Effect::Apply { batch: self.next_batch, frame, changes });
    }

    /// The state contains all batches up to this one.
    pub(super) fn applied(&mut self, batch: u64) {
        while self.applying.front().is_some_and(|(number, _)| *number <= batch) {
            let Some((number, last)) = self.applying.pop_front() else { break };
            for (partition, index) in last {
                let freed = self.partitions[usize::from(partition)].pending.applied(index);
                self.pending_bytes = self.pending_bytes.saturating_sub(freed);
            }
            self.retention.applied(number);
        }
    }

    pub(super) fn answer(
        &mut self,
        now: Now,
        to: C,
        response: Response,
        version: Timestamp,
        out: &mut Vec<Effect<C>>,
    ) {
        if version.0 <= now.wall_us {
            out.push(Effect::Reply { to, response });
        } else {
            self.held += 1;
            self.early.entry(version).or_default().push((to, response));
        }
    }

    /// Gives the answers whose version the wall clock has reached.
    pub(super) fn release_early(&mut self, now: Now, out: &mut Vec<Effect<C>>) {
        while let Some(entry) = self.early.first_entry() {
            if entry.key().0 > now.wall_us {
                return;
            }
            for (to, response) in entry.remove() {
                self.held -= 1;
                out.push(Effect::Reply { to, response });
            }
        }
    }

    pub(super) fn set_deadline(&mut self, now: Now) {
        let early = self
            .early
            .first_key_value()
            .map(|(version, _)| now.mono_us + version.0.saturating_sub(now.wall_us));
        self.deadline_us = [early, self.retention.deadline_us()].into_iter().flatten().min();
    }
}
