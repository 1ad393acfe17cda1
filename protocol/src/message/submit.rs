//! **submit**: a caller hands a job to a scheduler.
//!
//! ```text
//! client library --[Submit, ...]--> catena.run.<chain> --> one scheduler
//! client library <--[Finished, ...]-- its inbox <-- the last worker of each job, or the scheduler
//! ```
//!
//! The `nats` CLI sends text instead and gets text; see `edge`. One request may carry many jobs.

use crate::clock::Timestamp;
use crate::codec::Blob;
use crate::id::JobId;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// One job to be run, under an id that its caller chose, so that asking again cannot run its
/// effects twice.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Submit {
    /// The job.
    #[n(0)]
    pub job: JobId,
    /// Its input.
    #[n(1)]
    pub input: Blob,
    /// Time that the caller gives it, in milliseconds; 0: the chain's deadline.
    #[n(2)]
    pub timeout_ms: u64,
    /// Causality token: the snapshot is at least this.
    #[n(3)]
    pub after: Timestamp,
    /// Whether the id stands for an idempotency key, so that an outcome must be recorded even
    /// when the chain writes nothing.
    #[n(4)]
    pub keyed: bool,
    /// W3C trace context.
    #[n(5)]
    pub trace: Option<String>,
    /// The steps of an inline chain, as in header `Catena-Chain`.
    #[n(6)]
    pub inline: Option<String>,
    /// Whether the answer says what the job took.
    #[n(7)]
    pub explain: bool,
    /// Whether the home in the id is only proposed: where the chain's `key` finds another one,
    /// nothing is started and the answer says so. Only the first time that a job is sent: once it
    /// may have been started somewhere, its id is what keeps it from happening twice.
    #[n(8)]
    pub may_move: bool,
}

/// The answer to `submit` at the edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// The job.
    pub job: JobId,
    /// Always `queued`.
    pub state: String,
    /// Whether this idempotency key was on the queue before.
    #[serde(default)]
    pub duplicate: bool,
}
