//! Why a worker cannot run.

/// Why a worker cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// NATS cannot be reached with these settings.
    #[error(transparent)]
    Connect(#[from] catena_link::ConnectError),
    /// The connection was closed for good.
    #[error("the connection to NATS was closed: {0}")]
    Closed(String),
    /// The capacity is zero.
    #[error("a worker needs a capacity of at least 1 step")]
    NoCapacity,
}

impl Error {
    pub(crate) fn closed(reason: impl std::fmt::Display) -> Self {
        Self::Closed(reason.to_string())
    }
}
