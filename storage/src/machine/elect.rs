//! Elections: who leads a partition when its primary is gone.
//!
//! Raft's rules (Ongaro and Ousterhout 2014; canvassing is the pre-vote of Ongaro's thesis,
//! section 9.6): one vote in each epoch, durable before it is given; only to a log that is at
//! least as far as one's own; nobody helps to depose a primary that it has heard of within the
//! promise, unless that primary has yielded itself.

use super::role::{Campaign, Leading, Role};
use super::settings::{PROMISE_US, QUORUM_US};
use super::{Bug, Effect, Event, Node};
use crate::state::{State, StateError};
use catena_protocol::Timestamp;
use catena_protocol::clock::Now;
use catena_protocol::message::gossip::{Candidacy, Line, Round};
use catena_protocol::message::replicate::{Decision, Vote};
use catena_protocol::placement::Member;
use std::collections::{BTreeMap, BTreeSet};

/// How long a candidate waits for answers that take no sync.
const CANVASS_US: u64 = 60_000;
/// How long a candidate waits for votes, which take one.
const VOTE_US: u64 = 300_000;
/// When an election was lost, the next one follows within this.
const AGAIN_US: u64 = 100_000;

impl<C> Node<C> {
    /// Follower or candidate: looks whether it is time for an election.
    pub(super) fn elect<S: State>(
        &mut self,
        now: Now,
        number: u16,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let partition = &self.partitions[usize::from(number)];
        let due = match &partition.role {
            Role::Follower(following) => following.due_us <= now.mono_us,
            Role::Candidate(campaign) => campaign.due_us <= now.mono_us,
            Role::Absent | Role::Primary(_) | Role::Halted(_) => false,
        };
        if !due {
            return Ok(());
        }
        let epoch = partition.epoch;
        if matches!(partition.role, Role::Candidate(_)) {
            self.follow(now, number, epoch, None, out);
            self.elect_soon(now, number);
            return Ok(());
        }
        if !self.may_lead(number) {
            // What is known of a primary stays: it may only be slow.
            let known = partition.primary().cloned();
            self.follow(now, number, epoch, known, out);
            return Ok(());
        }
        let hasty = self.has(Bug::UninvitedHeir);
        let round = if hasty { Round::Succession } else { Round::Canvass };
        self.campaign(now, number, round, state, out)
    }

    fn elect_soon(&mut self, now: Now, number: u16) {
        let soon_us = now.mono_us + AGAIN_US / 5 + self.chance.below(AGAIN_US);
        if let Role::Follower(following) = &mut self.partitions[usize::from(number)].role {
            following.due_us = soon_us;
        }
    }

    fn may_lead(&self, number: u16) -> bool {
        let partition = &self.partitions[usize::from(number)];
        partition.copying.is_none()
            && partition.voters.has(&self.settings.me, self.has(Bug::WipedVoter))
    }

    /// Asks everybody who has a vote.
    pub(super) fn campaign<S: State>(
        &mut self,
        now: Now,
        number: u16,
        round: Round,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        if !self.may_lead(number) {
            return Ok(());
        }
        let me = self.settings.me.clone();
        let patience = if round == Round::Canvass { CANVASS_US } else { VOTE_US };
        let due_us = now.mono_us + patience + self.chance.below(patience);
        let partition = &mut self.partitions[usize::from(number)];
        let epoch = partition.epoch + 1;
        let candidacy = Candidacy { partition: number, epoch, last: partition.last(), round };
        let voters: Vec<Member> = partition.voters.now().to_vec();
        let votes = BTreeSet::from([me.clone()]);
        partition.role = Role::Candidate(Campaign { round, epoch, votes, due_us });
        let others = voters.iter().filter(|voter| **voter != me).map(|voter| voter.node.clone());
        let asks: Vec<_> = others.map(|node| (node, Line::Ask(candidacy))).collect();
        if round == Round::Canvass {
            out.extend(asks.into_iter().map(|(to, line)| Effect::Send { to, line }));
        } else {
            partition.epoch = epoch;
            partition.voted = Some(me.clone());
            self.log_vote(Vote { partition: number, epoch, candidate: me });
            self.frames.open.lines.extend(asks);
            out.push(Effect::Event(Event::Campaigns { partition: number, epoch }));
        }
        self.count_votes(now, number, state, out)
    }

    /// Somebody wants to lead.
    pub(super) fn asked(
        &mut self,
        now: Now,
        from: &Member,
        candidacy: Candidacy,
        out: &mut Vec<Effect<C>>,
    ) {
        let number = candidacy.partition;
        let Some(partition) = self.partitions.get(usize::from(number)) else { return };
        if matches!(partition.role, Role::Absent | Role::Halted(_)) {
            return;
        }
        let granted = self.would_vote(now, from, candidacy);
        if granted && candidacy.round != Round::Canvass {
            if candidacy.epoch > self.partitions[usize::from(number)].epoch {
                self.follow(now, number, candidacy.epoch, None, out);
            }
            let partition = &mut self.partitions[usize::from(number)];
            if partition.voted.is_none() {
                partition.voted = Some(from.clone());
                let epoch = candidacy.epoch;
                self.log_vote(Vote { partition: number, epoch, candidate: from.clone() });
            }
        }
        let epoch = self.partitions[usize::from(number)].epoch;
        let answer = Line::Answer { to: candidacy, epoch, granted };
        if granted && candidacy.round != Round::Canvass && !self.has(Bug::VoteNotDurable) {
            // The vote must survive a crash before anybody hears of it.
            self.frames.open.lines.push((from.node.clone(), answer));
        } else {
            out.push(Effect::Send { to: from.node.clone(), line: answer });
        }
    }

