//! Everything holds in every state within these bounds. The large ones take minutes:
//! `cargo test -p catena-model -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, reason = "a test")]

use catena_model::{Bounds, Scenario};
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
    let report = scenario.explore(bounds).unwrap();
    let took = start.elapsed();
    eprintln!("{scenario:?} {bounds:?}");
    eprintln!(
        "{} states, {} events, depth {}: {took:?}",
        report.states, report.events, report.depth
    );
    if let Some(found) = report.counterexample {
        panic!("{}: {:#?}", found.broken.what, found.events);
    }
    assert!(report.complete, "more than {} states", bounds.states);
}

#[test]
fn a_first_election_with_digests_and_slow_disks() {
    holds(Scenario::Founded, &Bounds { time_outs: [1, 0, 0], ..Bounds::default() });
}

#[test]
fn two_candidates_for_the_same_epoch() {
    holds(Scenario::Founded, &Bounds { time_outs: [1, 1, 0], ..small() });
}

#[test]
fn a_write_while_another_is_elected() {
    holds(Scenario::Led, &Bounds { writes: 1, time_outs: [0, 1, 0], ..quiet() });
}

#[test]
fn a_write_while_another_is_elected_and_a_voter_loses_power() {
    let bounds = Bounds { writes: 1, time_outs: [0, 1, 0], crashes: [0, 0, 1], ..small() };
    holds(Scenario::Led, &bounds);
}

#[test]
fn a_write_after_a_snapshot_was_read_elsewhere() {
    holds(Scenario::Read, &Bounds { writes: 1, time_outs: [0, 1, 0], ..small() });
}

#[test]
fn digests_tell_what_is_committed() {
    holds(Scenario::Led, &Bounds { writes: 1, beats: 1, gossip: true, ..Bounds::default() });
}

#[test]
fn digests_while_another_is_elected() {
    let bounds = Bounds { time_outs: [0, 1, 0], gossip: true, ..small() };
    holds(Scenario::Led, &bounds);
}

#[test]
fn a_primary_hands_over() {
    holds(Scenario::Led, &Bounds { writes: 1, retirements: 1, ..quiet() });
    let bounds = Bounds { writes: 1, retirements: 1, time_outs: [0, 1, 0], ..small() };
    holds(Scenario::Led, &bounds);
}

#[test]
fn a_log_of_an_earlier_epoch_comes_back() {
    holds(Scenario::Split, &Bounds { epochs: 3, time_outs: [3, 0, 0], ..quiet() });
}

#[test]
fn two_states_with_one_fingerprint_go_on_alike() {
    for (scenario, bounds) in [
        (Scenario::Founded, Bounds { time_outs: [1, 0, 0], crashes: [0, 1, 0], ..quiet() }),
        (Scenario::Led, Bounds { writes: 1, time_outs: [0, 1, 0], ..small() }),
        (Scenario::Led, Bounds { reads: 1, retirements: 1, ..small() }),
        (Scenario::Led, Bounds { writes: 1, beats: 2, gossip: true, ..small() }),
    ] {
        let (looked, misled) = scenario.misled(&bounds).unwrap();
        assert_eq!(misled, None);
        assert!(looked > 1_000, "{looked}");
    }
}

#[test]
#[ignore = "minutes"]
fn large_a_write_and_a_read_while_another_is_elected() {
    holds(Scenario::Led, &Bounds { writes: 1, reads: 1, time_outs: [0, 1, 0], ..small() });
}

#[test]
#[ignore = "minutes"]
fn large_two_writes_while_another_is_elected() {
    holds(Scenario::Led, &Bounds { writes: 2, time_outs: [0, 1, 0], ..small() });
}

#[test]
#[ignore = "minutes"]
fn large_a_voter_loses_power_while_its_disk_is_slow() {
    let bounds = Bounds { writes: 1, time_outs: [0, 1, 0], crashes: [0, 0, 1], ..quiet() };
    holds(Scenario::Led, &bounds);
}

#[test]
#[ignore = "minutes"]
fn large_a_write_while_two_want_to_lead() {
    holds(Scenario::Led, &Bounds { writes: 1, time_outs: [0, 1, 1], ..small() });
}
