//! Where a violation begins: the smallest part of a history, from its start, without an order.

use crate::check::Limits;
use crate::operation::{Call, Operation, Outcome};
use crate::plan::Plan;
use crate::register::Register;
use crate::search::{Found, Placed, search};
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
        let part = part(operations, &returns[..middle], now(operations, &returns[..middle]));
        match order(&part, rule, limits) {
            Found::NoOrder => bad = middle,
            Found::Order(_) | Found::GaveUp => good = middle,
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

/// When the last of `answered` returned.
fn now(operations: &[Operation], answered: &[usize]) -> u64 {
    answered.last().and_then(|at| operations[*at].returned).unwrap_or(0)
}

/// What was known at a time, if `answered` had an answer by then: everything else is open.
fn part(operations: &[Operation], answered: &[usize], now: u64) -> Vec<Operation> {
    let mut has_answer = vec![false; operations.len()];
    answered.iter().for_each(|at| has_answer[*at] = true);
    let all = operations.iter().zip(has_answer);
    let invoked = all.filter(|(operation, _)| operation.invoked <= now);
    invoked
        .map(|(operation, answered)| match operation.outcome {
            Outcome::Refused => operation.clone(),
            _ if answered => operation.clone(),
            _ => Operation { returned: None, outcome: Outcome::Unknown, ..operation.clone() },
        })
        .collect()
}

fn order(part: &[Operation], rule: Rule, limits: Limits) -> Found {
    let mut values = Values::new();
    let plan = Plan::new(part, rule == Rule::Versions, &mut values);
    search(&plan, &mut values, limits.states)
}

fn evidence(operations: &[Operation], answered: &[usize], rule: Rule, limits: Limits) -> Evidence {
    let now = now(operations, answered);
    let (others, last) = match answered.split_last() {
        Some((last, others)) => (others, operations[*last].clone()),
        None => (answered, operations[0].clone()),
    };
    let mut open = part(operations, answered, now);
    open.retain(|operation| beside(operation, &last));
    open.sort_by_key(|operation| std::cmp::Reverse(operation.invoked));
    let held = held_meanwhile(&part(operations, others, now), &last, rule, limits);
    Evidence::NoOrder { rule, answered: answered.len(), held, last: Box::new(last), open }
}

/// So many values are kept for the explanation.
const HELD: usize = 16;

/// What the key holds, in one order of the other answers, while the last one could have happened.
fn held_meanwhile(others: &[Operation], last: &Operation, rule: Rule, limits: Limits) -> Vec<Held> {
    let mut values = Values::new();
    let plan = Plan::new(others, rule == Rule::Versions, &mut values);
    let Found::Order(order) = search(&plan, &mut values, limits.states) else { return Vec::new() };
    let precedes =
        |placed: &Placed| placed.step.is_some_and(|step| plan.steps[step].returned < last.invoked);
    let before = order.iter().rposition(precedes);
    let first = before.map_or(Register::EMPTY, |at| order[at].register);
    let later = order[before.map_or(0, |at| at + 1)..].iter().map(|placed| placed.register);
    let mut held: Vec<Held> =
        std::iter::once(first).chain(later).map(|register| held(register, &values)).collect();
    held.dedup();
    held.split_off(held.len().saturating_sub(HELD))
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
