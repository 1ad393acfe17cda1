//! The one error of this library.

use catena_protocol::{Code, Fault, JobId};
use std::fmt;

/// What kind of error it is, to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The connection settings are wrong, or the server refused them.
    Connect,
    /// The request cannot be understood; sending it again will not help.
    BadRequest,
    /// No such chain, operator or job.
    NotFound,
    /// Somebody else changed what this depends on; this request changed nothing.
    Conflict,
    /// The job was cancelled and had no effect.
    Cancelled,
    /// A limit on size was exceeded; nothing was changed.
    TooLarge,
    /// An operator failed; the job had no effect.
    OperatorFailed,
    /// A queue is full; nothing was changed; try again later.
    TooBusy,
    /// Nobody who could do it is there at the moment; try again. Nothing was changed, unless the
    /// message says that a write, which had been sent before, may have happened.
    Unavailable,
    /// The time is up. The message says whether something may have happened.
    Deadline,
    /// A fault of the platform itself.
    Internal,
    /// This client was closed.
    Closed,
    /// The input could not be encoded; nothing was sent.
    Encode,
    /// The result is not what was expected. The job took effect.
    Decode,
}

/// Why something did not work. The message says what happened, whether anything was changed,
/// and what to do.
///
/// ```
/// use catena_client::{Error, ErrorKind};
/// fn may_be_tried_again(error: &Error) -> bool {
///     matches!(error.kind(), ErrorKind::TooBusy | ErrorKind::Conflict)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    job: Option<JobId>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), job: None }
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "this client was closed before an answer came")
    }

    pub(crate) fn bad_request(reason: impl fmt::Display) -> Self {
        Self::new(ErrorKind::BadRequest, format!("{reason}; nothing was sent"))
    }

    pub(crate) const fn of_job(mut self, job: JobId) -> Self {
        self.job = Some(job);
        self
    }

    /// What kind of error it is.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The job that it is about, if it is about one.
    pub const fn job(&self) -> Option<JobId> {
        self.job
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let kind = match fault.code {
            Code::BadRequest => ErrorKind::BadRequest,
            Code::NotFound => ErrorKind::NotFound,
            Code::Conflict => ErrorKind::Conflict,
            Code::Cancelled => ErrorKind::Cancelled,
            Code::TooLarge => ErrorKind::TooLarge,
            Code::OperatorFailed => ErrorKind::OperatorFailed,
            Code::TooBusy => ErrorKind::TooBusy,
            Code::Internal => ErrorKind::Internal,
            Code::Unavailable => ErrorKind::Unavailable,
            Code::Deadline => ErrorKind::Deadline,
        };
        Self::new(kind, fault.message)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let code = match error.kind {
            ErrorKind::BadRequest | ErrorKind::Encode => Code::BadRequest,
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::Conflict => Code::Conflict,
            ErrorKind::Cancelled => Code::Cancelled,
            ErrorKind::TooLarge => Code::TooLarge,
            ErrorKind::OperatorFailed => Code::OperatorFailed,
            ErrorKind::TooBusy => Code::TooBusy,
            ErrorKind::Unavailable | ErrorKind::Connect | ErrorKind::Closed => Code::Unavailable,
            ErrorKind::Deadline => Code::Deadline,
            ErrorKind::Internal | ErrorKind::Decode => Code::Internal,
        };
        Self::new(code, error.message)
    }
}

impl From<catena_protocol::key::KeyError> for Error {
    fn from(error: catena_protocol::key::KeyError) -> Self {
        let kind = match error {
            catena_protocol::key::KeyError::TooLong { .. } => ErrorKind::TooLarge,
            _ => ErrorKind::BadRequest,
        };
        Self::new(kind, format!("{error}; nothing was sent"))
    }
}

impl From<catena_protocol::id::IdError> for Error {
    fn from(error: catena_protocol::id::IdError) -> Self {
        Self::bad_request(error)
    }
}

impl From<catena_link::ConnectError> for Error {
    fn from(error: catena_link::ConnectError) -> Self {
        Self::new(ErrorKind::Connect, error.to_string())
    }
}

impl From<catena_link::SettingsError> for Error {
    fn from(error: catena_link::SettingsError) -> Self {
        Self::new(ErrorKind::Connect, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_way_there_and_back() {
        for code in Code::ALL {
            let fault = Fault::new(code, "x");
            assert_eq!(Fault::from(Error::from(fault.clone())), fault);
        }
    }
}
