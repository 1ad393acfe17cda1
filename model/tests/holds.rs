//! Everything holds in every state within these bounds. The large ones take minutes:
//! `cargo test -p catena-model -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, reason = "a test")]

use catena_model::{Bounds, Scenario, explore, misled};
use std::time::Instant;

/// Digests are lost.
fn quiet() -> Bounds {
    Bounds { gossip: false, ..Bounds::default() }
}

/// And what is written is durable at once.
fn small() -> Bounds {
    Bounds { prompt_disk: true, ..quiet() }
}

fn holds(scenario: Scenario, bounds: &Bounds) {
    let start = Instant::now();
    let report = explore(scenario, bounds).unwrap();
    let took = start.elapsed();
    eprintln!("{scenario:?} {bounds:?}");
    eprintln!("{} states, {} events, depth {}: {took:?}", report.states, report.events, report.depth);
    if let Some(found) = report.counterexample {
        panic!("{}: {:#?}", found.broken.what, found.events);
    }
    assert!(report.complete, "more than {} states", bounds.states);
}

#[test]
fn two_states_with_one_fingerprint_go_on_alike() {
    let bounds = Bounds { writes: 1, time_outs: [0, 1, 0], crashes: [0, 0, 1], ..small() };
    let (looked, misled) = misled(Scenario::Led, &Bounds { writes: 0, ..bounds }).unwrap();
    assert_eq!(misled, None);
    assert!(looked > 1_000, "{looked}");
}
