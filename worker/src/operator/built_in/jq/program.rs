//! A compiled filter, and one run of it.
//!
//! Both are called on threads with a large stack. Unknown here: which threads, and what a step is.

use super::budget::{self, Budget, Guarded, Limits, Run};
use super::threads::Ticket;
use super::weave;
use crate::operator::{Output, payload};
use bytes::Bytes;
use catena_protocol::Fault;
use catena_protocol::limit::{CHAIN_BYTES, PAYLOAD_BYTES};
use jaq_core::load::lex::Lexer;
use jaq_core::load::parse::{Def, Parser, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, unwrap_valr};
use jaq_json::{Val, read, write};
use std::fmt;
use std::io;

/// Native filters that would see or touch more than their input.
const FORBIDDEN_NATIVES: [&str; 7] =
    ["halt", "env", "now", "localtime", "strflocaltime", "debug_empty", "stderr_empty"];
/// Definitions of the standard library that call them.
const FORBIDDEN_DEFINITIONS: [&str; 4] = ["halt", "halt_error", "debug", "stderr"];
/// The filter itself is compiled as a definition of this name.
const MAIN: &str = "catena_main";
/// Longest message that is taken over from a filter, in bytes.
const MESSAGE_BYTES: usize = 1_000;

/// How input and result are written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Form {
    /// The input is text.
    pub(super) raw: bool,
    /// Strings in the result are text.
    pub(super) raw_output: bool,
}

/// A compiled filter.
pub(super) struct Program {
    filter: Filter<Guarded>,
}

impl Program {
    /// Compiles `filter`, with its bounds woven in.
    ///
    /// # Errors
    /// 400 with where it is wrong.
    pub(super) fn compile(filter: &str) -> Result<Self, Fault> {
        Self::compile_with(filter, weave::guard_def)
    }

    /// As [`compile`](Self::compile), with each definition rewritten by `guard`.
    pub(super) fn compile_with(
        filter: &str,
        guard: fn(Def<&str>) -> Def<&str>,
    ) -> Result<Self, Fault> {
        if filter.len() > CHAIN_BYTES {
            return Err(wrong(format!("it is longer than {CHAIN_BYTES} bytes")));
        }
        let main = Def { name: MAIN, args: Vec::new(), body: parse(filter)? };
        let defs = library().chain([main]).map(guard);
        let arena = Arena::default();
        let modules = Loader::new(defs)
            .load(&arena, File { code: MAIN, path: () })
            .map_err(|_| wrong("it cannot be loaded".to_owned()))?;
        let natives = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs())
            .filter(|(name, ..)| !FORBIDDEN_NATIVES.contains(name))
            .chain(budget::funs());
        let compiled = Compiler::default().with_funs(natives).compile(modules);
        let filter = compiled.map_err(|errors| {
            let undefined = errors.iter().flat_map(|(_, errors)| errors).next();
            wrong(undefined.map_or_else(String::new, |(name, kind)| {
                format!("there is no {} `{name}`", kind.as_str())
            }))
        })?;
        Ok(Self { filter })
    }

    /// Runs the filter once over `input`, until it ends, exceeds a limit or `ticket` is cancelled.
    pub(super) fn run(&self, input: &Bytes, form: Form, limits: Limits, ticket: &Ticket) -> Output {
        let input = read(input, form)?;
        let run = Run { lut: &self.filter.lut, budget: Budget::new(ticket, limits) };
        let output = self.results(input, form, &run);
        if run.budget.used_much_stack() {
            ticket.wear();
        }
        output
    }

    fn results(&self, input: Val, form: Form, run: &Run<'_>) -> Output {
        let context = Ctx::<Guarded>::new(run, Vars::new([]));
        let mut output = Lines::default();
        for result in self.filter.id.run((context, input)).map(unwrap_valr) {
            run.budget.step().map_err(failed)?;
            output.add(&result.map_err(failed)?, form)?;
        }
        Ok(output.bytes.into())
    }
}

#[allow(clippy::map_identity, reason = "the definitions become as short-lived as the filter")]
fn library<'s>() -> impl Iterator<Item = Def<&'s str>> {
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let allowed = defs.filter(|def| !FORBIDDEN_DEFINITIONS.contains(&def.name));
    allowed.map(|def| -> Def<&'s str> { def })
}

fn parse(filter: &str) -> Result<Term<&str>, Fault> {
    let at = |rest: &str| filter.len() - rest.len().min(filter.len());
    let tokens = Lexer::new(filter).lex().map_err(|errors| {
        wrong(errors.first().map_or_else(String::new, |(expected, rest)| {
            format!("expected {} at byte {}", expected.as_str(), at(rest))
        }))
    })?;
    Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
        wrong(errors.first().map_or_else(String::new, |(expected, found)| match found {
            Some(token) => {
                let start = jaq_core::load::span(filter, token.0).start;
                let found: String = token.0.chars().take(32).collect();
                format!("expected {} at byte {start}, found `{found}`", expected.as_str())
            }
            None => format!("expected {} at its end", expected.as_str()),
        }))
    })
}

fn wrong(reason: String) -> Fault {
    Fault::bad_request(format!("`filter` does not compile: {reason}"))
}

fn read(input: &Bytes, form: Form) -> Result<Val, Fault> {
    payload::text(input)?;
    if form.raw {
        return Ok(Val::utf8_str(input.clone()));
    }
    if input.iter().all(u8::is_ascii_whitespace) {
        return Err(payload::failed("the input is empty; expected JSON, or set `raw`"));
    }
    if !budget::is_flat(input) {
        return Err(payload::failed("the input is nested too deeply"));
    }
    read::parse_single(input).map_err(|error| {
        payload::failed(format!("the input is not JSON ({error}); for text set `raw`"))
    })
}

fn failed(error: jaq_core::Error<Val>) -> Fault {
    let mut message = Message(String::new());
    // Stops with an error of its own where the message is long enough.
    let _ = fmt::Write::write_fmt(&mut message, format_args!("{error}"));
    // A text that was given to `error` comes in quotes.
    let message = serde_json::from_str(&message.0).unwrap_or(message.0);
    payload::failed(format!("jq: {message}"))
}

/// A text that takes no more than its limit.
struct Message(String);

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            if self.0.len() >= MESSAGE_BYTES {
                return Err(fmt::Error);
            }
            self.0.push(char);
        }
        Ok(())
    }
}

/// Results, one in a line, within the limit of a payload.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    some: bool,
}

impl Lines {
    fn add(&mut self, value: &Val, form: Form) -> Result<(), Fault> {
        self.write(value, form).map_err(|_| payload::too_long(PAYLOAD_BYTES + 1))
    }

    fn write(&mut self, value: &Val, form: Form) -> io::Result<()> {
        if std::mem::replace(&mut self.some, true) {
            io::Write::write_all(self, b"\n")?;
        }
        match value {
            Val::TStr(text) | Val::BStr(text) if form.raw_output => {
                io::Write::write_all(self, text)
            }
            _ => write::write(self, &write::Pp::default(), 0, value),
        }
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > PAYLOAD_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
