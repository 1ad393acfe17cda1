//! Small histories, good and corrupted and invented, against a trial of all orders.
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use catena_history::{Call, Limits, Operation, Outcome, Rule, Verdict, check};
use proptest::collection::vec;
use proptest::prelude::*;
use rig::*;

/// Whether any order of all answered and some unknown operations explains the answers.
/// Deliberately as plain as the definition.
fn brute(operations: &[Operation], versions: bool) -> bool {
    let operations: Vec<&Operation> =
        operations.iter().filter(|one| one.outcome != Outcome::Refused).collect();
    extend(&operations, &mut Vec::new(), &Model { value: None, low: 0, high: 0 }, versions)
}

/// A register whose version is somewhere from `low` to `high`.
#[derive(Clone)]
struct Model {
    value: Option<String>,
    low: u64,
    high: u64,
}

fn extend(
    operations: &[&Operation],
    order: &mut Vec<usize>,
    model: &Model,
    versions: bool,
) -> bool {
    let left = |at: &usize| !order.contains(at);
    let answered = |at: &usize| operations[*at].outcome != Outcome::Unknown;
    let all: Vec<usize> = (0..operations.len()).filter(left).collect();
    if !all.iter().any(answered) {
        return true;
    }
    for at in &all {
        let first = |other: &usize| {
            answered(other) && operations[*other].returned.unwrap() < operations[*at].invoked
        };
        if all.iter().any(first) {
            continue;
        }
        let Some(next) = model.after(operations[*at], versions) else { continue };
        order.push(*at);
        let found = extend(operations, order, &next, versions);
        order.pop();
        if found {
            return true;
        }
    }
    false
}

impl Model {
    fn after(&self, operation: &Operation, versions: bool) -> Option<Self> {
        match &operation.outcome {
            Outcome::Unknown => self.maybe(&operation.call, versions),
            Outcome::Found { value, version } => self.is(value, *version, versions),
            Outcome::Differs { value, version } => {
                let held = match &operation.call {
                    Call::CompareAndSet { expected, .. } => expected == value,
                    Call::CompareVersion { expected: 0, .. } => value.is_none(),
                    Call::CompareVersion { expected, .. } => versions && expected == version,
                    _ => panic!("not a comparison"),
                };
                if held { None } else { self.is(value, *version, versions) }
            }
            Outcome::Done { version } => self.effect(&operation.call, *version, versions),
            Outcome::Sum { sum, version } => {
                let next = self.effect(&operation.call, *version, versions)?;
                (next.value == Some(sum.to_string())).then_some(next)
            }
            Outcome::Refused => panic!("filtered out"),
        }
    }

    fn maybe(&self, call: &Call, versions: bool) -> Option<Self> {
        if *call == Call::Read { None } else { self.effect(call, 0, versions) }
    }

    /// It takes effect, and writes `version`.
    fn effect(&self, call: &Call, version: u64, versions: bool) -> Option<Self> {
        let (before, value) = match call {
            Call::Read => panic!("no effect"),
            Call::Write { value } => (self.clone(), Some(value.clone())),
            Call::Delete => (self.clone(), None),
            Call::CompareAndSet { expected, new } => {
                (self.is(expected, 0, versions)?, Some(new.clone()))
            }
            Call::CompareVersion { expected: 0, new } => {
                (self.is(&None, 0, versions)?, Some(new.clone()))
            }
            Call::CompareVersion { expected, new } => {
                (self.is(&self.value, *expected, versions)?, Some(new.clone()))
            }
            Call::Add { delta } => {
                let before: i64 = self.value.as_deref().unwrap_or("0").parse().ok()?;
                (self.clone(), Some((before + delta).to_string()))
            }
        };
        let (low, high) = match version {
            _ if !versions => (0, 0),
            0 => (before.low + 1, u64::MAX),
            _ => (version, version),
        };
        (low > before.low || !versions).then_some(Self { value, low, high })
    }

    fn is(&self, value: &Option<String>, version: u64, versions: bool) -> Option<Self> {
        if self.value != *value {
            return None;
        }
        if !versions || version == 0 {
            return Some(self.clone());
        }
        let possible = (self.low..=self.high).contains(&version);
        possible.then(|| Self { value: value.clone(), low: version, high: version })
    }
}

fn agrees(operations: Vec<Operation>) {
    let told = check(&history(operations.clone()), Limits::default());
    let expected = match (brute(&operations, true), brute(&operations, false)) {
        (true, _) => None,
        (false, true) => Some(Rule::Versions),
        (false, false) => Some(Rule::Values),
    };
    let rule = match &told {
        Verdict::Linearizable => None,
        Verdict::Violation(violation) => match &violation.evidence {
            catena_history::Evidence::NoOrder { rule, .. } => Some(*rule),
            other => panic!("{other}"),
        },
        Verdict::Undecided { reason, .. } => panic!("{reason}"),
    };
    let shown: Vec<String> = operations.iter().map(ToString::to_string).collect();
    assert_eq!(rule, expected, "{told}\n{}", shown.join("\n"));
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("1"), Just("2"), Just("b")].prop_map(Into::into)
}

