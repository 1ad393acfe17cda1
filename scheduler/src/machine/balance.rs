//! Choosing a worker for each step: the one with the fewest steps outstanding among those that
//! can run it; among equals the worker of the step before, else the next in turn.
//!
//! Costs one look at each candidate per step.

use super::chains::{Ready, Seat};
use super::operators::Operators;
use super::workers::Workers;
use catena_protocol::{Code, Fault, Name};

/// Takes a place for every step of `chain` and puts the workers into `plan`.
///
/// # Errors
/// 503 if an operator has no worker, 429 if all that it has are at their limit; no place is
/// taken then.
pub(super) fn plan(
    workers: &mut Workers,
    operators: &mut Operators,
    chain: &Ready,
    plan: &mut Vec<u16>,
) -> Result<(), Fault> {
    debug_assert!(plan.is_empty(), "the places of the plan before were given back");
    let mut before = None;
    for (seat, step) in chain.seats.iter().zip(&chain.chain.steps) {
        let chosen = match seat {
            Seat::Offered(id) => match operators.get_mut(*id) {
                Some(operator) => choose(workers, &operator.workers, &mut operator.turn, before),
                None => None,
            },
            Seat::Anywhere => {
                let all = 0..workers.count();
                let mut turn = workers.turn;
                let chosen = choose_from(workers, all.len(), |at| at as u16, &mut turn, before);
                workers.turn = turn;
                chosen
            }
        };
        let Some(chosen) = chosen else {
            workers.give_back(plan);
            return Err(no_room(workers, operators, *seat, &step.operator));
        };
        workers.take(chosen);
        plan.push(chosen);
        before = Some(chosen);
    }
    Ok(())
}

fn choose(
    workers: &Workers,
    candidates: &[u16],
    turn: &mut usize,
    before: Option<u16>,
) -> Option<u16> {
    choose_from(workers, candidates.len(), |at| candidates[at], turn, before)
}

fn choose_from(
    workers: &Workers,
    count: usize,
    candidate: impl Fn(usize) -> u16,
    turn: &mut usize,
    before: Option<u16>,
) -> Option<u16> {
    let start = if *turn < count { *turn } else { 0 };
    let mut best: Option<(u32, usize)> = None;
    let mut home = None;
    for at in (start..count).chain(0..start) {
        let seats = workers.seats(candidate(at));
        if seats.taken >= seats.limit {
            continue;
        }
        if best.is_none_or(|(fewest, _)| seats.taken < fewest) {
            best = Some((seats.taken, at));
        }
        if before == Some(candidate(at)) {
            home = Some(seats.taken);
        }
    }
    let (fewest, at) = best?;
    if home == Some(fewest) {
        return before;
    }
    *turn = at + 1;
    Some(candidate(at))
}

fn no_room(workers: &Workers, operators: &Operators, seat: Seat, operator: &Name) -> Fault {
    let any = match seat {
        Seat::Offered(id) => operators
            .get(id)
            .is_some_and(|operator| operator.workers.iter().any(|w| workers.is_usable(*w))),
        Seat::Anywhere => (0..workers.count()).any(|worker| workers.is_usable(worker)),
    };
    if any {
        Fault::new(
            Code::TooBusy,
            format!(
                "all workers that run operator `{operator}` are at their limit; nothing was \
                 started; try again later"
            ),
        )
    } else {
        Fault::new(
            Code::Unavailable,
            format!("no worker runs operator `{operator}` at the moment; nothing was started"),
        )
    }
}
