//! Commits over several partitions hold in every state within these bounds. The large ones take
//! minutes: `cargo test --release -p catena-model --test commits -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, reason = "a test")]

use catena_model::commit::{Bounds, explore, misled};
use std::time::Instant;

/// A disk that is at once durable.
fn small() -> Bounds {
    Bounds { prompt_disk: true, ..Bounds::default() }
}

fn holds(bounds: &Bounds) {
    let start = Instant::now();
    let report = explore(bounds).unwrap();
    let took = start.elapsed();
    eprintln!("{bounds:?}");
    let (states, rested, events) = (report.states, report.rested, report.events);
    eprintln!(
        "{states} states, {rested} at rest, {events} events, depth {}: {took:?}",
        report.depth
    );
    if let Some(found) = report.counterexample {
        panic!("{}: {:#?}", found.broken.what, found.events);
    }
    assert!(report.complete, "more than {} states", bounds.states);
}

#[test]
fn both_attempts_ask_again_and_again() {
    holds(&Bounds { asks: [2, 2], beats: [1, 1], repeats: 1, ..Bounds::default() });
}

#[test]
fn a_home_loses_power() {
    holds(&Bounds { crashes: [1, 0], beats: [1, 1], ..Bounds::default() });
}

#[test]
fn a_home_loses_power_twice() {
    holds(&Bounds { asks: [2, 1], crashes: [2, 0], beats: [0, 2], ..small() });
}

#[test]
fn a_home_gives_up() {
    holds(&Bounds { give_ups: 1, beats: [1, 2], repeats: 1, ..small() });
}

#[test]
fn a_home_gives_up_and_loses_power() {
    holds(&Bounds { asks: [2, 1], give_ups: 1, crashes: [1, 0], beats: [0, 2], ..small() });
}

#[test]
fn both_lose_power() {
    holds(&Bounds { crashes: [1, 1], beats: [1, 1], ..small() });
}

#[test]
fn somebody_else_writes_the_same() {
    holds(&Bounds { writes: 1, beats: [1, 1], crashes: [1, 0], ..small() });
}

#[test]
fn two_states_with_one_fingerprint_go_on_alike() {
    for bounds in [
        Bounds { crashes: [1, 1], beats: [1, 1], ..small() },
        Bounds { give_ups: 1, repeats: 1, beats: [1, 2], ..small() },
        Bounds { writes: 1, beats: [0, 1], ..Bounds::default() },
    ] {
        let (looked, misled) = misled(&bounds).unwrap();
        assert_eq!(misled, None);
        assert!(looked > 100, "{looked}");
    }
}

#[test]
#[ignore = "minutes"]
fn large_both_lose_power_while_their_disks_are_slow() {
    holds(&Bounds { crashes: [1, 1], beats: [1, 2], ..Bounds::default() });
}

#[test]
#[ignore = "minutes"]
fn large_a_home_gives_up_while_disks_are_slow_and_power_is_lost() {
    holds(&Bounds { give_ups: 1, crashes: [1, 0], beats: [1, 2], ..Bounds::default() });
}

#[test]
#[ignore = "minutes"]
fn large_everything_a_little() {
    let bounds = Bounds { give_ups: 1, repeats: 1, writes: 1, ..small() };
    holds(&Bounds { asks: [2, 1], crashes: [1, 1], beats: [1, 1], ..bounds });
}
