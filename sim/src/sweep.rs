//! Many seeds, several at a time.
//!
//! Promise: what is found does not depend on how many run at a time, except that after a failure
//! seeds behind it may or may not have been run.

use crate::outcome::Failure;
use crate::plan::Plan;
use crate::tally::Tally;
use crate::world::run;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Which seeds to run.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// The first.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// How many at a time, at least one.
    pub jobs: usize,
    /// Whether to go on after one that failed.
    pub keep_going: bool,
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct SweepEnd {
    /// How many were run.
    pub seeds: u64,
    /// What happened in all of them.
    pub tally: Tally,
    /// Which failed, by seed, and why.
    pub failed: Vec<(u64, Failure)>,
    /// The simulated time of all, in microseconds.
    pub simulated_us: u64,
    /// Operations of the seed that had the fewest, among those that held.
    pub fewest_operations: u64,
    /// Jobs of the seed that had the fewest, among those that held.
    pub fewest_jobs: u64,
}

impl SweepEnd {
    fn add(&mut self, seed: u64, tally: &Tally, failure: Option<Failure>, simulated_us: u64) {
        self.seeds += 1;
        self.tally.merge(tally);
        self.simulated_us += simulated_us;
        let Some(failure) = failure else {
            let first = self.seeds == self.failed.len() as u64 + 1;
            let fewest =
                |so_far: u64, what| tally.of(what).min(if first { u64::MAX } else { so_far });
            self.fewest_operations = fewest(self.fewest_operations, "operations");
            self.fewest_jobs = fewest(self.fewest_jobs, "jobs");
            return;
        };
        self.failed.push((seed, failure));
        self.failed.sort_by_key(|(seed, _)| *seed);
    }
}

/// Runs the plan of each seed. `watch` is shown how far it is after each.
pub fn sweep(
    which: &Sweep,
    plan: impl Fn(u64) -> Plan + Sync,
    watch: impl FnMut(&SweepEnd) + Send,
) -> SweepEnd {
    let next = AtomicU64::new(which.from);
    let stop = AtomicBool::new(false);
    let all = Mutex::new((SweepEnd::default(), watch));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= which.from.saturating_add(which.seeds) {
                return;
            }
            let run = run(plan(seed), false);
            let failed = run.failure.is_some();
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.0.add(seed, &run.tally, run.failure, run.simulated_us);
            let (end, watch) = &mut *all;
            watch(end);
            if failed && !which.keep_going {
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..which.jobs.max(1) {
            scope.spawn(work);
        }
    });
    all.into_inner().unwrap_or_else(PoisonError::into_inner).0
}
