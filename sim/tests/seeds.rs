//! Seeds hold: a few in every `cargo test`, hundreds where they run fast; `make sim` runs thousands.

use catena_sim::{Mistake, Plan, Sweep, sweep};

const SEEDS: u64 = if cfg!(debug_assertions) { 20 } else { 300 };

fn all_of(from: u64, seeds: u64) -> Sweep {
    Sweep { from, seeds, jobs: 2, keep_going: false }
}

#[test]
fn every_seed_holds() {
    let end = sweep(&all_of(1, SEEDS), Plan::of, |_| {});
    assert!(end.failed.is_empty(), "{:?}", end.failed);
    assert_eq!(end.seeds, SEEDS);
    assert!(end.fewest_jobs >= 500, "a seed had only {} jobs", end.fewest_jobs);
    assert!(end.fewest_operations >= 500, "a seed had only {} operations", end.fewest_operations);
}

/// A plan that was made for a bug holds without it: else what is seen there would mean nothing.
#[test]
fn provoking_plans_hold_without_their_bug() {
    let all: Vec<Mistake> = Mistake::all().collect();
    let plan = |seed: u64| {
        let which = usize::try_from(seed).unwrap_or(0) % all.len();
        let mut plan = Plan::provoking(all[which], seed);
        plan.bug = None;
        plan.slip = None;
        plan
    };
    let rounds = if cfg!(debug_assertions) { 1 } else { 5 };
    let end = sweep(&all_of(1, rounds * all.len() as u64), plan, |_| {});
    assert!(end.failed.is_empty(), "{:?}", end.failed);
}
