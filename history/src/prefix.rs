//! Where a violation begins: the smallest part of a history, from its start, without an order.

use crate::check::Limits;
use crate::operation::{Call, Operation, Outcome};
use crate::plan::Plan;
use crate::register::Register;
use crate::search::{Found, Furthest, search};
use crate::value::Values;
use crate::verdict::{Evidence, Held, Rule};

/// The evidence of a history that has no order. Whatever begins like a part without an order has
/// none either, so the smallest part is found by halving. Where a search runs out of states the
/// part found is not the smallest, but has no order all the same.
pub(crate) fn smallest_without_order(
    operations: &[Operation],
    rule: Rule,
    limits: Limits,
) -> Evidence {
    let returns = returns(operations);
    let (mut good, mut bad) = (0, returns.len());
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        let part = until(operations, &returns[..middle]);
        match furthest(&part, rule, limits) {
            Some(_) => bad = middle,
            None => good = middle,
        }
    }
    evidence(operations, &returns[..bad], rule, limits)
}

/// The answered operations by the time of their return.
fn returns(operations: &[Operation]) -> Vec<usize> {
    let mut returns: Vec<usize> = (0..operations.len())
        .filter(|at| !matches!(operations[*at].outcome, Outcome::Unknown | Outcome::Refused))
        .collect();
    returns.sort_by_key(|at| operations[*at].returned);
    returns
}

/// What was known when the last of `returned` had returned: what returns later is open.
fn until(operations: &[Operation], returned: &[usize]) -> Vec<Operation> {
    let now = returned.last().and_then(|at| operations[*at].returned).unwrap_or(0);
    let mut answered = vec![false; operations.len()];
    returned.iter().for_each(|at| answered[*at] = true);
    let invoked = operations.iter().zip(answered).filter(|(operation, _)| operation.invoked <= now);
    invoked
        .map(|(operation, answered)| match operation.outcome {
            Outcome::Refused => operation.clone(),
            _ if answered => operation.clone(),
            _ => Operation { returned: None, outcome: Outcome::Unknown, ..operation.clone() },
        })
        .collect()
}

/// How far the orders of a part get; none: to its end, or nobody knows.
fn furthest(part: &[Operation], rule: Rule, limits: Limits) -> Option<(Furthest, Values)> {
    let mut values = Values::new();
    let plan = Plan::new(part, rule == Rule::Versions, &mut values);
    match search(&plan, &mut values, limits.states) {
        Found::NoOrder(furthest) => Some((furthest, values)),
        Found::Order | Found::GaveUp => None,
    }
}

fn evidence(operations: &[Operation], returned: &[usize], rule: Rule, limits: Limits) -> Evidence {
    let part = until(operations, returned);
    let (furthest, values) =
        furthest(&part, rule, limits).unwrap_or((Furthest::default(), Values::new()));
    let last = returned.last().map_or_else(|| operations[0].clone(), |at| operations[*at].clone());
    let mut open: Vec<Operation> = part.into_iter().filter(|one| beside(one, &last)).collect();
    open.sort_by_key(|operation| std::cmp::Reverse(operation.invoked));
    Evidence::NoOrder {
        rule,
        answered: returned.len(),
        placed: furthest.placed,
        held: furthest.held.into_iter().map(|register| held(register, &values)).collect(),
        open,
        last: Box::new(last),
    }
}

/// Whether an operation may have taken effect in the time of the last one, and have mattered.
fn beside(other: &Operation, last: &Operation) -> bool {
    let matters = match other.outcome {
        Outcome::Refused => false,
        Outcome::Unknown => other.call != Call::Read,
        _ => other != last,
    };
    matters && other.returned.is_none_or(|returned| returned >= last.invoked)
}

fn held(register: Register, values: &Values) -> Held {
    let version = register.version;
    Held {
        value: values.value(register.value),
        version: if version.known { version.least } else { 0 },
    }
}
