//! **prepare**: a job that touches several partitions becomes one commit of all of them.
//!
//! ```text
//! home primary --Prepare--> primary of each partition that the job touches, read or written
//!              <--Prepared- ready, or a later time is needed, or somebody else was first
//! home primary logs the outcome: the job is committed, everywhere
//! home primary --Resolve--> each that has its writes as an intent; again until it says Resolved
//! whoever was left with an intent --Inquire--> home primary --Resolve-->
//! ```
//!
//! Every line may be lost, late, repeated or overtaken. What tells them apart is the transaction:
//! one try of one home primary at committing one job. A transaction is committed if and only if
//! its home has logged so; a later primary of the home knows that what it does not find in its log
//! was not, for only a primary of the transaction's own epoch could have logged it.

use super::handoff::Effects;
use super::write::Mutation;
use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::id::{JobId, NodeId};
use crate::key::Key;
use minicbor::{Decode, Encode};

/// One try at committing a job. Never used twice: an epoch has one primary, and that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct TxnId {
    /// The job; its home decides.
    #[n(0)]
    pub job: JobId,
    /// The epoch of the home's primary that tries.
    #[n(1)]
    pub epoch: u64,
    /// Counts its tries.
    #[n(2)]
    pub number: u64,
}

/// Can this part of a job take effect at this time?
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Prepare {
    /// Which try.
    #[n(0)]
    pub txn: TxnId,
    /// Which partition is asked.
    #[n(1)]
    pub partition: u16,
    /// When it would take effect. Grows when the same transaction has to ask again.
    #[n(2)]
    pub at: Timestamp,
    /// All its reads were at this time.
    #[n(3)]
    pub snapshot: Timestamp,
    /// Whether what it read must still hold.
    #[n(4)]
    pub serializable: bool,
    /// What it read and wants to write in this partition.
    #[n(5)]
    pub effects: Effects,
}

/// The answer to [`Prepare`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Prepared {
    /// Which try.
    #[n(0)]
    pub txn: TxnId,
    /// Which partition answers.
    #[n(1)]
    pub partition: u16,
    /// The time that was asked about: an answer counts for no other.
    #[n(2)]
    pub at: Timestamp,
    /// What is answered.
    #[n(3)]
    pub readiness: Readiness,
}

/// Whether a part of a job can take effect.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Readiness {
    /// It can: whatever it writes is an intent, durable on a majority, and nothing that it read
    /// changes any more at or before its time.
    #[n(0)]
    Ready,
    /// Not at this time, perhaps at this one or later.
    #[n(1)]
    Later(#[n(0)] Timestamp),
    /// Somebody else changed a record, or is about to.
    #[n(2)]
    Conflict {
        /// Which.
        #[n(0)]
        key: Key,
        /// When.
        #[n(1)]
        version: Timestamp,
        /// The job stands in line for the record: a [`Turn`] follows.
        #[n(2)]
        queued: bool,
    },
    /// What it saw is not kept any more.
    #[n(3)]
    TooOld {
        /// The oldest time that can be read.
        #[n(0)]
        horizon: Timestamp,
    },
    /// It never can; the job fails with this.
    #[n(4)]
    Impossible(#[n(0)] Fault),
    /// Not at the moment.
    #[n(5)]
    Refused(#[n(0)] Fault),
    /// This node does not lead the partition.
    #[n(6)]
    NotPrimary {
        /// Who does, as far as it knows.
        #[n(0)]
        primary: Option<NodeId>,
    },
}

/// What a transaction will write in one partition if it is committed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Intent {
    /// Which transaction.
    #[n(0)]
    pub txn: TxnId,
    /// The version of what it will write.
    #[n(1)]
    pub at: Timestamp,
    /// What it will write.
    #[n(2)]
    pub mutations: Vec<Mutation>,
}

/// A committed transaction, as its home remembers it until everybody has heard of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Unsettled {
    /// Which transaction.
    #[n(0)]
    pub txn: TxnId,
    /// The version of what it wrote.
    #[n(1)]
    pub at: Timestamp,
    /// The other partitions that it wrote in.
    #[n(2)]
    pub partitions: Vec<u16>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Resolve {
    /// Which.
    #[n(0)]
    pub txn: TxnId,
    /// Whose intent is meant.
    #[n(1)]
    pub partition: u16,
    /// Committed, with this version; none: it has no effect.
    #[n(2)]
    pub at: Option<Timestamp>,
}

/// One part of a transaction, in the answer to [`Resolve`] and as a question for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Part {
    /// Which transaction.
    #[n(0)]
    pub txn: TxnId,
    /// Which partition.
    #[n(1)]
    pub partition: u16,
}

/// A job that stood in line for a record is the first: for a while nobody else replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Turn {
    /// The try that lost.
    #[n(0)]
    pub txn: TxnId,
    /// Where.
    #[n(1)]
    pub partition: u16,
    /// The version of the record: the job should see it.
    #[n(2)]
    pub version: Timestamp,
}
