//! What a user of the `nats` CLI does, with exactly the bytes that it sends.

mod definitions;
mod discovery;
mod queue;
mod run;
mod service;
mod snapshot;
mod store;
mod submit;
