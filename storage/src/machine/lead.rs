//! What a primary does besides deciding: it counts acknowledgements, knows how long its lease
//! holds, and hands over to whoever should lead.

use super::role::{Following, Leading, Progress, Role};
use super::settings::{CLOSE_BEHIND_US, LEASE_US, PROMISE_US};
use super::waiting::Unsure;
use super::{Bug, Effect, Node};
use crate::state::{State, StateError};
use catena_protocol::Timestamp;
use catena_protocol::clock::Now;
use catena_protocol::message::gossip::{Acked, Line, Round, Run};
use catena_protocol::message::replicate::Position;
use catena_protocol::message::store::Request;
use catena_protocol::placement::Member;
use std::collections::VecDeque;

/// When which beat was sent. Older ones than the lease are of no use.
#[derive(Clone, Debug, Default)]
pub(super) struct Beats {
    last: u64,
    sent: VecDeque<(u64, u64)>,
}

impl Beats {
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// The number of a message that is sent now.
    pub(super) fn next(&mut self, now: Now) -> u64 {
        self.last += 1;
        self.sent.push_back((self.last, now.mono_us));
        while self.sent.front().is_some_and(|(_, at)| at + 2 * LEASE_US < now.mono_us) {
            self.sent.pop_front();
        }
        self.last
    }

    fn sent_us(&self, beat: u64) -> Option<u64> {
        let at = self.sent.partition_point(|(sent, _)| *sent < beat);
        self.sent.get(at).filter(|(sent, _)| *sent == beat).map(|(_, at)| *at)
    }
}

/// How long after its start, or after it came to lead, a primary hands over at the earliest.
const TENURE_US: u64 = 2_000_000;
/// Whoever lacks no more records than this is ready to take over.
const ALMOST: u64 = 1_000;
/// Most partitions that are handed over in one beat.
pub(super) const YIELDS: usize = 8;

impl Leading {
    /// The value that more than half of the voters have reached, where `own` counts for `me`.
    fn reached(
        &self,
        voters: &[Member],
        me: &Member,
        own: u64,
        of: impl Fn(&Progress) -> u64,
    ) -> u64 {
        let mut values: Vec<u64> = voters
            .iter()
            .map(|voter| if voter == me { own } else { self.peers.get(voter).map_or(0, &of) })
            .collect();
        values.sort_unstable_by(|a, b| b.cmp(a));
        values.get(voters.len() / 2).copied().unwrap_or(0)
    }
}

impl<C> Node<C> {
    /// A replica says how far it follows.
    pub(super) fn acknowledged<S: State>(
        &mut self,
        now: Now,
        from: &Member,
        beat: u64,
        acked: Acked,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let number = acked.partition;
        let Some(partition) = self.partitions.get_mut(usize::from(number)) else { return Ok(()) };
        let Role::Primary(leading) = &mut partition.role else { return Ok(()) };
        if acked.epoch > partition.epoch {
            self.follow(now, number, acked.epoch, None, out);
            return Ok(());
        }
        if acked.epoch < partition.epoch {
            return Ok(());
        }
        let progress = leading.peers.entry(from.clone()).or_insert(Progress {
            index: 0,
            empty: true,
            beat: 0,
            heard_us: 0,
        });
        let further = acked.index > progress.index;
        progress.index = progress.index.max(acked.index);
        progress.empty = acked.index == 0;
        progress.beat = progress.beat.max(beat);
        progress.heard_us = now.mono_us;
        if further {
            self.advance(number);
        }
        self.settle_unsure(now, number, state, out)
    }

    /// Commits what a majority has, if it is of this epoch.
    pub(super) fn advance(&mut self, number: u16) {
        let me = &self.settings.me;
        let partition = &self.partitions[usize::from(number)];
        let Role::Primary(leading) = &partition.role else { return };
        let voters = partition.voters.now();
        let index = leading.reached(voters, me, partition.synced, |progress| progress.index);
        let of_this_epoch =
            partition.tail.position(index).is_some_and(|at| at.epoch == partition.epoch);
        if of_this_epoch || (self.has(Bug::CommitOldEpochs) && index > 0) {
            // The state never has what the own log could still lose.
            self.commit_to(number, index.min(partition.synced));
        }
    }

