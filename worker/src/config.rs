//! Settings of a worker.

use crate::operator::Registry;
use catena_protocol::{NodeId, limit};
use std::time::Duration;

/// Settings of a worker.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its id, unique among workers; default: random.
    pub id: Option<NodeId>,
    /// What it can run.
    pub registry: Registry,
    /// Steps that it holds at once. More are planned elsewhere; if there is nowhere else the
    /// caller is told 429. A large value costs memory: up to 1 MiB for each step.
    pub capacity: u32,
    /// How long steps may go on after the end was asked for. What is not finished then is run
    /// again elsewhere. Must be shorter than what a supervisor waits before it kills.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            id: None,
            registry: Registry::built_in(),
            capacity: limit::OUTSTANDING_STEPS,
            drain: Duration::from_secs(20),
        }
    }
}
