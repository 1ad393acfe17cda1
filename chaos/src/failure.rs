//! Why a run could not be done. A run that was done and found something is no failure.

use std::io;

/// Why nothing can be said about the cluster.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The NATS server does not start, or not again.
    #[error(transparent)]
    Nats(#[from] catena_nats_server::StartError),
    /// There is no connection to the NATS server.
    #[error(transparent)]
    Connect(#[from] catena_link::ConnectError),
    /// A client could not be made.
    #[error(transparent)]
    Client(#[from] catena_client::Error),
    /// A process or file operation failed.
    #[error("the driver itself failed: {0}; nothing is judged")]
    Io(#[from] io::Error),
    /// The cluster does not come up before anything was broken.
    #[error("the cluster does not start: {0}; nothing is judged")]
    Start(String),
    /// The recording is wrong.
    #[error("the recording is wrong: {0}")]
    Recording(#[from] catena_history::Malformed),
}
