//! What a run is to be like.

use crate::fault::Fault;
use std::path::PathBuf;
use std::time::Duration;

/// What a run is to be like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The binary `catena`.
    pub program: PathBuf,
    /// For how long things are broken. The last fault may end some seconds later.
    pub lasts: Duration,
    /// The same seed breaks the same things in the same order; when exactly, and what clients do
    /// meanwhile, is up to the machine.
    pub seed: u64,
    /// Clients, each with one operation under way at a time; at least 1.
    pub clients: usize,
    /// Keys in use at a time; at least 1. Every fourth holds integers.
    pub keys: usize,
    /// Operations per second, of all clients together; at least 1.
    pub per_second: u32,
    /// Kinds of faults.
    pub faults: Vec<Fault>,
    /// Keep the folder with all logs and the history also if nothing is wrong.
    pub keep: bool,
}

impl Plan {
    /// A minute of all faults, with 16 clients and 10 keys.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            lasts: Duration::from_secs(60),
            seed: 1,
            clients: 16,
            keys: 10,
            per_second: 300,
            faults: Fault::ALL.to_vec(),
            keep: false,
        }
    }

    /// How often each client acts.
    pub(crate) fn pace(&self) -> Duration {
        let clients = u32::try_from(self.clients).unwrap_or(u32::MAX);
        Duration::from_secs(1).saturating_mul(clients) / self.per_second.max(1)
    }

    /// More operations than there can be.
    pub(crate) fn limit(&self) -> usize {
        let seconds = usize::try_from(self.lasts.as_secs()).unwrap_or(usize::MAX);
        let rate = usize::try_from(self.per_second).unwrap_or(usize::MAX);
        seconds.saturating_add(120).saturating_mul(rate)
    }
}
