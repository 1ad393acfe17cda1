//! Why a scheduler cannot run.

/// Why a scheduler ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection to NATS cannot be made.
    #[error(transparent)]
    Connect(#[from] catena_link::ConnectError),
    /// The connection was closed for good; jobs in flight may still commit.
    #[error("the connection to NATS was closed: {0}")]
    Closed(String),
}
