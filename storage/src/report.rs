//! What the threads of a node tell its loop.

use crate::error::Error;

/// Something is done, or has failed for good.
#[derive(Debug)]
pub(crate) enum Report {
    /// All frames up to this one are durable.
    Synced { frame: u64 },
    /// All batches up to this one are in the state.
    Applied { batch: u64 },
    /// The node must not go on.
    Failed(Error),
}
