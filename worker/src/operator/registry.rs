//! The operators that a worker can run, by name.

use super::native::Native;
use super::{Configured, Context, Factory, Output, built_in, payload};
use bytes::Bytes;
use catena_protocol::chain::Effect;
use catena_protocol::message::heartbeat::Offer;
use catena_protocol::{Code, Fault, Name};
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

/// What a worker can run. Cheap to clone.
///
/// ```
/// use catena_protocol::chain::Effect;
/// use catena_worker::operator::Registry;
///
/// let registry = Registry::built_in()
///     .native("reverse", Effect::Pure, "the input backwards", |_context, input| async move {
///         Ok(input.iter().rev().copied().collect())
///     })?;
/// assert!(registry.configure("reverse", "").is_ok());
/// assert!(registry.configure("jq", r#"{"filter": ".[" }"#).is_err());
/// # Ok::<(), catena_protocol::Fault>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    factories: BTreeMap<Name, Arc<dyn Factory>>,
}

impl Registry {
    /// No operators at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The operators that come with every worker.
    pub fn built_in() -> Self {
        let factories = built_in::all()
            .map(|factory| (factory.offer().name, Arc::new(factory) as Arc<dyn Factory>))
            .collect();
        Self { factories }
    }

    /// Adds an operator.
    ///
    /// # Errors
    /// 409 if there is one of this name already; the registry is then lost, as this is a mistake
    /// in the program.
    pub fn with(mut self, factory: impl Factory) -> Result<Self, Fault> {
        let name = factory.offer().name;
        if self.factories.contains_key(&name) {
            return Err(Fault::new(
                Code::Conflict,
                format!("there is an operator `{name}` already; choose another name"),
            ));
        }
        self.factories.insert(name, Arc::new(factory));
        Ok(self)
    }

    /// Adds an operator that is an async closure of context and input. It finds its settings,
    /// which are not checked, in its context.
    ///
    /// # Errors
    /// 400 if `name` is not a name, 409 if it is taken.
    pub fn native<F, R>(
        self,
        name: &str,
        effect: Effect,
        help: &str,
        closure: F,
    ) -> Result<Self, Fault>
    where
        F: Fn(Context, Bytes) -> R + Send + Sync + 'static,
        R: Future<Output = Output> + Send + 'static,
    {
        self.with(Native::new(name, effect, help, closure)?)
    }

    /// Adds an operator that is an async closure of context and a JSON input of type `T`, with a
    /// result of type `U` that is written as JSON.
    ///
    /// # Errors
    /// 400 if `name` is not a name, 409 if it is taken.
    pub fn typed<T, U, F, R>(
        self,
        name: &str,
        effect: Effect,
        help: &str,
        closure: F,
    ) -> Result<Self, Fault>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
        U: serde::Serialize + 'static,
        F: Fn(Context, T) -> R + Send + Sync + 'static,
        R: Future<Output = Result<U, Fault>> + Send + 'static,
    {
        self.native(name, effect, help, move |context, input| {
            let running = payload::json::<T>(&input).map(|input| closure(context, input));
            async move {
                let result = running?.await?;
                payload::to_json(&result)
            }
        })
    }

    /// What this worker offers, by name.
    pub fn offers(&self) -> Vec<Offer> {
        self.factories.values().map(|factory| factory.offer()).collect()
    }

    /// An operator with its settings as JSON text; empty stands for none.
    ///
    /// # Errors
    /// 404 if there is no such operator, 400 if the settings are wrong.
    pub fn configure(&self, operator: &str, settings: &str) -> Result<Configured, Fault> {
        let found = Name::new(operator).ok().and_then(|name| self.factories.get(&name));
        let factory = found.ok_or_else(|| {
            Fault::new(Code::NotFound, format!("there is no operator `{operator}` on this worker"))
        })?;
        let settings = if settings.trim().is_empty() {
            Value::Null
        } else {
            serde_json::from_str(settings).map_err(|error| {
                Fault::bad_request(format!("the settings of `{operator}` are not JSON: {error}"))
            })?
        };
        factory.configure(&settings)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.factories.keys()).finish()
    }
}
