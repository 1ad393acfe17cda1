//! Bounds for filters, woven into them before they are compiled.
//!
//! The interpreter itself has no limits: a filter can loop, recurse until the stack overflows
//! (which no program survives), or double a text until memory is gone. So the parsed filter and
//! the parsed standard library are rewritten, and calls of native filters put where it matters:
//!
//! ```text
//! def f: g                   def f: !step | g         endless recursion
//! range(..)  ..  .[]  [f]    (...) | !step            endless or very long sequences
//! l + r                      (l + r) | !fit           values that grow
//! l * r                      !times(l; r)             texts that are repeated
//! tojson  "\(f)"             !small | tojson          shared values that are written out
//! fromjson                   !flat | fromjson         nesting
//! ```
//!
//! The exclamation mark keeps the names out of reach of filters. What is left to a hostile filter
//! is to use memory up to the product of these limits, and to compare deeply shared values for
//! ever; the latter holds one thread of `threads`.

use super::threads::Ticket;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};
use jaq_core::{Bind, Error, Exn, Lut, Native, RunPtr, box_iter::box_once, data, native};
use jaq_json::{Num, Val};
use std::cell::Cell;

/// Steps of one run; about ten for each byte of the largest input.
const STEPS: u64 = 5_000_000;
/// Arrays that one run builds. Bounds how deeply values are nested, hence the stack that it takes
/// to drop or write one.
const ARRAYS: u64 = 1_000_000;
/// Longest text, array or object that grows inside a filter.
const LENGTH: usize = 16 * 1024 * 1024;
/// Longest integer in bits.
const BITS: u64 = 1 << 20;
/// Most values that are written into a text, shared ones counted each time.
const SMALL: usize = 1_000_000;
/// Deepest nesting of JSON in inputs and `fromjson`.
const NESTING: usize = 10_000;
/// Stack that filters may use; the rest is for what happens between two steps.
const STACK_BYTES: usize = super::threads::STACK_BYTES / 2;

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
    steps: Cell<u64>,
    arrays: Cell<u64>,
}

impl<'a> Budget<'a> {
    /// A whole budget, for a run that begins here.
    pub(super) fn new(ticket: &'a Ticket, limits: Limits) -> Self {
        let (steps, arrays) = (Cell::new(limits.steps), Cell::new(limits.arrays));
        Self { ticket, stack_base: stack_position(), steps, arrays }
    }

    /// Takes one step.
    pub(super) fn step(&self) -> Result<(), Failure> {
        if self.ticket.is_cancelled() {
            return Err(Error::str("the step has ended"));
        }
        take(&self.steps).ok_or_else(|| Error::str("the filter takes too many steps"))?;
        if self.stack_base.abs_diff(stack_position()) > STACK_BYTES {
            return Err(Error::str("the filter recurses too deeply"));
        }
        Ok(())
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

const STEP: &str = "!step";
const ARRAY: &str = "!array";
const FIT: &str = "!fit";
const TIMES: &str = "!times";
const SMALL_ONLY: &str = "!small";
const FLAT: &str = "!flat";
const OPERAND: &str = "$!operand";

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
        Val::Arr(items) => items.len() <= LENGTH,
        Val::Obj(items) => items.len() <= LENGTH,
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

type Code<'s> = Term<&'s str>;

/// Rewrites a definition.
pub(super) fn guard_def(def: Def<&str>) -> Def<&str> {
    let body = pipe(call(STEP), guard(def.body));
    Def { body, ..def }
}

/// Rewrites a filter.
fn guard(term: Code<'_>) -> Code<'_> {
    let guarded = inside(term, &mut guard, &mut guard_def);
    match guarded {
        Term::Recurse | Term::Call("range", _) => pipe(guarded, call(STEP)),
        Term::Path(_, Path(ref parts)) if parts.iter().any(|(part, _)| iterates(part)) => {
            pipe(guarded, call(STEP))
        }
        Term::Arr(Some(_)) => pipe(guarded, call(ARRAY)),
        Term::Obj(ref items) if !items.is_empty() => pipe(guarded, call(ARRAY)),
        Term::Call("tojson", _) => pipe(call(SMALL_ONLY), guarded),
        Term::Call("fromjson", _) => pipe(call(FLAT), guarded),
        Term::BinOp(l, BinaryOp::Math(Math::Mul), r) => Term::Call(TIMES, vec![*l, *r]),
        Term::BinOp(_, BinaryOp::Math(Math::Add), _) => pipe(guarded, call(FIT)),
        Term::BinOp(l, BinaryOp::UpdateMath(op @ (Math::Add | Math::Mul)), r) => {
            update_math(*l, op, *r)
        }
        Term::Str(format, parts) => Term::Str(format, parts.into_iter().map(small_part).collect()),
        other => other,
    }
}

fn iterates<T>(part: &Part<T>) -> bool {
    matches!(part, Part::Range(None, None))
}

fn small_part<'s>(part: StrPart<&'s str, Code<'s>>) -> StrPart<&'s str, Code<'s>> {
    match part {
        StrPart::Term(term) => StrPart::Term(pipe(term, call(SMALL_ONLY))),
        other => other,
    }
}

/// `l += r` is `r as $x | l |= . + $x`.
fn update_math<'s>(l: Code<'s>, op: Math, r: Code<'s>) -> Code<'s> {
    let sum = match op {
        Math::Mul => Term::Call(TIMES, vec![Term::Id, Term::Var(OPERAND)]),
        _ => pipe(operation(Term::Id, BinaryOp::Math(op), Term::Var(OPERAND)), call(FIT)),
    };
    let update = operation(l, BinaryOp::Update, sum);
    operation(r, BinaryOp::Pipe(Some(Pattern::Var(OPERAND))), update)
}

fn operation<'s>(l: Code<'s>, op: BinaryOp<&'s str>, r: Code<'s>) -> Code<'s> {
    Term::BinOp(Box::new(l), op, Box::new(r))
}

