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
use crate::placement::Member;
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

/// What a storage node tells everybody who asks on `catena.cluster`, and what the bucket of the
/// cluster's identity holds (as JSON). Fixed when the cluster is founded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cluster {
    /// 32 hexadecimal digits, never used by another cluster.
    pub id: String,
    /// Number of partitions.
    pub partitions: u16,
    /// Copies of each partition, each on a node of its own.
    #[serde(default = "one")]
    pub replicas: u8,
    /// The nodes that founded it, in the order of their ids; none: a record that does not say.
    #[serde(default)]
    pub members: Vec<Member>,
}

const fn one() -> u8 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::DiskId;

    #[test]
    fn a_record_without_members_is_read_as_one_replica() {
        let cluster: Cluster = serde_json::from_str(r#"{"id":"ab","partitions":8}"#).unwrap();
        assert_eq!(
            cluster,
            Cluster { id: "ab".into(), partitions: 8, replicas: 1, members: vec![] }
        );
    }

    #[test]
    fn a_record_names_its_disks_in_hexadecimal() {
        let member = Member { node: NodeId::new("storage-1").unwrap(), disk: DiskId([0xab; 16]) };
        let cluster =
            Cluster { id: "cd".into(), partitions: 8, replicas: 1, members: vec![member] };
        let text = serde_json::to_string(&cluster).unwrap();
        assert_eq!(
            text,
            r#"{"id":"cd","partitions":8,"replicas":1,"members":[{"node":"storage-1","disk":"abababababababababababababababab"}]}"#
        );
        assert_eq!(serde_json::from_str::<Cluster>(&text).unwrap(), cluster);
    }
}
