//! What the store says about a key.

use crate::{Error, ErrorKind};
use bytes::Bytes;
use catena_protocol::Timestamp;

/// What a key holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The commit that wrote it; zero: there never was one, or it is long deleted.
    pub version: Timestamp,
    /// Its value; none: there is none.
    pub value: Option<Bytes>,
}

impl Entry {
    /// The value as text, if there is one and it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.value.as_deref()?).ok()
    }
}

/// How a conditional write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the write may not have happened"]
pub enum Updated {
    /// It happened, at this version.
    Done(Timestamp),
    /// The condition did not hold; nothing was changed. This is what was found.
    Differs(Entry),
}

impl Updated {
    /// Whether it happened.
    pub const fn happened(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    pub(super) fn done(self) -> Result<Timestamp, Error> {
        match self {
            Self::Done(version) => Ok(version),
            Self::Differs(_) => Err(Error::new(
                ErrorKind::Internal,
                "the store found a condition in a write that has none; nothing was changed",
            )),
        }
    }
}
