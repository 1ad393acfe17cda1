//! Running chains and waiting for their results.
//!
//! ```text
//! callers --channel--> one task (submitter) --one message per chain and turn--> a scheduler
//!         <--oneshot--                      <--results in batches-- the last workers
//! ```
//!
//! Promise: a job has its effects at most once however often it is sent; every call ends, at
//! the latest at its timeout.

mod options;
mod outgoing;
mod result;
mod task;

pub use options::{Cbor, Decoding, Json, Raw, Run};
pub(crate) use options::{cbor, json};
pub use result::RunResult;

pub(crate) use task::{Command, Job, start};