    /// When a majority was last heard of, itself included.
    pub(super) fn quorum_heard_us(&self, now: Now, number: u16) -> u64 {
        let partition = &self.partitions[usize::from(number)];
        let Role::Primary(leading) = &partition.role else { return 0 };
        let voters = partition.voters.now();
        let heard = leading.reached(voters, &self.settings.me, now.mono_us, |p| p.heard_us);
        heard.max(leading.since_us)
    }

    /// The last beat that a majority has heard.
    fn quorum_beat(&self, number: u16) -> u64 {
        let partition = &self.partitions[usize::from(number)];
        let Role::Primary(leading) = &partition.role else { return 0 };
        let voters = partition.voters.now();
        leading.reached(voters, &self.settings.me, u64::MAX, |progress| progress.beat)
    }

    /// Whether nobody else can lead at this moment.
    pub(super) fn has_lease(&self, now: Now, number: u16) -> bool {
        if self.has(Bug::NoLease) {
            return true;
        }
        if self.has(Bug::LeaseFromReceipt) {
            return now.mono_us < self.quorum_heard_us(now, number) + LEASE_US;
        }
        match self.quorum_beat(number) {
            u64::MAX => true,
            beat => self.beats.sent_us(beat).is_some_and(|at| now.mono_us < at + LEASE_US),
        }
    }

    /// Keeps a read until it is certain who leads.
    pub(super) fn hold_unsure(&mut self, number: u16, strict: bool, caller: C, request: Request) {
        let beat = strict.then(|| {
            self.beat_soon = true;
            self.beats.last() + 1
        });
        self.held += 1;
        let held = &mut self.partitions[usize::from(number)].held;
        held.unsure.push(Unsure { beat, caller, request });
    }

    /// A majority was heard of: looks again at what waited for that.
    fn settle_unsure<S: State>(
        &mut self,
        now: Now,
        number: u16,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        if self.partitions[usize::from(number)].held.unsure.is_empty() {
            return Ok(());
        }
        let heard = self.quorum_beat(number);
        let lease = self.has_lease(now, number);
        let held = &mut self.partitions[usize::from(number)].held;
        let sure = |unsure: &mut Unsure<C>| unsure.beat.map_or(lease, |beat| beat <= heard);
        let ready: Vec<_> = held.unsure.extract_if(.., sure).collect();
        self.held -= ready.len();
        for Unsure { beat, caller, request } in ready {
            self.sure = beat.is_some();
            let done = self.request(now, caller, request, state, out);
            self.sure = false;
            done?;
        }
        Ok(())
    }

    /// Whether a request that depends on who leads may be evaluated now.
    pub(super) fn is_sure(&self, now: Now, number: u16, strict: bool) -> bool {
        self.sure || (!strict && self.has_lease(now, number))
    }

    /// Nothing commits any more at or below what this returns, except what is committed.
    pub(super) fn close(&mut self, now: Now, number: u16) -> Timestamp {
        let careless = self.has(Bug::CloseInFlight);
        let boundless = self.has(Bug::CloseAboveCeiling);
        let passes_intents = self.has(Bug::ClosePastIntents);
        let partition = &mut self.partitions[usize::from(number)];
        let Role::Primary(leading) = &partition.role else { return partition.closed };
        if partition.pending.committed_index() < leading.began {
            return partition.closed;
        }
        let present = self.clock.read(now.wall_us).0.saturating_sub(CLOSE_BEHIND_US);
        let present = Timestamp(present);
        let intents = partition.intents.lowest().filter(|_| !passes_intents);
        let open = [partition.pending.first_undecided(), intents].into_iter().flatten().min();
        let below = open.map_or(Timestamp::MAX, |version| Timestamp(version.0.saturating_sub(1)));
        let below = if careless { Timestamp::MAX } else { below };
        let granted = if boundless { Timestamp::MAX } else { partition.ceiling.granted() };
        let closed = granted.min(present).min(below);
        self.clock.reach(closed);
        partition.closed = partition.closed.max(closed);
        partition.closed
    }

