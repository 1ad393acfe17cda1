//! Running chains and waiting for their results.
//!
//! ```text
//! callers --channel--> one task (submitter) --one message per chain and turn--> a scheduler
//!         <--oneshot--                      <--results in batches-- the last workers
//! ```
//!
//! The home of a job is in its id, and the id is chosen here. Where the chain's `key` finds another
//! home the scheduler says so and starts nothing; the call then goes on under another id, and the
//! next ones know (`pointers.rs`).
//!
//! Promise: a job has its effects at most once however often it is sent; every call ends, at
//! the latest at its timeout.

mod options;
mod outgoing;
mod pointers;
mod result;
mod task;

pub use options::{Cbor, Decoding, Json, Raw, Run};
pub(crate) use options::{cbor, json};
pub use result::RunResult;

pub(crate) use pointers::Pointers;
pub(crate) use task::{Command, Job, Told, start};
