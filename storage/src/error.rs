//! Why a storage node cannot run, or cannot go on.

use crate::log::LogError;
use crate::machine::RestoreError;
use crate::state::StateError;
use catena_protocol::{DiskId, NodeId};
use std::io;
use std::path::PathBuf;

/// Why a storage node cannot run, or cannot go on. Everything that was acknowledged is on disk;
/// what was under way is not acknowledged and may be sent again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// NATS cannot be reached with these settings.
    #[error(transparent)]
    Connect(#[from] catena_link::ConnectError),
    /// The connection was closed for good.
    #[error("the connection to NATS was closed: {0}")]
    Closed(String),
    /// There must be a partition.
    #[error("a cluster needs at least 1 partition")]
    NoPartitions,
    /// Nobody, or too many, would found the cluster.
    #[error(
        "a cluster is founded by 1 to {max} storage nodes; nothing was changed; set another size or name other members",
        max = catena_protocol::limit::FOUNDERS
    )]
    Size,
    /// Not a number of replicas, or more than there are nodes.
    #[error(
        "{replicas} replicas are asked for in a cluster of {size} storage node(s), but a cluster keeps 1, 3 or 5, at most one per node; nothing was changed; set fewer replicas or found it with more nodes"
    )]
    Replicas {
        /// What was asked for.
        replicas: u8,
        /// Number of founders.
        size: u8,
    },
    /// A founder is named twice.
    #[error(
        "`{node}` is named twice among the founding members; nothing was changed; name each once"
    )]
    NamedTwice {
        /// Which.
        node: NodeId,
    },
    /// The founders are named, and this node is none of them.
    #[error(
        "the founding members are {founders}, and this storage node {}; nothing was changed; give it the id of one of them",
        node.as_ref().map_or("was given no id".to_owned(), |id| format!("is `{id}`"))
    )]
    NotNamed {
        /// This node, if it was given an id.
        node: Option<NodeId>,
        /// The founders.
        founders: String,
    },
    /// Settings contradict what was fixed when the data directory or the cluster began.
    #[error(
        "{what} is fixed: it is {found}, but {wanted} is asked for; nothing was changed; ask for what it is, or for nothing"
    )]
    Fixed {
        /// What cannot change.
        what: &'static str,
        /// What it is.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// Two processes with different data use one node id.
    #[error(
        "two storage nodes call themselves `{node}`, with disks `{one}` and `{other}`; nothing was changed; stop one of them, or give it another id and an empty data directory"
    )]
    TwoDisks {
        /// The id.
        node: NodeId,
        /// One disk.
        one: DiskId,
        /// Another disk.
        other: DiskId,
    },
    /// The cluster is there and this node does not belong to it.
    #[error(
        "cluster `{cluster}` was founded by {members}, and `{node}` is not one of them; nothing was changed; start it under the id of the member that it replaces, or under another subject prefix"
    )]
    NotAMember {
        /// This node.
        node: NodeId,
        /// The cluster.
        cluster: String,
        /// Who belongs to it.
        members: String,
    },
    /// The disk of a member is gone, and with it the only copy of what it held.
    #[error(
        "`{node}` is a member of cluster `{cluster}`, but its data directory is empty, and the cluster keeps one replica only: there is no other copy; nothing was changed; restore the directory from a copy, or, if the data is given up, delete bucket `{bucket}` and all data directories"
    )]
    OnlyCopy {
        /// This node.
        node: NodeId,
        /// The cluster.
        cluster: String,
        /// Where the cluster is recorded.
        bucket: String,
    },
    /// A file operation on the data directory failed.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Data {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the data directory.
    #[error(
        "the data directory `{}` is in use by another process; stop it, or name another directory",
        path.display()
    )]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The file that says whose data it is cannot be read.
    #[error(
        "`{}` is damaged: {why}; nothing was changed; restore it from a copy",
        path.display()
    )]
    Identity {
        /// Which file.
        path: PathBuf,
        /// In what way.
        why: String,
    },
    /// The data directory belongs to a cluster with another number of partitions.
    #[error(
        "this cluster was begun with {found} partitions and keeps them for its life, but {wanted} are asked for; nothing was changed"
    )]
    Partitions {
        /// What the data directory says.
        found: u16,
        /// What was asked for.
        wanted: u16,
    },
    /// The NATS server knows another cluster.
    #[error(
        "NATS bucket `{bucket}` names cluster `{theirs}`, but the data directory belongs to {}; nothing was changed and nothing is served: connect to the right NATS server, use the right data directory, or, if the old data is given up, delete the bucket",
        ours.as_ref().map_or("none yet".to_owned(), |id| format!("cluster `{id}`"))
    )]
    OtherCluster {
        /// Where it says so.
        bucket: String,
        /// What it says.
        theirs: String,
        /// The cluster of the data directory, if it has one.
        ours: Option<String>,
    },
    /// The log is gone, or another one.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Log and state do not fit.
    #[error("the log cannot be replayed: {0}; nothing is served")]
    Restore(#[from] RestoreError),
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The state is there, the log is not.
    #[error(
        "the data directory `{}` had a log and has none any more: acknowledged records may be lost; restore it from a copy",
        path.display()
    )]
    LogMissing {
        /// Which directory.
        path: PathBuf,
    },
    /// A thread of the node has ended.
    #[error("the {0} thread has ended unexpectedly")]
    Thread(&'static str),
}

impl Error {
    pub(crate) fn closed(reason: impl std::fmt::Display) -> Self {
        Self::Closed(reason.to_string())
    }
}
