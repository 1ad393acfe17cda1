//! Which storage nodes keep which partition.

use crate::id::{DiskId, NodeId};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// A storage node with the data directory that it had: with another one it is another member.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct Member {
    /// Its id.
    #[n(0)]
    pub node: NodeId,
    /// Its data directory.
    #[n(1)]
    pub disk: DiskId,
}

/// For each partition its replicas; the first should lead it.
pub fn place(nodes: &[NodeId], partitions: u16, replicas: usize) -> Vec<Vec<NodeId>> {
    let mut nodes = nodes.to_vec();
    nodes.sort();
    (0..usize::from(partitions))
        .map(|p| (0..replicas.min(nodes.len())).map(|i| nodes[(p + i) % nodes.len()].clone()).collect())
        .collect()
}
