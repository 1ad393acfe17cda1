//! The settings of a scheduler process.

use crate::machine;
use catena_protocol::{NodeId, limit};
use std::time::Duration;

/// The settings of a scheduler. [`Config::default`] is good for most.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its id, unique among schedulers; none: one is made up.
    pub id: Option<NodeId>,
    /// Most jobs in flight; more are answered 429. Each takes about 500 bytes and its input.
    pub max_jobs: usize,
    /// Most bytes of inputs that are held; more are answered 429.
    pub held_bytes: usize,
    /// How often one job may lose against others before it fails with 409.
    pub conflicts: u32,
    /// Most jobs of one chain from the durable queue in flight here; what is beyond waits in the
    /// queue. All chains together use at most three quarters of `max_jobs`, so that `run` always
    /// finds room.
    pub max_queued: usize,
    /// Most messages that the durable queue holds, over all chains; more are answered 429. Takes
    /// effect when the queue is created.
    pub queue_messages: i64,
    /// Copies of queue and definitions in a NATS cluster. Takes effect when they are created.
    pub replicas: usize,
    /// How long a shutdown waits for jobs in flight.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            id: None,
            max_jobs: 65_536,
            held_bytes: limit::HELD_INPUT_BYTES,
            conflicts: 100,
            max_queued: 1_024,
            queue_messages: 1_000_000,
            replicas: 1,
            drain: Duration::from_secs(20),
        }
    }
}

impl Config {
    /// What of it the rules need to know.
    pub(crate) fn rules(&self, id: NodeId) -> machine::Settings {
        machine::Settings {
            max_jobs: self.max_jobs,
            held_bytes: self.held_bytes,
            conflicts: self.conflicts,
            ..machine::Settings::of(id)
        }
    }
}
