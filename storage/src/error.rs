//! Why a storage node cannot run, or cannot go on.

use crate::log::LogError;
use crate::machine::RestoreError;
use crate::state::StateError;
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
