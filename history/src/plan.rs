//! What a search has to order: for each answered operation what it needs and does, and the
//! operations of unknown outcome that may be used to explain what was seen.

use crate::operation::{Call, Operation, Outcome};
use crate::value::{ValueId, Values};
use std::collections::HashMap;

/// What must hold for the value when a step takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing.
    Nothing,
    /// It is this.
    Is(ValueId),
    /// It counts as this integer.
    Integer(i64),
    /// The answer contradicts its own call.
    Never,
}

/// An operation with an answer: it has taken effect, once, between invocation and return.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) invoked: u64,
    pub(crate) returned: u64,
    pub(crate) need: Need,
    /// The version that must be there before; zero: any.
    pub(crate) seen: u64,
    /// The value that it leaves; none: what is there.
    pub(crate) sets: Option<ValueId>,
    /// The version that it wrote; zero: not told.
    pub(crate) written: u64,
    /// A version that tells where to try it first, also where versions are not believed.
    pub(crate) hint: u64,
}

impl Step {
    /// Whether it looks at what is there.
    pub(crate) fn looks(&self) -> bool {
        self.need != Need::Nothing || self.seen != 0
    }

    /// The version after it; zero: not told.
    pub(crate) fn told(&self) -> u64 {
        if self.sets.is_some() { self.written } else { self.seen }
    }

    /// The newest version that may be there when it takes effect.
    pub(crate) fn newest_before(&self) -> u64 {
        let seen = if self.seen == 0 { u64::MAX } else { self.seen };
        let written = if self.written == 0 { u64::MAX } else { self.written - 1 };
        seen.min(written)
    }
}

/// What an operation of unknown outcome does, if it takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    /// This is there, whatever was.
    Set(ValueId),
    /// This is there if that was.
    Swap { expected: ValueId, new: ValueId },
    /// This is there if the version was that.
    SwapVersion { expected: u64, new: ValueId },
    /// So much more is there.
    Add(i64),
}

/// Operations of unknown outcome that do the same. The one that was invoked first can stand in for
/// each of the others, so they are used in this order.
#[derive(Clone, Debug)]
pub(crate) struct Maybe {
    pub(crate) change: Change,
    pub(crate) invoked: Vec<u64>,
}

/// Everything that a search has to order.
#[derive(Debug)]
pub(crate) struct Plan {
    /// By invocation.
    pub(crate) steps: Vec<Step>,
    pub(crate) maybes: Vec<Maybe>,
    /// Whether an order has to explain versions, too: asked for, and there are some.
    pub(crate) versions: bool,
}

impl Plan {
    pub(crate) fn new(operations: &[Operation], versions: bool, values: &mut Values) -> Self {
        let versions = versions && operations.iter().any(names_version);
        let mut steps = Vec::new();
        let mut maybes: HashMap<Change, Vec<u64>> = HashMap::new();
        for operation in operations {
            match &operation.outcome {
                Outcome::Refused => {}
                Outcome::Unknown => {
                    if let Some(change) = change(&operation.call, versions, values) {
                        maybes.entry(change).or_default().push(operation.invoked);
                    }
                }
                _ => steps.push(step(operation, versions, values)),
            }
        }
        steps.sort_by_key(|step| (step.invoked, step.returned));
        Self { steps, maybes: sorted(maybes), versions }
    }
}

/// Whether a version is told or asked for.
fn names_version(operation: &Operation) -> bool {
    let asked = matches!(operation.call, Call::CompareVersion { expected, .. } if expected != 0);
    asked
        || match operation.outcome {
            Outcome::Found { version, .. }
            | Outcome::Done { version }
            | Outcome::Sum { version, .. }
            | Outcome::Differs { version, .. } => version != 0,
            Outcome::Unknown | Outcome::Refused => false,
        }
}

/// In an order that is the same in every run.
fn sorted(maybes: HashMap<Change, Vec<u64>>) -> Vec<Maybe> {
    let mut maybes: Vec<Maybe> = maybes
        .into_iter()
        .map(|(change, mut invoked)| {
            invoked.sort_unstable();
            Maybe { change, invoked }
        })
        .collect();
    maybes.sort_by_key(|maybe| (maybe.invoked[0], maybe.change.rank()));
    maybes
}

