//! Limits of the platform, each in one place. A limit that is exceeded is answered with the code
//! named beside it and changes nothing.

/// Longest key in bytes (413).
pub const KEY_BYTES: usize = 512;
/// Longest value of one record in bytes (413).
pub const VALUE_BYTES: usize = 256 * 1024;
/// Longest input of a job and longest result of an operator in bytes (413).
pub const PAYLOAD_BYTES: usize = 512 * 1024;
/// Most bytes that one job may write, keys and values together (413).
pub const WRITE_SET_BYTES: usize = 512 * 1024;
/// Most keys that one job may write, and most it may read (413).
pub const SET_KEYS: usize = 4_000;
/// Most steps of a chain (400).
pub const STEPS: usize = 64;
/// Largest chain definition in bytes of JSON (413).
pub const CHAIN_BYTES: usize = 64 * 1024;
/// Room that a message leaves below the server's `max_payload`, for headers and growth.
pub const MESSAGE_MARGIN: usize = 64 * 1024;
/// Deadline of a job that names none, in milliseconds.
pub const DEADLINE_MS: u64 = 60_000;
/// Longest deadline of a job, in milliseconds (400).
pub const DEADLINE_MAX_MS: u64 = 3_600_000;
/// Longest deadline of a `run` job, in milliseconds: it ends while its outcome would be kept, with
/// time to write it down. What takes longer is for `submit`.
pub const RUN_DEADLINE_MAX_MS: u64 = OUTCOME_RUN_MS - RETENTION_MARGIN_MS;
/// How long `run` and store requests wait for an answer unless `Catena-Timeout` says otherwise;
/// inside the five seconds that the `nats` CLI waits.
pub const ANSWER_MS: u64 = 4_500;
/// Steps that one worker holds at once, over all schedulers (429).
pub const OUTSTANDING_STEPS: u32 = 4_096;
/// Bytes of inputs that one scheduler holds (429).
pub const HELD_INPUT_BYTES: usize = 256 * 1024 * 1024;
/// Most items in one batch; a longer one is refused as malformed (400).
pub const BATCH_ITEMS: usize = 65_536;
/// Records that one scan returns at most; the answer says where to go on.
pub const SCAN_RECORDS: u32 = 1_000;
/// Default number of partitions of a cluster, fixed for the cluster's life.
pub const PARTITIONS: u16 = 64;
/// Most storage nodes that found a cluster together.
pub const FOUNDERS: usize = 64;
/// How far a remote clock may run ahead of ours before its timestamps are refused, in
/// microseconds.
pub const CLOCK_OFFSET_US: u64 = 500_000;
/// Time between two heartbeats of a service, in milliseconds.
pub const HEARTBEAT_MS: u64 = 500;
/// A service that was silent for this long is taken for dead, in milliseconds.
pub const SILENCE_MS: u64 = 1_600;
/// How long outcomes of `run` jobs are kept, in milliseconds: 10 minutes.
pub const OUTCOME_RUN_MS: u64 = 600_000;
/// How long outcomes of `submit` jobs are kept, in milliseconds: 24 hours.
pub const OUTCOME_SUBMIT_MS: u64 = 86_400_000;
/// How long a direct write's request id is remembered, in milliseconds.
pub const REQUEST_MEMORY_MS: u64 = 600_000;
/// Old versions are kept at least so long, in milliseconds, whatever the deadlines of chains are.
pub const VERSIONS_MS: u64 = 300_000;
/// Old versions are kept this much longer than the longest deadline, in milliseconds.
pub const RETENTION_MARGIN_MS: u64 = 30_000;
