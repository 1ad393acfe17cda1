//! What is broken when: the same for the same seed.
//!
//! Faults come from a shuffled bag, so that a long run meets every kind, and on top of the first
//! bag lie those that also a run of a minute has to meet. Unknown here: how anything is broken.

use crate::fault::Fault;
use catena_protocol::subject::Role;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use std::ops::Range;
use std::time::Duration;

/// The storage nodes of the cluster, the first of its services.
pub(crate) const NODES: usize = 3;
/// The workers behind them, and the schedulers behind these, where jobs are run.
const WORKERS: usize = 2;
const SCHEDULERS: usize = 2;
/// Whose disk can be full.
pub(crate) const SMALL_DISK: usize = 0;
/// Whose disk may get lost: one at a time, and the next only when the one before has its votes
/// again, for two lost disks of three lose data by design. Not the small one: it is mounted.
const LOSE_DISK: Range<usize> = SMALL_DISK + 1..NODES;
/// What each run begins with, in any order: a minute has room for these, but not for all kinds.
const FIRST: [Fault; 5] =
    [Fault::Kill, Fault::Stop, Fault::NatsKill, Fault::DiskFull, Fault::SyncFails];
/// Part of the faults that hit two services where they can.
const TWO: f64 = 0.2;

/// One fault at work.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blow {
    pub(crate) fault: Fault,
    /// Which services; none: it is about the NATS server.
    pub(crate) nodes: Vec<usize>,
    /// How long it stays.
    pub(crate) lasts: Duration,
    /// How long all is left alone before it.
    pub(crate) after: Duration,
    /// By how much messages are late.
    pub(crate) delay: Duration,
    /// Whether connections are closed when it ends, as after a time-out.
    pub(crate) closes: bool,
    /// Which sync of a thread fails.
    pub(crate) sync: u32,
}

/// What services a cluster has, with and without those that run jobs.
pub(crate) fn roles(jobs: bool) -> Vec<Role> {
    let (workers, schedulers) = if jobs { (WORKERS, SCHEDULERS) } else { (0, 0) };
    let of = |role, count| std::iter::repeat_n(role, count);
    let storage = of(Role::Storage, NODES);
    storage.chain(of(Role::Worker, workers)).chain(of(Role::Scheduler, schedulers)).collect()
}

/// An endless sequence of faults.
pub(crate) struct Schedule {
    rng: StdRng,
    kinds: Vec<Fault>,
    bag: Vec<Fault>,
    roles: Vec<Role>,
}

impl Schedule {
    /// Faults of these kinds for services of these roles; kinds that are about none of them do not
    /// happen.
    pub(crate) fn new(seed: u64, kinds: &[Fault], roles: Vec<Role>) -> Self {
        let can = |kind: &&Fault| kind.role().is_none_or(|role| roles.contains(&role));
        let kinds: Vec<Fault> = kinds.iter().filter(can).copied().collect();
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bag = kinds.clone();
        bag.shuffle(&mut rng);
        // Whatever lies last is taken first.
        bag.sort_by_key(|kind| FIRST.contains(kind));
        Self { rng, kinds, bag, roles }
    }

    /// The next fault; none: there are no kinds.
    pub(crate) fn next(&mut self) -> Option<Blow> {
        if self.bag.is_empty() {
            self.bag.clone_from(&self.kinds);
            self.bag.shuffle(&mut self.rng);
        }
        let fault = self.bag.pop()?;
        Some(Blow {
            fault,
            nodes: self.nodes(fault),
            lasts: Duration::from_millis(self.rng.random_range(fault.lasts_ms())),
            after: Duration::from_millis(self.rng.random_range(300..1_500)),
            delay: Duration::from_millis(self.rng.random_range(5..100)),
            closes: self.rng.random_bool(0.5),
            sync: self.rng.random_range(20..120),
        })
    }

    fn nodes(&mut self, fault: Fault) -> Vec<usize> {
        match fault {
            Fault::NatsKill | Fault::NatsStop => Vec::new(),
            Fault::DiskFull => vec![SMALL_DISK],
            Fault::Wipe => vec![self.rng.random_range(LOSE_DISK)],
            Fault::KillAll => (0..self.roles.len()).collect(),
            _ => {
                let of_role = |at: &usize| Some(self.roles[*at]) == fault.role();
                let mut nodes: Vec<usize> = (0..self.roles.len()).filter(of_role).collect();
                nodes.shuffle(&mut self.rng);
                let two = fault.may_hit_two() && self.rng.random_bool(TWO);
                nodes.truncate(if two { 2 } else { 1 });
                nodes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use std::collections::BTreeSet;

    fn blows(seed: u64, count: usize) -> Vec<Blow> {
        let mut schedule = Schedule::new(seed, &Fault::ALL, roles(true));
        (0..count).map(|_| schedule.next().unwrap()).collect()
    }

    #[test]
    fn a_seed_is_a_schedule_and_no_kind_waits_for_long() {
        assert_eq!(blows(7, 40), blows(7, 40));
        assert_ne!(blows(7, 40), blows(8, 40));
        let kinds: BTreeSet<Fault> = blows(9, Fault::ALL.len()).iter().map(|b| b.fault).collect();
        assert_eq!(kinds.len(), Fault::ALL.len());
        assert_eq!(Schedule::new(1, &[], roles(true)).next(), None);
    }

    #[test]
    fn every_run_begins_with_the_same_kinds_in_any_order() {
        let kinds = |seed| blows(seed, FIRST.len()).iter().map(|b| b.fault).collect::<Vec<_>>();
        for seed in 0..100 {
            assert_eq!(BTreeSet::from_iter(kinds(seed)), BTreeSet::from(FIRST), "{seed}");
        }
        assert!((0..FIRST.len()).all(|at| (0..100).any(|seed| kinds(seed)[0] == FIRST[at])));
        let mut schedule = Schedule::new(1, &[Fault::Term], roles(true));
        assert_eq!(schedule.next().unwrap().fault, Fault::Term);
    }

    #[test]
    fn most_faults_leave_a_majority_and_disks_get_lost_one_at_a_time() {
        let blows = blows(1, 1_000);
        let lost: BTreeSet<&Vec<usize>> =
            blows.iter().filter(|b| b.fault == Fault::Wipe).map(|b| &b.nodes).collect();
        assert_eq!(lost, BTreeSet::from([&vec![1], &vec![2]]));
        let two = blows.iter().filter(|b| b.nodes.len() == 2).count();
        assert!((10..250).contains(&two), "{two}");
        assert!(blows.iter().all(|b| b.nodes.len() <= 2 || b.fault == Fault::KillAll));
    }

    #[test]
    fn faults_hit_who_they_are_about_and_only_who_is_there() {
        let all = roles(true);
        for blow in blows(2, 1_000) {
            let right = |at: &usize| blow.fault.role().is_none_or(|role| all[*at] == role);
            assert!(blow.nodes.iter().all(right), "{blow:?}");
        }
        let mut schedule = Schedule::new(3, &Fault::ALL, roles(false));
        for _ in 0..1_000 {
            let blow = schedule.next().unwrap();
            assert!(blow.nodes.iter().all(|at| *at < NODES), "{blow:?}");
        }
    }
}