fn call() -> impl Strategy<Value = Call> {
    let expected = prop::option::weighted(0.8, value());
    prop_oneof![
        4 => Just(Call::Read),
        3 => value().prop_map(|value| Call::Write { value }),
        1 => Just(Call::Delete),
        2 => (expected, value()).prop_map(|(expected, new)| Call::CompareAndSet { expected, new }),
        1 => (0..10_u64, value()).prop_map(|(expected, new)| Call::CompareVersion { expected, new }),
        3 => (-1..3_i64).prop_map(|delta| Call::Add { delta }),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Answered),
        2 => Just(Fate::AnswerLost),
        2 => Just(Fate::RequestLost),
        1 => Just(Fate::Refused),
    ]
}

prop_compose! {
    fn planned()(
        process in 0..4_u64, invoked in 0..12_u64, delay in 0..5_u64, back in 0..5_u64,
        late in 0..9_u64, call in call(), fate in fate(),
    ) -> Planned {
        let effect = invoked + delay;
        let returned = effect + back;
        let effect = if fate == Fate::AnswerLost { effect + late } else { effect };
        Planned { process, invoked, effect, returned, call, fate }
    }
}

/// What is changed in an answer.
#[derive(Clone, Debug)]
enum Corruption {
    Value(Option<String>),
    Version(u64),
    Sum(i64),
    Earlier(u64),
}

fn corruption() -> impl Strategy<Value = Corruption> {
    prop_oneof![
        4 => prop::option::of(value()).prop_map(Corruption::Value),
        3 => (0..12_u64).prop_map(Corruption::Version),
        2 => (-2..5_i64).prop_map(Corruption::Sum),
        2 => (1..8_u64).prop_map(Corruption::Earlier),
    ]
}

fn corrupt(operation: &mut Operation, by: &Corruption) {
    use Outcome::{Differs, Done, Found, Sum};
    match (by, &mut operation.outcome) {
        (Corruption::Value(new), Found { value, .. } | Differs { value, .. }) => {
            *value = new.clone();
        }
        (Corruption::Sum(new), Sum { sum, .. }) => *sum = *new,
        (
            Corruption::Version(new),
            Found { version, .. }
            | Differs { version, .. }
            | Done { version }
            | Sum { version, .. },
        ) => *version = *new,
        (Corruption::Earlier(by), _) => {
            operation.invoked = operation.invoked.saturating_sub(*by);
            operation.returned = operation.returned.map(|at| at.saturating_sub(*by));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn what_a_register_really_did_is_linearizable(calls in vec(planned(), 0..30)) {
        let operations = execute(calls);
        prop_assert_eq!(check(&history(operations.clone()), Limits::default()), Verdict::Linearizable);
        let bare = without_versions(operations);
        prop_assert_eq!(check(&history(bare), Limits::default()), Verdict::Linearizable);
    }

    #[test]
    fn small_ones_are_judged_as_by_trying_all_orders(calls in vec(planned(), 1..8)) {
        agrees(execute(calls));
    }

    #[test]
    fn corrupted_ones_are_judged_as_by_trying_all_orders(
        calls in vec(planned(), 1..8), at in any::<prop::sample::Index>(), by in corruption(),
    ) {
        let mut operations = execute(calls);
        let at = at.index(operations.len());
        corrupt(&mut operations[at], &by);
        agrees(operations);
    }

    #[test]
    fn corrupted_ones_without_versions_too(
        calls in vec(planned(), 1..8),
        corrupted in vec((any::<prop::sample::Index>(), corruption()), 0..3),
    ) {
        let mut operations = without_versions(execute(calls));
        for (at, by) in corrupted {
            let at = at.index(operations.len());
            corrupt(&mut operations[at], &by);
        }
        agrees(operations);
    }

    #[test]
    fn answers_of_which_some_tell_no_version_too(
        calls in vec((planned(), any::<bool>()), 1..8),
        at in any::<prop::sample::Index>(), by in corruption(),
    ) {
        let (calls, bare): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
        let mut operations = execute(calls);
        for (operation, bare) in operations.iter_mut().zip(bare) {
            if bare {
                corrupt(operation, &Corruption::Version(0));
            }
        }
        let at = at.index(operations.len());
        corrupt(&mut operations[at], &by);
        agrees(operations);
    }
}
