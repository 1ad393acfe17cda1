//! The judgement: key by key, first with versions, then without.
//!
//! With versions an order is found fast, and it is an order of the values, too. Where there is
//! none, a second search tells whether already the values contradict each other, or only the
//! versions do.

use crate::history::History;
use crate::operation::Operation;
use crate::plan::Plan;
use crate::prefix::smallest_without_order;
use crate::search::{Found, search};
use crate::value::Values;
use crate::verdict::{Rule, Verdict, Violation};

/// How much a judgement may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// States that one search may visit; each takes some 40 bytes and some microseconds. A
    /// violation takes about 15 searches more than a good history, to find where it begins.
    pub states: usize,
}

impl Default for Limits {
    /// A million states: seconds, and some ten megabytes.
    fn default() -> Self {
        Self { states: 1_000_000 }
    }
}

/// Whether each key's operations have an order that respects time and explains every answer.
///
/// All writes of the keys must be in the history, from when they held nothing. Of several
/// violations the one of the first key is told; a violation is told also where other keys remain
/// undecided.
pub fn check(history: &History, limits: Limits) -> Verdict {
    let mut verdict = Verdict::Linearizable;
    for (key, operations) in history.by_key() {
        let operations: Vec<Operation> = operations.into_iter().cloned().collect();
        match judge(key, &operations, limits) {
            Verdict::Linearizable => {}
            Verdict::Violation(violation) => return Verdict::Violation(violation),
            undecided if verdict == Verdict::Linearizable => verdict = undecided,
            Verdict::Undecided { .. } => {}
        }
    }
    verdict
}

/// Where the verdict is clear and only its name is open, so much less is spent.
const NAMING: usize = 10;

fn judge(key: &str, operations: &[Operation], limits: Limits) -> Verdict {
    let with_versions = order(operations, true, limits);
    if matches!(with_versions, Found::Order(_)) {
        return Verdict::Linearizable;
    }
    let states = match with_versions {
        Found::NoOrder => limits.states / NAMING,
        _ => limits.states,
    };
    let rule = match (with_versions, order(operations, false, Limits { states })) {
        (_, Found::NoOrder) => Rule::Values,
        (Found::NoOrder, _) => Rule::Versions,
        _ => {
            let reason = format!("no order was found within {} states", limits.states);
            return Verdict::Undecided { key: key.to_owned(), reason };
        }
    };
    let evidence = smallest_without_order(operations, rule, limits);
    Verdict::Violation(Box::new(Violation { key: key.to_owned(), evidence }))
}

fn order(operations: &[Operation], versions: bool, limits: Limits) -> Found {
    let mut values = Values::new();
    let plan = Plan::new(operations, versions, &mut values);
    search(&plan, &mut values, limits.states)
}
