//! `jq`: a filter in the language of jq over JSON or text.
//!
//! Promise: whatever the filter and the input are, only this step is affected: filters run on
//! threads of their own ([`threads`]), stop when the step is over, and are bounded in steps,
//! stack, value and output size ([`budget`], [`weave`]). Filters cannot see the environment, the clock, files
//! or standard error.

mod budget;
mod program;
mod threads;
mod weave;

use super::BuiltIn;
use crate::operator::{Configured, Context, Operator, Output, Running, payload};
use budget::Limits;
use bytes::Bytes;
use catena_protocol::chain::Effect;
use futures_util::FutureExt;
use program::{Form, Program};
use serde::Deserialize;
use std::sync::Arc;
use threads::{Threads, Ticket};

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "jq",
    effect: Effect::Pure,
    help: "a jq filter over JSON; one result as it is, several as lines; `filter` (needed); \
           `raw`: the input is text instead of JSON (default: false); `raw_output`: strings in \
           the result are written as text (default: false)",
    configure: |settings| {
        let Settings { filter, raw, raw_output } = payload::settings(settings)?;
        let program = threads::with_large_stack(move || Program::compile(&filter))??;
        let form = Form { raw, raw_output };
        Ok(Configured { operator: Arc::new(Jq { program, form }), effect: Effect::Pure })
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    filter: String,
    #[serde(default)]
    raw: bool,
    #[serde(default)]
    raw_output: bool,
}

struct Jq {
    program: Program,
    form: Form,
}

impl Jq {
    async fn filter(self: Arc<Self>, input: Bytes) -> Output {
        let work =
            move |ticket: &Ticket| self.program.run(&input, self.form, Limits::default(), ticket);
        Threads::shared().run(work).await
    }
}

impl Operator for Jq {
    fn run(self: Arc<Self>, _: Context, input: Bytes) -> Running {
        self.filter(input).boxed()
    }
}

#[cfg(test)]
mod tests;