    fn would_vote(&self, now: Now, from: &Member, candidacy: Candidacy) -> bool {
        let partition = &self.partitions[usize::from(candidacy.partition)];
        let behind = candidacy.last < partition.last() && !self.has(Bug::VoteForAnybody);
        let old = candidacy.epoch < partition.epoch;
        let taken = candidacy.epoch == partition.epoch
            && partition.voted.as_ref().is_none_or(|voted| voted != from);
        if behind || old || (taken && !self.has(Bug::VoteTwice)) {
            return false;
        }
        if candidacy.round == Round::Succession && candidacy.epoch == partition.epoch + 1 {
            return true;
        }
        let again = candidacy.epoch == partition.epoch;
        again || !self.has_promised(now, candidacy.partition)
    }

    /// Whether a primary may still count on this replica.
    fn has_promised(&self, now: Now, number: u16) -> bool {
        let partition = &self.partitions[usize::from(number)];
        if self.has(Bug::LeaseFromReceipt) {
            return false;
        }
        match &partition.role {
            Role::Primary(_) => self.quorum_heard_us(now, number) + PROMISE_US > now.mono_us,
            _ => partition.heard_us + PROMISE_US > now.mono_us,
        }
    }

    /// Somebody answered.
    pub(super) fn answered<S: State>(
        &mut self,
        now: Now,
        from: &Member,
        line: (Candidacy, u64, bool),
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let (to, epoch, granted) = line;
        let number = to.partition;
        let wiped = self.has(Bug::WipedVoter);
        let Some(partition) = self.partitions.get_mut(usize::from(number)) else { return Ok(()) };
        let Role::Candidate(campaign) = &mut partition.role else { return Ok(()) };
        if granted && to.epoch == campaign.epoch && to.round == campaign.round {
            if partition.voters.has(from, wiped) {
                campaign.votes.insert(from.clone());
            }
            return self.count_votes(now, number, state, out);
        }
        if epoch > partition.epoch {
            self.follow(now, number, epoch, None, out);
            self.elect_soon(now, number);
        }
        Ok(())
    }

    fn count_votes<S: State>(
        &mut self,
        now: Now,
        number: u16,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let partition = &self.partitions[usize::from(number)];
        let Role::Candidate(campaign) = &partition.role else { return Ok(()) };
        if campaign.votes.len() < partition.voters.majority() {
            return Ok(());
        }
        match campaign.round {
            Round::Canvass => self.campaign(now, number, Round::Vote, state, out),
            Round::Vote | Round::Succession => {
                self.lead(now, number, out);
                Ok(())
            }
        }
    }

    /// This node leads: a record of its epoch goes into the log, and it serves once that is
    /// committed. Its time goes on above everything that was promised before.
    pub(super) fn lead(&mut self, now: Now, number: u16, out: &mut Vec<Effect<C>>) {
        let careless = self.has(Bug::ForgetCeiling);
        let hasty = self.has(Bug::ServeAtOnce);
        let forgets_reads = self.has(Bug::ForgetReads);
        let partition = &mut self.partitions[usize::from(number)];
        let began = partition.tail.last().index + 1;
        let latest = partition.pending.latest();
        let mark = &partition.mark;
        if !careless {
            self.clock.reach(latest.max(mark.ceiling).max(mark.newest).max(partition.closed));
        }
        let low = latest.max(mark.ceiling).max(mark.newest).max(partition.closed);
        partition.marks.restart(if forgets_reads { Timestamp::ZERO } else { low });
        partition.ceiling.restart(mark.ceiling);
        let epoch = partition.epoch;
        partition.role = Role::Primary(Leading {
            began: if hasty { 0 } else { began },
            since_us: now.mono_us,
            peers: BTreeMap::new(),
        });
        self.forget_ends(number);
        self.append(number, Timestamp::ZERO, Decision::Epoch, Vec::new());
        self.beat_soon = true;
        out.push(Effect::Event(Event::Leads { partition: number, epoch }));
    }

    /// A primary that hears of no majority any more gives up: somebody else may lead, and who
    /// waits here must be told.
    pub(super) fn check_quorum(&mut self, now: Now, number: u16, out: &mut Vec<Effect<C>>) {
        if self.quorum_heard_us(now, number) + QUORUM_US <= now.mono_us {
            let epoch = self.partitions[usize::from(number)].epoch;
            self.follow(now, number, epoch, None, out);
        }
    }
}