fn pipe<'s>(l: Code<'s>, r: Code<'s>) -> Code<'s> {
    operation(l, BinaryOp::Pipe(None), r)
}

fn call(name: &'static str) -> Code<'static> {
    Term::Call(name, Vec::new())
}

/// The same term with `f` done to the terms and `d` to the definitions directly inside it.
fn inside<'s>(
    term: Code<'s>,
    f: &mut dyn FnMut(Code<'s>) -> Code<'s>,
    d: &mut dyn FnMut(Def<&'s str>) -> Def<&'s str>,
) -> Code<'s> {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => term,
        Term::Str(format, parts) => {
            let part = |part| match part {
                StrPart::Term(term) => StrPart::Term(f(term)),
                other => other,
            };
            Term::Str(format, parts.into_iter().map(part).collect())
        }
        Term::Arr(items) => Term::Arr(items.map(|items| Box::new(f(*items)))),
        Term::Obj(items) => {
            Term::Obj(items.into_iter().map(|(key, value)| (f(key), value.map(&mut *f))).collect())
        }
        Term::Neg(term) => Term::Neg(Box::new(f(*term))),
        Term::BinOp(l, BinaryOp::Pipe(Some(pattern)), r) => {
            let pattern = inside_pattern(pattern, f);
            operation(f(*l), BinaryOp::Pipe(Some(pattern)), f(*r))
        }
        Term::BinOp(l, op, r) => operation(f(*l), op, f(*r)),
        Term::Label(label, term) => Term::Label(label, Box::new(f(*term))),
        Term::Fold(name, xs, pattern, args) => {
            let xs = Box::new(f(*xs));
            let pattern = inside_pattern(pattern, f);
            Term::Fold(name, xs, pattern, args.into_iter().map(f).collect())
        }
        Term::TryCatch(tried, caught) => {
            let tried = Box::new(f(*tried));
            Term::TryCatch(tried, caught.map(|caught| Box::new(f(*caught))))
        }
        Term::IfThenElse(cases, otherwise) => {
            let cases = cases.into_iter().map(|(test, then)| (f(test), f(then))).collect();
            Term::IfThenElse(cases, otherwise.map(|otherwise| Box::new(f(*otherwise))))
        }
        Term::Def(defs, term) => Term::Def(defs.into_iter().map(d).collect(), Box::new(f(*term))),
        Term::Call(name, args) => Term::Call(name, args.into_iter().map(f).collect()),
        Term::Path(term, Path(parts)) => {
            let term = Box::new(f(*term));
            let parts = parts.into_iter().map(|(part, opt)| (inside_part(part, f), opt));
            Term::Path(term, Path(parts.collect()))
        }
    }
}

fn inside_part<'s>(
    part: Part<Code<'s>>,
    f: &mut dyn FnMut(Code<'s>) -> Code<'s>,
) -> Part<Code<'s>> {
    match part {
        Part::Index(index) => Part::Index(f(index)),
        Part::Range(from, to) => Part::Range(from.map(&mut *f), to.map(f)),
    }
}

fn inside_pattern<'s>(
    pattern: Pattern<&'s str>,
    f: &mut dyn FnMut(Code<'s>) -> Code<'s>,
) -> Pattern<&'s str> {
    match pattern {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(items) => {
            Pattern::Arr(items.into_iter().map(|item| inside_pattern(item, f)).collect())
        }
        Pattern::Obj(items) => Pattern::Obj(
            items.into_iter().map(|(key, item)| (f(key), inside_pattern(item, f))).collect(),
        ),
    }
}
