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

#[cfg(feature = "service")]
mod applier;
#[cfg(feature = "service")]
mod cluster;
#[cfg(feature = "service")]
mod config;
#[cfg(feature = "service")]
mod data;
#[cfg(feature = "service")]
mod edge;
#[cfg(feature = "service")]
mod error;
#[cfg(feature = "service")]
mod forward;
#[cfg(feature = "service")]
mod founding;
#[cfg(feature = "service")]
mod intake;
#[cfg(feature = "service")]
mod metrics;
#[cfg(feature = "service")]
mod open;
#[cfg(feature = "service")]
mod peers;
#[cfg(feature = "service")]
mod report;
#[cfg(feature = "service")]
mod run;
#[cfg(feature = "service")]
mod status;
#[cfg(feature = "service")]
mod turn;
#[cfg(feature = "service")]
mod writer;

#[cfg(feature = "service")]
pub use config::{Config, Founders};
#[cfg(feature = "service")]
pub use error::Error;
#[cfg(feature = "service")]
pub use run::run;
