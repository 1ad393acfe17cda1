//! Operators: what the steps of a chain run.
//!
//! Promise: settings are checked once, when a chain is configured; after that an operator only
//! ever fails for reasons that lie in its input, the store, or itself. Whatever an operator does
//! to the store goes through its [`Context`], which keeps to the declared [`Effect`] and to the
//! limits, and is closed when the step ends.
//!
//! ```text
//! Registry --configure(name, settings)--> Configured { operator, effect }      once per chain
//! operator --run_now(input)--> result                                     tiny and pure: inline
//! operator --run(context, input)--> future of the result                        everything else
//! context  --finish()--> effects                                    for the hand-off, or nothing
//! ```
//!
//! Deliberately unknown here: jobs and their plans, hand-offs, timeouts, and how a store is
//! reached ([`Store`] is given). Panics pass through; whoever polls an operator catches them.

mod asked_store;
mod at_once;
mod built_in;
mod context;
mod door;
mod key_index;
#[cfg(test)]
mod memory_store;
mod native;
mod payload;
mod registry;
mod scan;
mod service;
mod store;
mod write_buffer;

pub use asked_store::Asking;
pub use context::{Context, Opening};
pub use door::Doors;
pub use registry::Registry;
pub use service::ServiceOperator;
pub use store::{Page, Store};

use bytes::Bytes;
use catena_protocol::Fault;
use catena_protocol::chain::Effect;
use catena_protocol::message::heartbeat::Offer;
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;

/// How a step ends: the input of the next one, or why there is none. An operator that fails
/// says `Code::OperatorFailed`; other codes say that it was not the operator's fault.
pub type Output = Result<Bytes, Fault>;

/// A step that is being run. Dropping it ends the step; what it held is given back.
pub type Running = BoxFuture<'static, Output>;

/// One step of one chain, its settings already checked. Shared by all jobs of that chain.
pub trait Operator: Send + Sync + 'static {
    /// Runs the step on `input`.
    fn run(self: Arc<Self>, context: Context, input: Bytes) -> Running;

    /// The result at once, for operators that need no context and less than about 50 us for
    /// this input; none: it must be [`run`](Self::run). Called on the worker's own loop.
    fn run_now(&self, _input: &Bytes) -> Option<Output> {
        None
    }
}

/// An operator with its settings, and what it may do with them.
#[derive(Clone)]
pub struct Configured {
    /// The operator.
    pub operator: Arc<dyn Operator>,
    /// What it may do to the store with these settings; at most what the factory offers.
    pub effect: Effect,
}

/// Makes operators of one name from settings.
pub trait Factory: Send + Sync + 'static {
    /// What is told to schedulers and people. Its effect is the strongest that any settings lead
    /// to.
    fn offer(&self) -> Offer;

    /// The operator with these settings; `null` stands for no settings.
    ///
    /// # Errors
    /// 400 with the setting that is wrong and what would be right.
    fn configure(&self, settings: &Value) -> Result<Configured, Fault>;
}

#[cfg(test)]
mod tests;
