//! What can be set, and what it is related to.

use super::Bug;
use catena_protocol::placement::Member;
use catena_protocol::{DiskId, NodeId, limit};

/// Settings of the rules. A wrong value costs memory, answers or old snapshots, never safety.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who this node is. Its disk is another one when its data is gone.
    pub me: Member,
    /// Larger at each start of the process.
    pub boot: u64,
    /// Differs between nodes and starts; spreads elections in time. 0: nothing does.
    pub seed: u64,
    /// The storage nodes with which the cluster was founded, fixed since.
    pub founders: Vec<Member>,
    /// Replicas of each partition; fewer where there are fewer nodes.
    pub replicas: usize,
    /// Number of partitions of the cluster; fixed for its life.
    pub partitions: u16,
    /// How long old versions are kept at least, in milliseconds: longer where schedulers tell of
    /// chains with longer deadlines. A job whose snapshot is older is started again, and one that
    /// always takes longer never gets through.
    pub retention_ms: u64,
    /// How long the answer to a direct write is remembered under its request id, in
    /// milliseconds. Must be longer than anybody retries.
    pub request_memory_ms: u64,
    /// Most requests that wait for a majority or the clock at once; more are refused with 429.
    /// About the number of callers times what each has open.
    pub held: usize,
    /// Most jobs that are about to write in one partition, and most of one home that are about to
    /// commit or have without all having heard of it; more are refused with 429. About the jobs that
    /// commit in the time that a partition may be without a primary.
    pub intents: usize,
    /// Most bytes of records that are not in the state yet; more are refused with 429. Several
    /// times the largest write set. Of what others decide no more is taken in once as much is
    /// on its way to the log, or committed and on its way into the state: in all a node keeps as much as it and all whom it
    /// follows have admitted, and once more of this.
    pub pending_bytes: usize,
    /// Committed records go to the state when there are so many bytes of them. Well below
    /// `pending_bytes`: others come while these are under way.
    pub apply_bytes: usize,
    /// Committed records go to the state after so many milliseconds at the latest.
    pub apply_ms: u64,
    /// Bytes of log that are kept in memory for replicas that missed something. What is older
    /// they get as a copy of the state. Shared out equally among the partitions of a node.
    pub tail_bytes: usize,
    /// Bytes of log, or of a copied state, in one message between nodes, about: a single record
    /// may be longer. Well below what the broker takes (1 MiB by default).
    pub message_bytes: usize,
    /// A mistake that was put back. Without the feature `bugs` it is not made.
    pub bug: Option<Bug>,
}

impl Settings {
    /// Whether a known mistake was put back.
    pub(super) const fn has(&self, bug: Bug) -> bool {
        match self.bug {
            #[cfg(feature = "bugs")]
            Some(made) => made as u8 == bug as u8,
            #[cfg(not(feature = "bugs"))]
            Some(_) => {
                let _ = bug;
                false
            }
            None => false,
        }
    }
}

impl Default for Settings {
    /// One node alone.
    fn default() -> Self {
        let me = alone();
        Self {
            founders: vec![me.clone()],
            me,
            boot: 1,
            seed: 1,
            replicas: 3,
            partitions: limit::PARTITIONS,
            retention_ms: limit::VERSIONS_MS + limit::RETENTION_MARGIN_MS,
            request_memory_ms: limit::REQUEST_MEMORY_MS,
            held: 65_536,
            intents: 16_384,
            pending_bytes: 128 * 1024 * 1024,
            apply_bytes: 32 * 1024 * 1024,
            apply_ms: 60_000,
            tail_bytes: 128 * 1024 * 1024,
            message_bytes: 256 * 1024,
            bug: None,
        }
    }
}

#[allow(clippy::expect_used, reason = "a constant")]
fn alone() -> Member {
    let node = NodeId::new("storage-1").expect("a valid id");
    Member { node, disk: DiskId([1; 16]) }
}

/// Time between two digests of a node, in microseconds: how often a primary that has nothing to
/// do says that it lives.
pub const BEAT_US: u64 = 100_000;
/// A primary closes timestamps so far behind its clock, in microseconds: what other primaries have
/// just given a time to must still find room above it. Longer than a message takes between nodes
/// that are near each other; where it takes longer, a commit over several partitions asks twice.
pub const CLOSE_BEHIND_US: u64 = 10_000;
/// For so long after it sent something that a majority has acknowledged, a primary answers from
/// what it knows.
pub const LEASE_US: u64 = 400_000;
/// For so long after it heard of a primary, and after its own start, a replica helps nobody else
/// to lead. Longer than the lease by as much as clocks may differ in rate over that time, and
/// then some.
pub const PROMISE_US: u64 = 500_000;
/// A primary that has not heard of a majority for so long gives up.
pub const QUORUM_US: u64 = 900_000;
