//! The storage node: keeps records, versions of them, and the outcomes of jobs.
//!
//! - [`machine`]: the rules. Pure: requests in, effects out.
//! - [`state`]: what the committed decisions add up to.
//! - [`log`]: the write-ahead log, on top of [`disk`].
//! - `run`: the process around them, the only place that knows NATS, threads and time (feature
//!   `service`).
//!
//! Deliberately unknown here: chains, operators and schedulers. A job is an id, a set of effects
//! and an end.

pub mod disk;
pub mod log;
pub mod machine;
pub mod state;
