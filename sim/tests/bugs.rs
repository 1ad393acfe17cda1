//! Every known bug is seen when it is put back: a simulator that would not see it proves nothing.

use catena_sim::{Bug, Plan, Sweep, sweep};

/// Each must be seen within so many seeds of the plan that is made for it.
const SEEDS: u64 = 300;

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimization: `make sim` runs it")]
fn every_bug_is_seen() {
    let which = Sweep { from: 1, seeds: SEEDS, jobs: 2, keep_going: false };
    let unseen =
        |bug: &Bug| sweep(&which, |seed| Plan::provoking(*bug, seed), |_| {}).failed.is_empty();
    let missed: Vec<Bug> = Bug::ALL.into_iter().filter(unseen).collect();
    assert!(missed.is_empty(), "not seen in {SEEDS} seeds: {missed:?}");
}
