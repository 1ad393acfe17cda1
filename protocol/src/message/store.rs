//! The conversation with a storage node: requests and answers, many in one message.
//!
//! ```text
//! client or worker --[Request, ...]--> catena.node.<id>, or catena.partition.<n>.primary
//!                  <--[Response, ...]-- its inbox
//! ```
//!
//! Answers come in any order and are matched by `id`, which the asker chose. A request may be
//! sent again at any time: reads are harmless, writes carry a request id, commits a job id.

use super::commit::{Commit, Decided, Outcome};
use super::read::{Found, Read, Record, Scan};
use super::write::{Write, Written};
use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::id::{JobId, NodeId};
use minicbor::{Decode, Encode};

/// One request to the primary of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// Chosen by the asker, unique among its open requests.
    #[n(0)]
    pub id: u64,
    /// Whose primary is meant.
    #[n(1)]
    pub partition: u16,
    /// What is asked.
    #[n(2)]
    pub ask: Ask,
}

/// What is asked of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Ask {
    /// One record.
    #[n(0)]
    Read(#[n(0)] Read),
    /// Records by prefix.
    #[n(1)]
    Scan(#[n(0)] Scan),
    /// A direct write.
    #[n(2)]
    Write(#[n(0)] Write),
    /// The end of a job.
    #[n(3)]
    Commit(#[n(0)] Commit),
    /// The outcome of a job.
    #[n(4)]
    Outcome(#[n(0)] JobId),
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Response {
    /// The request.
    #[n(0)]
    pub id: u64,
    /// The answer.
    #[n(1)]
    pub tell: Tell,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Tell {
    /// To `Read`.
    #[n(0)]
    Record(#[n(0)] Record),
    /// To `Scan`.
    #[n(1)]
    Records {
        /// In key order.
        #[n(0)]
        found: Vec<Found>,
        /// Where to go on: behind this key; none: this was all.
        #[n(1)]
        next: Option<crate::key::Key>,
    },
    /// To `Write`.
    #[n(2)]
    Written(#[n(0)] Written),
    /// To `Commit`.
    #[n(3)]
    Decided(#[n(0)] Decided),
    /// To `Outcome`; none: the job has none (yet).
    #[n(4)]
    Outcome(#[n(0)] Option<Outcome>),
    /// This node does not lead the partition; nothing was done.
    #[n(5)]
    NotPrimary {
        /// Who does, as far as it knows.
        #[n(0)]
        primary: Option<NodeId>,
    },
    /// Refused; nothing was done.
    #[n(6)]
    Fault(#[n(0)] Fault),
    /// The snapshot lies before what is kept; nothing was done.
    #[n(7)]
    SnapshotTooOld {
        /// The oldest time that can be read.
        #[n(0)]
        horizon: Timestamp,
    },
    /// This node led the partition when it was asked and does not any more: what was asked may
    /// still take effect. The same request to the new primary tells.
    #[n(8)]
    Deposed {
        /// Who leads now, as far as it knows.
        #[n(0)]
        primary: Option<NodeId>,
    },
    /// This replica has not got as far as the snapshot; nothing was done. Its primary has.
    #[n(9)]
    Behind {
        /// Who leads, as far as it knows.
        #[n(0)]
        primary: Option<NodeId>,
        /// How far it has got.
        #[n(1)]
        closed: Timestamp,
    },
}

/// What a storage node tells everybody who asks on `catena.cluster` (as JSON).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cluster {
    /// Random, made when the cluster was.
    pub id: String,
    /// Number of partitions.
    pub partitions: u16,
}
