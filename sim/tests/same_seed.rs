//! The same seed is the same run, byte for byte, whoever else runs at the same time.
#![allow(clippy::unwrap_used, reason = "a test")]

use catena_sim::{Bug, Plan, run};
use std::thread;

fn trace(seed: u64) -> String {
    let mut plan = Plan::of(seed);
    plan.faults_us = 5_000_000;
    plan.operations = 100;
    run(plan, true).trace
}

#[test]
fn the_same_seed_has_the_same_trace() {
    let others: Vec<_> = (1..=12).map(|seed| thread::spawn(move || trace(seed))).collect();
    for (seed, other) in (1..=12).zip(others) {
        let here = trace(seed);
        assert!(here.lines().count() > 100, "seed {seed}: nothing happens");
        assert!(here == other.join().unwrap(), "seed {seed} differs between two runs");
    }
}

#[test]
fn other_seeds_and_other_rules_have_other_traces() {
    assert!(trace(1) != trace(2));
    let mut plan = Plan::of(1);
    plan.faults_us = 5_000_000;
    plan.operations = 100;
    plan.bug = Some(Bug::AckBeforeSync);
    let with_bug = run(plan, true).trace;
    assert!(with_bug != trace(1), "a bug that is put back must be in what runs");
}
