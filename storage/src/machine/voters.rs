//! Who decides about a partition.
//!
//! Voters change only by records of the partition's own log, one voter at a time, so that every
//! majority before a change has a node in common with every majority after it (Raft's
//! single-server changes, Ongaro 2014, section 4.1). A change counts from the moment it stands in
//! a log, and no second one begins before it is committed, nor before the primary has committed a
//! record of its own epoch.
//!
//! A node whose data is gone comes back with another disk: another member. It learns first; once
//! it has everything its old self is voted out, then it is voted in.

use super::Node;
use super::role::{Progress, Role};
use catena_protocol::Timestamp;
use catena_protocol::clock::Now;
use catena_protocol::message::replicate::Decision;
use catena_protocol::placement::Member;
use std::collections::BTreeMap;

/// The voters of a partition over the part of the log that is kept.
#[derive(Clone, Debug)]
pub(super) struct Voters {
    /// Who decided when the cluster was founded.
    founders: Vec<Member>,
    /// From which index on; the first entry holds for everything before the second.
    since: Vec<(u64, Vec<Member>)>,
}

impl Voters {
    /// The founders, unless the log said otherwise up to where the state stands.
    pub(super) fn new(founders: Vec<Member>, said: Option<Vec<Member>>) -> Self {
        let mut voters = Self { founders, since: Vec::new() };
        voters.restart(said);
        voters
    }

    /// The log begins anew behind a copy of the state.
    pub(super) fn restart(&mut self, said: Option<Vec<Member>>) {
        self.since = vec![(0, said.unwrap_or_else(|| self.founders.clone()))];
    }

    pub(super) fn now(&self) -> &[Member] {
        self.since.last().map_or(&[], |(_, voters)| voters)
    }

    /// Whether somebody has a vote.
    pub(super) fn has(&self, member: &Member, whatever_disk: bool) -> bool {
        self.now().iter().any(|v| v == member || (whatever_disk && v.node == member.node))
    }

    /// How many are more than half of them.
    pub(super) fn majority(&self) -> usize {
        self.now().len() / 2 + 1
    }

    pub(super) fn change(&mut self, index: u64, voters: Vec<Member>) {
        self.since.push((index, voters));
    }

    /// The log behind `index` is gone.
    pub(super) fn truncate(&mut self, index: u64) {
        while self.since.len() > 1 && self.since.last().is_some_and(|(at, _)| *at > index) {
            self.since.pop();
        }
    }

    /// Whether the last change is not committed yet.
    pub(super) fn is_changing(&self, committed: u64) -> bool {
        self.since.last().is_some_and(|(at, _)| *at > committed)
    }

    /// Forgets what was before the last committed change.
    pub(super) fn settle(&mut self, committed: u64) {
        while self.since.get(1).is_some_and(|(at, _)| *at <= committed) {
            self.since.remove(0);
        }
    }
}

/// A replica that lags no more than this may be voted in.
const CAUGHT_UP: u64 = 1_000;
/// Whoever was silent for longer is not voted in, in microseconds.
const RECENT_US: u64 = 1_000_000;

/// Whether this is the latest that was heard of its node: an old self of it is never voted in.
fn newest(peers: &BTreeMap<Member, Progress>, member: &Member) -> bool {
    let heard_us = |of: &Member| peers.get(of).map_or(0, |progress| progress.heard_us);
    let others = peers.keys().filter(|other| other.node == member.node);
    others.map(heard_us).max() == Some(heard_us(member))
}

impl<C> Node<C> {
    /// Votes a replica in that has learned everything, after its old self was voted out.
    pub(super) fn change_voters(&mut self, now: Now, number: u16) {
        let partition = &self.partitions[usize::from(number)];
        let Role::Primary(leading) = &partition.role else { return };
        let committed = partition.pending.committed_index();
        if committed < leading.began || partition.voters.is_changing(committed) {
            return;
        }
        let voters = partition.voters.now();
        let learner = leading.peers.iter().find(|(member, progress)| {
            !voters.contains(member)
                && partition.places.contains(&member.node)
                && progress.index + CAUGHT_UP >= partition.tail.last().index
                && progress.index >= leading.began
                && newest(&leading.peers, member)
                && now.mono_us.saturating_sub(progress.heard_us) < RECENT_US
        });
        let Some((learner, _)) = learner else { return };
        let mut new = voters.to_vec();
        match new.iter().position(|voter| voter.node == learner.node) {
            Some(old) => drop(new.remove(old)),
            None => new.push(learner.clone()),
        }
        new.sort();
        self.append(number, Timestamp::ZERO, Decision::Voters(new), Vec::new());
    }
}
