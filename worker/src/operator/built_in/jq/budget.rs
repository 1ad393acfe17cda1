//! What a run of a filter may use, and the native filters that hold it to that.
//!
//! Unknown here: where in a filter they stand; see `weave`.

use super::threads::Ticket;
use jaq_core::{Bind, Error, Exn, Lut, Native, RunPtr, box_iter::box_once, data, native};
use jaq_json::{Num, Val};
use std::cell::Cell;

/// Steps of one run; about ten for each byte of the largest input.
const STEPS: u64 = 5_000_000;
/// Arrays that one run builds. Bounds how deeply values are nested, hence the stack that it takes
/// to drop or write one.
const ARRAYS: u64 = 500_000;
/// Longest text that grows inside a filter, in bytes.
const LENGTH: usize = 16 * 1024 * 1024;
/// Longest array or object that grows inside a filter.
const ITEMS: usize = 1024 * 1024;
/// Longest integer in bits.
const BITS: u64 = 1 << 20;
/// Most values that are written into a text, shared ones counted each time.
const SMALL: usize = 1_000_000;
/// Deepest nesting of JSON in inputs and `fromjson`.
const NESTING: usize = 10_000;
/// Stack that filters may use; the rest is for what happens between two steps.
const STACK_BYTES: usize = super::threads::STACK_BYTES / 2;

/// Stack, and arrays that may have been nested, after which a thread is not used again.
const MUCH_STACK: usize = 4 * 1024 * 1024;
const MANY_ARRAYS: u64 = 20_000;

type Failure = Error<Val>;

/// What one run may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) steps: u64,
    pub(super) arrays: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: STEPS, arrays: ARRAYS }
    }
}

/// What is left of the limits of one run.
pub(super) struct Budget<'a> {
    ticket: &'a Ticket,
    stack_base: usize,
    deepest: Cell<usize>,
    steps: Cell<u64>,
    arrays: Cell<u64>,
    arrays_at_start: u64,
}

impl<'a> Budget<'a> {
    /// A whole budget, for a run that begins here.
    pub(super) fn new(ticket: &'a Ticket, limits: Limits) -> Self {
        let (steps, arrays) = (Cell::new(limits.steps), Cell::new(limits.arrays));
        let (stack_base, deepest) = (stack_position(), Cell::new(0));
        Self { ticket, stack_base, deepest, steps, arrays, arrays_at_start: limits.arrays }
    }

    /// Takes one step.
    pub(super) fn step(&self) -> Result<(), Failure> {
        if self.ticket.is_cancelled() {
            return Err(Error::str("the step has ended"));
        }
        take(&self.steps).ok_or_else(|| Error::str("the filter takes too many steps"))?;
        let depth = self.stack_base.abs_diff(stack_position());
        self.deepest.set(self.deepest.get().max(depth));
        if depth > STACK_BYTES {
            return Err(Error::str("the filter recurses too deeply"));
        }
        Ok(())
    }

    /// Whether the stack may have grown by megabytes: by recursion, or by dropping nested values.
    pub(super) fn used_much_stack(&self) -> bool {
        let arrays = self.arrays_at_start - self.arrays.get();
        self.deepest.get() > MUCH_STACK || arrays > MANY_ARRAYS
    }

    fn array(&self) -> Result<(), Failure> {
        self.step()?;
        take(&self.arrays)
            .ok_or_else(|| Error::str("the filter builds too many arrays and objects"))
    }
}

fn take(left: &Cell<u64>) -> Option<()> {
    left.set(left.get().checked_sub(1)?);
    Some(())
}

fn stack_position() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

/// What natives see: the compiled filter and the budget of this run.
pub(super) struct Run<'a> {
    pub(super) lut: &'a Lut<Guarded>,
    pub(super) budget: Budget<'a>,
}

/// Filters over JSON values with a budget.
pub(super) enum Guarded {}

impl data::DataT for Guarded {
    type V<'a> = Val;
    type Data<'a> = &'a Run<'a>;
}

impl<'a> data::HasLut<'a, Guarded> for &'a Run<'a> {
    fn lut(&self) -> &'a Lut<Guarded> {
        self.lut
    }
}

