//! What this client has seen, so that nothing it asks for afterwards can be older.

use catena_protocol::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The highest version seen. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Causality(Arc<AtomicU64>);

impl Causality {
    /// Takes note of a version.
    pub(crate) fn saw(&self, version: Timestamp) {
        self.0.fetch_max(version.0, Ordering::Relaxed);
    }

    /// The highest version so far.
    pub(crate) fn token(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}
