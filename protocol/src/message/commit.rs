//! **commit**: the one place where a job takes effect.
//!
//! ```text
//! last worker --Commit--> primary of the home partition
//!             <--Decided::Outcome (its own or an earlier attempt's), or Conflict--
//! ```
//!
//! A scheduler uses the same message to record that a job failed, was cancelled or died. The
//! first outcome of a job wins; everybody else receives it.

use super::handoff::Effects;
use crate::chain::Isolation;
use crate::clock::Timestamp;
use crate::codec::Blob;
use crate::fault::Fault;
use crate::id::{AttemptId, JobId, Name};
use crate::key::Key;
use minicbor::{Decode, Encode};

/// An attempt wants to be the one that counts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Commit {
    /// The job.
    #[n(0)]
    pub job: JobId,
    /// The attempt.
    #[n(1)]
    pub attempt: AttemptId,
    /// Which chain, for those who look at the outcome later.
    #[n(2)]
    pub chain: Name,
    /// All its reads were at this time.
    #[n(3)]
    pub snapshot: Timestamp,
    /// What must still hold of its reads.
    #[n(4)]
    pub isolation: Isolation,
    /// What it read and wants to write.
    #[n(5)]
    pub effects: Effects,
    /// How it ends if it is the first. Effects count only with `Committed`.
    #[n(6)]
    pub end: End,
    /// How long the outcome is kept, in milliseconds.
    #[n(7)]
    pub keep_ms: u64,
}

/// How a job ends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum End {
    /// Its writes are visible; this is its result.
    #[n(0)]
    Committed(#[n(0)] Blob),
    /// It had no effect, and why.
    #[n(1)]
    Failed(#[n(0)] Fault),
    /// It was cancelled and had no effect.
    #[n(2)]
    Cancelled,
    /// All its attempts failed; it had no effect and is kept, and why.
    #[n(3)]
    Dead(#[n(0)] Fault),
}

/// The one terminal record of a job.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Outcome {
    /// The job.
    #[n(0)]
    pub job: JobId,
    /// The attempt that was first.
    #[n(1)]
    pub attempt: AttemptId,
    /// Which chain it ran.
    #[n(2)]
    pub chain: Name,
    /// Commit timestamp: the version of everything it wrote.
    #[n(3)]
    pub version: Timestamp,
    /// How it ended.
    #[n(4)]
    pub end: End,
    /// When this record may be forgotten.
    #[n(5)]
    pub expires: Timestamp,
}

/// The answer to a commit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Decided {
    /// The job has this outcome, now or since an earlier attempt.
    #[n(0)]
    Outcome(#[n(0)] Outcome),
    /// Somebody else changed `key` since the snapshot. Nothing was recorded; the job may run
    /// again on a snapshot at or after `version`.
    #[n(1)]
    Conflict {
        /// What both touched.
        #[n(0)]
        key: Key,
        /// When it was changed.
        #[n(1)]
        version: Timestamp,
    },
    /// Another attempt of the job is being decided about. Nothing was recorded of this one; asked
    /// again later, the answer is the outcome, if that one comes to one.
    #[n(2)]
    Busy {
        /// After how long to ask again, in milliseconds.
        #[n(0)]
        wait_ms: u64,
    },
}
