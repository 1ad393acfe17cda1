//! How much of the capacity each scheduler may use, so that several cannot overbook a worker.

use catena_protocol::NodeId;
use catena_protocol::clock::Now;
use catena_protocol::limit;
use std::collections::BTreeMap;

/// Schedulers remembered at most; beyond that, new ones share what the others have.
const MOST: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Credit {
    heard: BTreeMap<NodeId, u64>,
}

impl Credit {
    pub(super) fn heard(&mut self, now: Now, id: NodeId, draining: bool) {
        if draining {
            self.heard.remove(&id);
        } else if self.heard.len() < MOST || self.heard.contains_key(&id) {
            self.heard.insert(id, now.mono_us);
        }
        let oldest = now.mono_us.saturating_sub(limit::SILENCE_MS * 1000);
        self.heard.retain(|_, at| *at >= oldest);
    }

    /// Equal shares for the live schedulers, at least one step each.
    pub(super) fn share(&self, now: Now, capacity: u32) -> u32 {
        let oldest = now.mono_us.saturating_sub(limit::SILENCE_MS * 1000);
        let live = self.heard.values().filter(|at| **at >= oldest).count();
        let live = u32::try_from(live).unwrap_or(u32::MAX);
        (capacity / live.max(1)).max(1)
    }
}
