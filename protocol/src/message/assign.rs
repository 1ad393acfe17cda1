//! **assign**: a scheduler has picked a worker for every step of a job.
//!
//! ```text
//! scheduler --[Step{index 0}, ...]--> catena.worker.<worker>.step
//! worker    --[Wanted]--> catena.scheduler.<id>.chain  (once for each chain it has not seen)
//! worker    <--Chain, by content--
//! ```
//!
//! The assignment does not change on its way from worker to worker; what changes is in
//! [`super::handoff::Step`].

use crate::clock::Timestamp;
use crate::id::{AttemptId, ChainHash, JobId, NodeId};
use minicbor::{Decode, Encode};

/// The plan of one attempt at a job.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Assignment {
    /// The job.
    #[n(0)]
    pub job: JobId,
    /// This try at it.
    #[n(1)]
    pub attempt: AttemptId,
    /// What to run.
    #[n(2)]
    pub chain: ChainHash,
    /// Who assigned it, and wants to know how it ended.
    #[n(3)]
    pub scheduler: NodeId,
    /// The worker of each step.
    #[n(4)]
    pub plan: Vec<NodeId>,
    /// All its reads are at this time.
    #[n(5)]
    pub snapshot: Timestamp,
    /// When the job ends in any case.
    #[n(6)]
    pub deadline: Timestamp,
    /// Where the result goes.
    #[n(7)]
    pub reply: Option<Reply>,
    /// Whether an outcome is recorded even if nothing was written, and for how long it is kept,
    /// in milliseconds.
    #[n(8)]
    pub record_ms: Option<u64>,
    /// W3C trace context.
    #[n(9)]
    pub trace: Option<String>,
    /// What came before this attempt; given where the caller wants to know what the job took.
    #[n(10)]
    pub tries: Option<Tries>,
}

/// How often a job was tried, and why again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Tries {
    /// Attempts, this one included.
    #[n(0)]
    pub attempts: u32,
    /// Of these, how many lost against other jobs.
    #[n(1)]
    pub conflicts: u32,
    /// How many ended with an operator that failed.
    #[n(2)]
    pub retries: u32,
    /// How many ended with trouble of the platform: a worker that was full or gone, a store that
    /// did not answer.
    #[n(3)]
    pub repeats: u32,
}

/// Where a result goes, and in which form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub enum Reply {
    /// The result itself as the body, facts in headers.
    #[n(0)]
    Text(#[n(0)] String),
    /// A batch of [`super::finish::Finished`].
    #[n(1)]
    Batch(#[n(0)] String),
}

/// A worker asks a scheduler for the chain behind a hash; the answer's body is the chain's
/// encoding, empty if it is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Wanted {
    /// The content hash.
    #[n(0)]
    pub chain: ChainHash,
}

/// A scheduler asks a worker whether settings are right; the answer is [`Checked`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Check {
    /// Which operator.
    #[n(0)]
    pub operator: crate::id::Name,
    /// Its settings as JSON text; empty: none.
    #[n(1)]
    pub settings: String,
}

/// The answer to [`Check`]: nothing, or what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Checked {
    /// What is wrong.
    #[n(0)]
    pub fault: Option<crate::Fault>,
}
