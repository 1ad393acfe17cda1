//! Thousands of operations on one key, dozens of clients: judged, not given up.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::type_complexity, reason = "a test")]

mod rig;

use catena_history::{Call, Limits, Operation, Outcome, Verdict, check};
use rig::*;

fn mixed(chance: &mut Chance, at: usize) -> Call {
    let few = |chance: &mut Chance| format!("{}", chance.below(5));
    match chance.below(10) {
        0..4 => Call::Read,
        4..6 => write(&format!("v{at}")),
        6 => write(&few(chance)),
        7 => cas(Some(&few(chance)), &few(chance)),
        8 => Call::Delete,
        _ => cas(None, &format!("c{at}")),
    }
}

fn counter(chance: &mut Chance, _: usize) -> Call {
    match chance.below(4) {
        0 => Call::Read,
        _ => add(i64::try_from(chance.below(7)).unwrap() - 2),
    }
}

fn few_values(chance: &mut Chance, _: usize) -> Call {
    match chance.below(6) {
        0..3 => Call::Read,
        3 => write(&chance.below(3).to_string()),
        4 => add(1),
        _ => cas(Some(&chance.below(3).to_string()), &chance.below(3).to_string()),
    }
}

fn unique(chance: &mut Chance, at: usize) -> Call {
    if chance.below(2) == 0 { Call::Read } else { write(&format!("v{at}")) }
}

fn judged(name: &str, operations: Vec<Operation>) -> Verdict {
    let begun = std::time::Instant::now();
    let verdict = check(&history(operations), Limits::default());
    let text = verdict.to_string();
    println!("{name}: {:?}: {}", begun.elapsed(), text.lines().next().unwrap());
    verdict
}

#[test]
fn correct_histories_are_linearizable() {
    for seed in 1..6 {
        let kinds: [(&str, fn(&mut Chance, usize) -> Call); 4] =
            [("mixed", mixed), ("counter", counter), ("few", few_values), ("unique", unique)];
        for (name, kind) in kinds {
            let operations = busy(&mut Chance(seed), 32, 3_000, 5, kind);
            assert_eq!(judged(name, operations), Verdict::Linearizable, "{name}, seed {seed}");
        }
    }
}

#[test]
fn unique_values_are_judged_without_versions() {
    for seed in 1..6 {
        let operations = without_versions(busy(&mut Chance(seed), 32, 3_000, 5, unique));
        assert_eq!(judged("unversioned", operations), Verdict::Linearizable, "seed {seed}");
    }
}

#[test]
fn one_stale_read_is_found() {
    for seed in 1..6 {
        let mut operations = busy(&mut Chance(seed), 32, 3_000, 5, mixed);
        let answered_read =
            |operation: &Operation| matches!(operation.outcome, Outcome::Found { .. });
        let stale = 2_000 + operations[2_000..].iter().position(answered_read).unwrap();
        let old = operations[..1_000].iter().rev().find_map(|operation| match &operation.outcome {
            Outcome::Found { value: Some(value), version } if value.starts_with('v') => {
                Some((value.clone(), *version))
            }
            _ => None,
        });
        let (value, version) = old.unwrap();
        operations[stale].outcome = found(&value, version);
        let Verdict::Violation(violation) = judged("stale", operations.clone()) else {
            panic!("seed {seed}: not found");
        };
        let catena_history::Evidence::NoOrder { last, .. } = &violation.evidence else { panic!() };
        assert_eq!(**last, operations[stale], "{violation}");
    }
}