    /// Hands the partition over to the node that should lead it, if that one is ready.
    pub(super) fn hand_over(&mut self, now: Now, number: u16, out: &mut Vec<Effect<C>>) -> bool {
        let me = &self.settings.me;
        let partition = &self.partitions[usize::from(number)];
        let Role::Primary(leading) = &partition.role else { return false };
        if now.mono_us < leading.since_us + TENURE_US {
            return false;
        }
        let voters = partition.voters.now();
        let before_me = partition.places.iter().take_while(|node| **node != me.node);
        let last = partition.tail.last().index;
        let ready = |member: &&Member| {
            leading.peers.get(*member).is_some_and(|progress| {
                let follows = !progress.empty && progress.index + ALMOST >= last;
                follows && now.mono_us < progress.heard_us + PROMISE_US / 2
            }) && self.is_settled(now, member)
        };
        let next = before_me
            .filter_map(|node| voters.iter().find(|voter| voter.node == *node))
            .find(ready);
        let Some(next) = next.cloned() else { return false };
        self.yield_to(now, number, next, out);
        true
    }

    /// Gives the partition up for `next`, who is elected without waiting.
    fn yield_to(&mut self, now: Now, number: u16, next: Member, out: &mut Vec<Effect<C>>) {
        // What it has must be on its way before it stops sending.
        self.close_frame(now, out);
        let partition = &self.partitions[usize::from(number)];
        let (epoch, last) = (partition.epoch, partition.tail.last());
        let line = Line::Yield { partition: number, epoch, last };
        out.push(Effect::Send { to: next.node, line });
        // It must not serve in this epoch again: others help the next one at once.
        self.follow(now, number, epoch, None, out);
    }

    /// This node ends: whoever is ready takes over what it leads.
    pub fn retire(&mut self, now: Now, out: &mut Vec<Effect<C>>) {
        self.retiring = true;
        for number in 0..self.settings.partitions {
            let partition = &self.partitions[usize::from(number)];
            let Role::Primary(leading) = &partition.role else { continue };
            let voters = partition.voters.now();
            let best = leading.peers.iter().filter(|(member, progress)| {
                voters.contains(member)
                    && !progress.empty
                    && now.mono_us < progress.heard_us + PROMISE_US
            });
            let Some((next, _)) = best.max_by_key(|(_, progress)| progress.index) else { continue };
            self.yield_to(now, number, next.clone(), out);
        }
    }

    /// Somebody yielded to this node.
    pub(super) fn yielded<S: State>(
        &mut self,
        now: Now,
        number: u16,
        epoch: u64,
        last: Position,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let retiring = self.retiring;
        let Some(partition) = self.partitions.get_mut(usize::from(number)) else { return Ok(()) };
        if let Role::Follower(following) = &mut partition.role
            && partition.epoch == epoch
            && !retiring
        {
            following.heir = Some(last);
            return self.succeed(now, number, state, out);
        }
        Ok(())
    }

    /// Takes over what was yielded, as soon as its log is here.
    pub(super) fn succeed<S: State>(
        &mut self,
        now: Now,
        number: u16,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let partition = &self.partitions[usize::from(number)];
        let Role::Follower(Following { heir: Some(last), .. }) = &partition.role else {
            return Ok(());
        };
        if partition.tail.last() < *last {
            return Ok(());
        }
        self.campaign(now, number, Round::Succession, state, out)
    }

    /// Somebody lacks something of the log.
    pub(super) fn fetched(
        &mut self,
        now: Now,
        from: &Member,
        (number, epoch, after): (u16, u64, u64),
        out: &mut Vec<Effect<C>>,
    ) {
        let Some(partition) = self.partitions.get(usize::from(number)) else { return };
        if !matches!(partition.role, Role::Primary(_)) || partition.epoch != epoch {
            return;
        }
        let last = partition.tail.last().index;
        let line = match partition.tail.position(after) {
            Some(before) => Line::Fetched(self.run_behind(now, number, before, last)),
            None if after > last => return,
            None => Line::Gone { partition: number, epoch, base: partition.tail.base() },
        };
        out.push(Effect::Send { to: from.node.clone(), line });
    }

    /// What of the log comes behind a position, as much as fits into one message.
    fn run_behind(&mut self, now: Now, number: u16, before: Position, last: u64) -> Run {
        let closed = self.close(now, number);
        let partition = &self.partitions[usize::from(number)];
        Run {
            partition: number,
            epoch: partition.epoch,
            before,
            hash: partition.tail.hash_at(before.index).unwrap_or_default(),
            commit: partition.pending.committed_index(),
            closed,
            records: partition.tail.records(before.index, last, self.settings.message_bytes),
        }
    }
}
