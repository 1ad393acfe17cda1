//! What a job gives back.

use crate::{Error, ErrorKind};
use bytes::Bytes;
use catena_protocol::message::finish::Explained;
use catena_protocol::{JobId, Timestamp};
use serde::de::DeserializeOwned;

/// The result of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunResult {
    /// The job.
    pub job: JobId,
    /// Its commit timestamp, which is the version of everything that it wrote; or its snapshot
    /// if it committed nothing.
    pub version: Timestamp,
    /// What its last operator returned.
    pub bytes: Bytes,
    /// What it took, if the call asked for that ([`Run::explain`](crate::Run::explain)); none
    /// also where the answer was lost and the result came from the outcome.
    pub explained: Option<Box<Explained>>,
    /// The routing key that the chain's own `key` found in the input, if that chose the home.
    pub found_key: Option<String>,
    /// Whether a scheduler had to say so first: then the job was sent twice.
    pub sent_twice: bool,
}

impl RunResult {
    /// The result as text.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if it is not UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.bytes).map_err(|error| self.not_as_expected("UTF-8", error))
    }

    /// The result read as JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if it is not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes).map_err(|error| self.not_as_expected("JSON", error))
    }

    /// The result read as CBOR.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if it is not a `T`.
    pub fn cbor<T: DeserializeOwned>(&self) -> Result<T, Error> {
        ciborium::from_reader(&self.bytes[..]).map_err(|error| self.not_as_expected("CBOR", error))
    }

    fn not_as_expected(&self, format: &str, error: impl std::fmt::Display) -> Error {
        let shown = &self.bytes[..self.bytes.len().min(40)];
        Error::new(
            ErrorKind::Decode,
            format!(
                "the result of job {} is not the expected {format}: {error}; it begins with \
                 `{}`; the job took effect",
                self.job,
                shown.escape_ascii()
            ),
        )
        .of_job(self.job)
    }
}
