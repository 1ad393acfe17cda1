//! Logs to standard error and metrics for Prometheus.

use metrics_exporter_prometheus::PrometheusBuilder;
use std::io::IsTerminal;
use std::net::SocketAddr;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Telemetry that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter is malformed.
    #[error("`{filter}` is not a log filter; expected for example `info` or `catena_worker=debug`")]
    Filter {
        /// What was given.
        filter: String,
    },
    /// The metrics listener cannot be opened.
    #[error("cannot serve metrics on {address}: {reason}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
}

/// Starts logging to standard error. `filter` is in the syntax of `RUST_LOG`.
///
/// # Errors
/// If the filter is malformed.
pub fn init_logs(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|_| TelemetryError::Filter { filter: filter.to_owned() })?;
    let builder = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr);
    // A second call (tests, embedding programs) keeps the first subscriber.
    let _ = match format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    Ok(())
}

/// Serves `http://<address>/metrics`.
///
/// # Errors
/// If the address cannot be listened on.
pub fn init_metrics(address: SocketAddr) -> Result<(), TelemetryError> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        .install()
        .map_err(|error| TelemetryError::Listen { address, reason: error.to_string() })
}
