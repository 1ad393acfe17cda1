//! What a job asks for, as it travels in its input from step to step, and the chains that there are.

use crate::job::{Aim, Rows};
use bytes::Bytes;
use catena_protocol::chain::{Definition, Effect, Isolation, StepDefinition};
use catena_protocol::message::heartbeat::Offer;
use catena_protocol::{Fault, Name};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Deadline of every chain, in milliseconds. Recovery takes longer.
pub(crate) const DEADLINE_MS: u64 = 8_000;
/// How long one step may take, in milliseconds.
const STEP_MS: u64 = 2_500;
/// How often a job is tried again when an operator failed.
const RETRIES: u32 = 1;
/// Most steps of a chain.
const STEPS: u8 = 3;

/// What a job asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) aim: Aim,
    pub(crate) keys: Vec<String>,
    /// Over how many steps the work is cut.
    pub(crate) steps: u8,
    /// How long each step takes, in microseconds.
    pub(crate) takes_us: u64,
    pub(crate) failing: Failing,
    /// Whether steps look at what the steps before have added to.
    pub(crate) peeks: bool,
    /// What the steps before have added.
    pub(crate) added: BTreeMap<String, i64>,
    /// What the steps before have written: the next ones must see it.
    pub(crate) wrote: BTreeMap<String, String>,
    /// What the steps before left on a shelf.
    pub(crate) shelves: BTreeMap<String, Rows>,
}

/// Whether an operator fails by itself, after it has done its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failing {
    Never,
    /// In some attempts.
    Sometimes,
    Always,
}

impl Task {
    /// The chain that does it.
    pub(crate) fn chain(&self, isolation: Isolation) -> Option<Name> {
        Name::new(chain_name(self.aim == Aim::Audit, self.steps, isolation)).ok()
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    pub(crate) fn from_bytes(bytes: &Bytes) -> Result<Self, Fault> {
        serde_json::from_slice(bytes).map_err(Fault::bad_request)
    }

    /// The positions of the keys that a step takes care of.
    pub(crate) fn part(&self, step: u8) -> std::ops::Range<usize> {
        let (step, steps) = (usize::from(step), usize::from(self.steps.max(1)));
        let from = |step: usize| self.keys.len() * step / steps;
        from(step)..from(step + 1)
    }
}

fn chain_name(reads_only: bool, steps: u8, isolation: Isolation) -> String {
    let what = if reads_only { "look" } else { "work" };
    let level = if isolation == Isolation::Serializable { "serial" } else { "snapshot" };
    format!("{what}-{level}-{steps}")
}

/// All chains.
pub(crate) fn chains() -> Vec<(Name, Definition)> {
    let mut all = Vec::new();
    for reads_only in [false, true] {
        for steps in 1..=STEPS {
            for isolation in [Isolation::Serializable, Isolation::Snapshot] {
                let name = Name::new(chain_name(reads_only, steps, isolation));
                all.extend(name.ok().map(|name| (name, definition(reads_only, steps, isolation))));
            }
        }
    }
    all
}

fn definition(reads_only: bool, count: u8, isolation: Isolation) -> Definition {
    let operator = if reads_only { "look" } else { "work" };
    let step =
        Name::new(operator).map(|operator| StepDefinition { operator, settings: Value::Null });
    let steps = (0..count).filter_map(|_| step.as_ref().ok().cloned()).collect();
    Definition {
        deadline: DEADLINE_MS,
        // Some steps have as long as their job.
        step_timeout: (count != 2).then_some(STEP_MS),
        retries: RETRIES,
        isolation,
        ..Definition::of(steps)
    }
}

/// What every worker offers.
pub(crate) fn offers() -> Vec<Offer> {
    let offer = |name: &str, effect| {
        let name = Name::new(name).ok()?;
        Some(Offer { name, effect, help: String::new(), native: true })
    };
    [offer("look", Effect::ReadOnly), offer("work", Effect::Writing)]
        .into_iter()
        .flatten()
        .collect()
}
