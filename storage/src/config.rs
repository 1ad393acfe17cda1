//! Settings of a storage node.

use crate::machine;
use catena_protocol::{NodeId, limit};
use std::path::PathBuf;

/// Settings of a storage node.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its id, unique among storage nodes; default: made of the id of its data directory, so that
    /// it stays the same over restarts.
    pub id: Option<NodeId>,
    /// Where everything is kept. One process at a time; made if it is not there.
    pub data: PathBuf,
    /// Number of partitions of a cluster that is begun here. Fixed for the life of the cluster:
    /// opening a data directory that was begun with another number is refused.
    pub partitions: u16,
    /// How long old versions are kept, in milliseconds. A job whose snapshot is older is started
    /// again, so it should be at least the longest deadline of the chains in use plus
    /// [`limit::RETENTION_MARGIN_MS`]; more costs disk. Default: 5 minutes and the margin.
    pub retention_ms: u64,
}

impl Config {
    /// Defaults, with everything kept in `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            id: None,
            data: data.into(),
            partitions: limit::PARTITIONS,
            retention_ms: machine::Settings::default().retention_ms,
        }
    }
}
