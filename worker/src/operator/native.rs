//! Operators that the author of a worker adds as closures.

use super::{Configured, Context, Factory, Operator, Output, Running};
use bytes::Bytes;
use catena_protocol::chain::Effect;
use catena_protocol::message::heartbeat::Offer;
use catena_protocol::{Fault, Name};
use futures_util::FutureExt;
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;

/// Makes operators from one closure.
pub(super) struct Native<F> {
    offer: Offer,
    closure: Arc<F>,
}

impl<F> Native<F> {
    /// # Errors
    /// 400 if `name` is not a name.
    pub(super) fn new(name: &str, effect: Effect, help: &str, closure: F) -> Result<Self, Fault> {
        let name = Name::new(name).map_err(Fault::bad_request)?;
        let offer = Offer { name, effect, help: help.to_owned(), native: true };
        Ok(Self { offer, closure: Arc::new(closure) })
    }
}

impl<F, R> Factory for Native<F>
where
    F: Fn(Context, Bytes) -> R + Send + Sync + 'static,
    R: Future<Output = Output> + Send + 'static,
{
    fn offer(&self) -> Offer {
        self.offer.clone()
    }

    fn configure(&self, settings: &Value) -> Result<Configured, Fault> {
        let closure = Arc::clone(&self.closure);
        let operator = Step { closure, settings: Arc::new(settings.clone()) };
        Ok(Configured { operator: Arc::new(operator), effect: self.offer.effect })
    }
}

struct Step<F> {
    closure: Arc<F>,
    settings: Arc<Value>,
}

impl<F, R> Operator for Step<F>
where
    F: Fn(Context, Bytes) -> R + Send + Sync + 'static,
    R: Future<Output = Output> + Send + 'static,
{
    fn run(self: Arc<Self>, context: Context, input: Bytes) -> Running {
        (self.closure)(context.with_settings(Arc::clone(&self.settings)), input).boxed()
    }
}