pub(super) const STEP: &str = "!step";
pub(super) const ARRAY: &str = "!array";
pub(super) const FIT: &str = "!fit";
pub(super) const TIMES: &str = "!times";
pub(super) const SMALL_ONLY: &str = "!small";
pub(super) const FLAT: &str = "!flat";

/// The native filters that rewritten ones call.
pub(super) fn funs() -> [native::Fun<Guarded>; 6] {
    [
        (STEP, native::v(0), step()),
        check(ARRAY, |cv| native::bome(cv.0.data().budget.array().map(|()| cv.1))),
        check(FIT, |cv| native::bome(fit(cv.1))),
        check(SMALL_ONLY, |cv| native::bome(small(cv.1))),
        check(FLAT, |cv| native::bome(flat(cv.1))),
        (
            TIMES,
            [Bind::Var(()), Bind::Var(())].into(),
            Native::new(|mut cv| {
                let right = cv.0.pop_var();
                let left = cv.0.pop_var();
                native::bome(times(left, right))
            }),
        ),
    ]
}

fn check(name: &'static str, run: RunPtr<Guarded>) -> native::Fun<Guarded> {
    (name, native::v(0), Native::<Guarded>::new(run))
}

/// Passes its input on, also as a path and in updates.
fn step() -> Native<Guarded> {
    Native::<Guarded>::new(|cv| native::bome(cv.0.data().budget.step().map(|()| cv.1)))
        .with_paths(|cv| match cv.0.data().budget.step() {
            Ok(()) => box_once(Ok(cv.1)),
            Err(error) => box_once(Err(Exn::from(error))),
        })
        .with_update(|cv, update| match cv.0.data().budget.step() {
            Ok(()) => update(cv.1),
            Err(error) => box_once(Err(Exn::from(error))),
        })
}

fn fit(value: Val) -> Result<Val, Failure> {
    let fits = match &value {
        Val::BStr(text) | Val::TStr(text) => text.len() <= LENGTH,
        Val::Arr(items) => items.len() <= ITEMS,
        Val::Obj(items) => items.len() <= ITEMS,
        Val::Num(Num::BigInt(number)) => number.bits() <= BITS,
        _ => true,
    };
    if fits { Ok(value) } else { Err(Error::str("a value grows too large")) }
}

fn times(left: Val, right: Val) -> Result<Val, Failure> {
    let length = match (&left, &right) {
        (Val::BStr(text) | Val::TStr(text), Val::Num(count))
        | (Val::Num(count), Val::BStr(text) | Val::TStr(text)) => match count {
            Num::Int(count) => text.len().saturating_mul(usize::try_from(*count).unwrap_or(0)),
            Num::BigInt(_) => usize::MAX,
            Num::Float(_) | Num::Dec(_) => 0,
        },
        _ => 0,
    };
    if length > LENGTH {
        return Err(Error::str("a value grows too large"));
    }
    fit((left * right)?)
}

/// Refuses values that are long when written out, because parts of them are shared.
fn small(value: Val) -> Result<Val, Failure> {
    let mut left = SMALL;
    let mut open = vec![&value];
    while let Some(part) = open.pop() {
        let inside = match part {
            Val::Arr(items) => items.len(),
            Val::Obj(items) => 2 * items.len(),
            Val::BStr(text) | Val::TStr(text) => text.len() / 16,
            _ => 0,
        };
        left = match left.checked_sub(inside + 1) {
            Some(left) => left,
            None => return Err(Error::str("a value is too large to be written as text")),
        };
        match part {
            Val::Arr(items) => open.extend(items.iter()),
            Val::Obj(items) => open.extend(items.iter().flat_map(|(key, value)| [key, value])),
            _ => {}
        }
    }
    Ok(value)
}

fn flat(value: Val) -> Result<Val, Failure> {
    match &value {
        Val::TStr(text) if !is_flat(text) => Err(Error::str("the JSON is nested too deeply")),
        _ => Ok(value),
    }
}

/// Whether JSON text is not nested too deeply to be read. Brackets in strings count too, as long
/// as they are not closed again: a text that is refused for that is no ordinary one.
pub(super) fn is_flat(json: &[u8]) -> bool {
    let mut depth = 0_usize;
    json.iter().all(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= NESTING
    })
}
