//! What can be set, and what it is related to.

use catena_protocol::limit;

/// Settings of the rules. A wrong value costs memory, answers or old snapshots, never safety.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Number of partitions of the cluster; fixed for its life.
    pub partitions: u16,
    /// How long old versions are kept, in milliseconds. Should be at least the longest deadline
    /// of a chain that is in use plus [`limit::RETENTION_MARGIN_MS`]: a job whose snapshot is
    /// older is started again, and one that always takes longer never gets through.
    pub retention_ms: u64,
    /// How long the answer to a direct write is remembered under its request id, in
    /// milliseconds. Must be longer than anybody retries.
    pub request_memory_ms: u64,
    /// Most requests that wait for a sync or the clock at once; more are refused with 429. About
    /// the number of callers times what each has open.
    pub held: usize,
    /// Most bytes of records that are not in the state yet; more are refused with 429. Several
    /// times the largest write set.
    pub pending_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partitions: limit::PARTITIONS,
            retention_ms: 300_000 + limit::RETENTION_MARGIN_MS,
            request_memory_ms: limit::REQUEST_MEMORY_MS,
            held: 65_536,
            pending_bytes: 64 * 1024 * 1024,
        }
    }
}