impl Change {
    fn rank(self) -> (u8, u64, u32) {
        match self {
            Self::Set(new) => (0, 0, new.0),
            Self::Swap { expected, new } => (1, u64::from(expected.0), new.0),
            Self::SwapVersion { expected, new } => (2, expected, new.0),
            Self::Add(delta) => (3, delta.cast_unsigned(), 0),
        }
    }
}

fn change(call: &Call, versions: bool, values: &mut Values) -> Option<Change> {
    Some(match call {
        Call::Read => return None,
        Call::Write { value } => Change::Set(values.id(Some(value))),
        Call::Delete => Change::Set(ValueId::ABSENT),
        Call::CompareAndSet { expected, new } => {
            Change::Swap { expected: values.id(expected.as_deref()), new: values.id(Some(new)) }
        }
        Call::CompareVersion { expected: 0, new } => {
            Change::Swap { expected: ValueId::ABSENT, new: values.id(Some(new)) }
        }
        Call::CompareVersion { expected, new } if versions => {
            Change::SwapVersion { expected: *expected, new: values.id(Some(new)) }
        }
        Call::CompareVersion { new, .. } => Change::Set(values.id(Some(new))),
        Call::Add { delta } => Change::Add(*delta),
    })
}

fn step(operation: &Operation, versions: bool, values: &mut Values) -> Step {
    let (need, seen, sets, written) = effect(&operation.call, &operation.outcome, values);
    let contradicts = versions && sets.is_none() && denied(&operation.call, seen);
    Step {
        invoked: operation.invoked,
        returned: operation.returned.unwrap_or(u64::MAX),
        need: if contradicts { Need::Never } else { need },
        seen: if versions { seen } else { 0 },
        sets,
        written: if versions { written } else { 0 },
        hint: if sets.is_some() { written } else { seen },
    }
}

/// Whether a comparison is said not to hold with the very version that it asked for.
fn denied(call: &Call, seen: u64) -> bool {
    matches!(call, Call::CompareVersion { expected, .. } if *expected == seen && seen != 0)
}

/// What an operation needs, the version that it saw, the value that it sets and the version that
/// it wrote.
fn effect(
    call: &Call,
    outcome: &Outcome,
    values: &mut Values,
) -> (Need, u64, Option<ValueId>, u64) {
    match (call, outcome) {
        (Call::Write { value }, Outcome::Done { version }) => {
            (Need::Nothing, 0, Some(values.id(Some(value))), *version)
        }
        (Call::Delete, Outcome::Done { version }) => {
            (Need::Nothing, 0, Some(ValueId::ABSENT), *version)
        }
        (Call::CompareAndSet { expected, new }, Outcome::Done { version }) => {
            let need = Need::Is(values.id(expected.as_deref()));
            (need, 0, Some(values.id(Some(new))), *version)
        }
        (Call::CompareVersion { expected, new }, Outcome::Done { version }) => {
            let need = if *expected == 0 { Need::Is(ValueId::ABSENT) } else { Need::Nothing };
            (need, *expected, Some(values.id(Some(new))), *version)
        }
        (Call::Add { delta }, Outcome::Sum { sum, version }) => {
            let need = sum.checked_sub(*delta).map_or(Need::Never, Need::Integer);
            (need, 0, Some(values.sum(*sum)), *version)
        }
        (_, Outcome::Found { value, version } | Outcome::Differs { value, version }) => {
            let need = if holds(call, value) {
                Need::Never
            } else {
                Need::Is(values.id(value.as_deref()))
            };
            (need, *version, None, 0)
        }
        _ => (Need::Never, 0, None, 0),
    }
}

/// Whether a comparison holds for a value, as far as the value alone can tell.
fn holds(call: &Call, found: &Option<String>) -> bool {
    match call {
        Call::CompareAndSet { expected, .. } => expected == found,
        Call::CompareVersion { expected: 0, .. } => found.is_none(),
        _ => false,
    }
}
