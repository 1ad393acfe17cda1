//! Operators that are a function of their input and need no context.

use crate::operator::{Configured, Context, Operator, Output, Running, payload};
use bytes::Bytes;
use catena_protocol::Fault;
use catena_protocol::chain::Effect;
use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// Longer inputs do not run on the worker's loop.
const INLINE_BYTES: usize = 4 * 1024;

/// A function of the input; runs inline where the input is short.
pub(super) struct Transform<F> {
    function: F,
    inline_bytes: usize,
}

impl<F> Transform<F>
where
    F: Fn(&Bytes) -> Output + Send + Sync + 'static,
{
    /// The pure operator that runs `function`, which takes time linear in its input.
    pub(super) fn of(function: F) -> Configured {
        Self { function, inline_bytes: INLINE_BYTES }.configured()
    }

    /// The pure operator that runs `function`, which takes no time worth mentioning.
    pub(super) fn of_any_length(function: F) -> Configured {
        Self { function, inline_bytes: usize::MAX }.configured()
    }

    fn configured(self) -> Configured {
        Configured { operator: Arc::new(self), effect: Effect::Pure }
    }
}

impl<F> Operator for Transform<F>
where
    F: Fn(&Bytes) -> Output + Send + Sync + 'static,
{
    fn run(self: Arc<Self>, _: Context, input: Bytes) -> Running {
        async move { (self.function)(&input) }.boxed()
    }

    fn run_now(&self, input: &Bytes) -> Option<Output> {
        (input.len() <= self.inline_bytes).then(|| (self.function)(input))
    }
}

/// The settings of operators that have none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoSettings {}

impl NoSettings {
    pub(super) fn check(settings: &Value) -> Result<(), Fault> {
        payload::settings::<Self>(settings).map(|Self {}| ())
    }
}
