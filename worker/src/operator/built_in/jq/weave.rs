//! Weaves bounds into a filter before it is compiled.
//!
//! The interpreter itself has no limits: a filter can loop, recurse until the stack overflows
//! (which no program survives), or double a text until memory is gone. So the parsed filter and
//! the parsed standard library are rewritten, and calls of the native filters of `budget` put
//! where it matters:
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

use super::budget::{ARRAY, FIT, FLAT, SMALL_ONLY, STEP, TIMES};
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

const OPERAND: &str = "$!operand";

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
