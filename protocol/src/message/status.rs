//! What a storage node says of itself to whoever looks after the cluster, in JSON.

use super::gossip::Part;
use super::store::Cluster;
use crate::clock::Timestamp;
use crate::id::NodeId;
use crate::placement::Member;
use serde::{Deserialize, Serialize};

/// One storage node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Who it is.
    pub member: Member,
    /// The cluster as it was founded.
    pub cluster: Cluster,
    /// Its replicas, by partition.
    pub replicas: Vec<ReplicaStatus>,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaStatus {
    /// Of which partition.
    pub partition: u16,
    /// What it is.
    pub part: Part,
    /// The highest epoch that it knows.
    pub epoch: u64,
    /// Whether it leads and answers.
    pub serves: bool,
    /// Who leads, as far as it knows.
    pub primary: Option<NodeId>,
    /// The index of the last record in its log.
    pub last: u64,
    /// Up to this index it knows the log to be committed.
    pub commit: u64,
    /// It answers reads at snapshots up to here, in microseconds since 1970.
    pub closed: Timestamp,
    /// Who has a vote, as far as it knows.
    pub voters: Vec<Member>,
    /// Why it has stopped, if it has.
    pub halted: Option<String>,
}
