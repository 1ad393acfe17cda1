//! Every known bug is seen when it is put back: a simulator that would not see it proves nothing.

use catena_sim::{Mistake, Plan, Sweep, sweep};

/// Each must be seen within so many seeds of the plan that is made for it.
const SEEDS: u64 = 2_000;

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimization: `make sim` runs it")]
fn every_bug_is_seen() {
    let which = Sweep { from: 1, seeds: SEEDS, jobs: 2, keep_going: false };
    let unseen =
        |bug: &Mistake| sweep(&which, |seed| Plan::provoking(*bug, seed), |_| {}).failed.is_empty();
    let missed: Vec<Mistake> = Mistake::all().filter(unseen).collect();
    assert!(missed.is_empty(), "not seen in {SEEDS} seeds: {missed:?}");
}
