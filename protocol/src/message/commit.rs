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
use crate::id::{AttemptId, JobId, Name, NodeId};
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
    /// Whether the answer says what the commit took.
    #[n(8)]
    pub explain: bool,
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
    /// As `Outcome`, and what it took to come to it; only for who asked, and only when it came
    /// about with this commit.
    #[n(3)]
    Explained(#[n(0)] Outcome, #[n(1)] Box<Costs>),
}

/// What a commit took, as its home primary counted it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Costs {
    /// The partitions that the job touched, its home among them, in their order.
    #[n(0)]
    pub parts: Vec<Part>,
    /// How often all partitions were asked, for a later time each; 0: the home's node decided
    /// alone.
    #[n(1)]
    pub rounds: u32,
    /// Questions sent to other nodes until it was decided. Those that go to one node at the same
    /// moment share a message, also with those of other jobs.
    #[n(2)]
    pub asked: u32,
    /// Answers that came from other nodes.
    #[n(3)]
    pub answered: u32,
}

/// What a job did in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Part {
    /// Which.
    #[n(0)]
    pub partition: u16,
    /// Who leads it; none: nobody is known to at the moment.
    #[n(1)]
    pub node: Option<NodeId>,
    /// Keys read that had to hold until the commit.
    #[n(2)]
    pub reads: u32,
    /// Prefixes scanned that had to hold until the commit.
    #[n(3)]
    pub scans: u32,
    /// Keys written.
    #[n(4)]
    pub writes: u32,
}
