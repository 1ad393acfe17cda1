//! What the threads of a node tell its loop.

use crate::error::Error;
use catena_protocol::message::store::Tell;

/// Something is done, or has failed for good.
#[derive(Debug)]
pub(crate) enum Report {
    /// All frames up to this one are durable, after so many syncs of the log since the start.
    Synced { frame: u64, syncs: u64 },
    /// All batches up to this one are in the state.
    Applied { batch: u64 },
    /// Another node answered what a person asked here.
    Told { number: u64, tell: Tell },
    /// The node must not go on.
    Failed(Error),
}
