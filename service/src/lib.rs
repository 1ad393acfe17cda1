//! What scheduler, worker and storage node have in common as processes.
//!
//! Promise: every service can be found, asked for its figures and stopped in the ways that NATS
//! and Unix users know: `$SRV` discovery, Prometheus metrics, logs to standard error, SIGTERM.
//!
//! Deliberately unknown here: what the services do.

mod discovery;
mod endpoint;
mod identity;
mod shutdown;
mod telemetry;

pub use discovery::{Discovery, Facts};
pub use endpoint::{Endpoint, Endpoints};
pub use identity::{Identity, host};
pub use shutdown::{Shutdown, ShutdownHandle, on_signals, on_signals_then, shutdown};
pub use telemetry::{LogFormat, TelemetryError, init_logs, init_metrics};

/// The version that every service reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
