//! **finish**: how an attempt ended, for the caller and for the scheduler.
//!
//! ```text
//! last worker --[Finished, ...] or text--> the caller's inbox
//! any worker  --[Finish, ...]--> catena.scheduler.<id>.finish
//! ```
//!
//! A worker answers the caller itself only when the job is decided for good; everything else is
//! told to the scheduler, which runs the job again or records that it failed.

use super::assign::Tries;
use super::commit::Costs;
use crate::clock::Timestamp;
use crate::codec::Blob;
use crate::fault::{Code, Fault};
use crate::id::{AttemptId, JobId, NodeId};
use minicbor::{Decode, Encode};

/// The definite answer to a caller of the client library.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Finished {
    /// The job.
    #[n(0)]
    pub job: JobId,
    /// Its commit timestamp, or its snapshot if it committed nothing.
    #[n(1)]
    pub version: Timestamp,
    /// Its result, or why there is none.
    #[n(2)]
    pub result: Answer,
    /// What it took, for who asked and where it is known.
    #[n(3)]
    pub explained: Option<Box<Explained>>,
}

/// What a job took: facts of its last attempt, gathered on its way.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Explained {
    /// How often it was tried.
    #[n(0)]
    pub tries: Tries,
    /// The worker of each step.
    #[n(1)]
    pub plan: Vec<NodeId>,
    /// What its commit took; none: it needed none, or an earlier attempt had committed.
    #[n(2)]
    pub commit: Option<Costs>,
}

/// A result, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// The result of the last operator.
    #[n(0)]
    Result(#[n(0)] Blob),
    /// The job failed.
    #[n(1)]
    Fault(#[n(0)] Fault),
    /// Nothing was started: what the chain's `key` points to lies in another partition than the
    /// home that was proposed. Only for a submission that may move.
    #[n(2)]
    Elsewhere {
        /// The chain's `key`: where in the input the routing key stands.
        #[n(0)]
        pointer: String,
    },
}

impl Answer {
    /// The result, or why there is none.
    ///
    /// # Errors
    /// Why there is none.
    pub fn into_result(self) -> Result<Blob, Fault> {
        match self {
            Self::Result(result) => Ok(result),
            Self::Fault(fault) => Err(fault),
            Self::Elsewhere { pointer } => Err(Fault::new(
                Code::Unavailable,
                format!(
                    "the home of this job is where `{pointer}` of its input lies; nothing was \
                     started; submit it with that home"
                ),
            )),
        }
    }
}

/// How an attempt ended, for the scheduler that assigned it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Finish {
    /// The job.
    #[n(0)]
    pub job: JobId,
    /// The attempt.
    #[n(1)]
    pub attempt: AttemptId,
    /// How it ended.
    #[n(2)]
    pub end: AttemptEnd,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum AttemptEnd {
    /// The job has an outcome and the caller was answered.
    #[n(0)]
    Decided {
        /// Commit timestamp, or the snapshot if nothing was committed.
        #[n(0)]
        version: Timestamp,
        /// Whether the outcome is a result (and not a failure).
        #[n(1)]
        good: bool,
    },
    /// An operator failed: retry or record it.
    #[n(1)]
    Failed {
        /// Which step.
        #[n(0)]
        step: u8,
        /// Why.
        #[n(1)]
        fault: Fault,
    },
    /// Another job was faster: run it again on a snapshot at or after this.
    #[n(2)]
    Conflict {
        /// When the other one committed.
        #[n(0)]
        version: Timestamp,
    },
    /// This worker has no room or is draining: plan it anew.
    #[n(3)]
    Full {
        /// Which worker.
        #[n(0)]
        worker: NodeId,
    },
    /// The worker that should run the next step is gone: plan it anew.
    #[n(4)]
    Gone {
        /// Which worker.
        #[n(0)]
        worker: NodeId,
    },
    /// The snapshot is older than what the store keeps, or the store could not be reached in
    /// time: run it again on a new one.
    #[n(5)]
    Again {
        /// Why.
        #[n(0)]
        fault: Fault,
    },
}
