//! What one version of a record holds.

use catena_protocol::message::read::Record;
use catena_protocol::message::write::Change;
use catena_protocol::{Blob, Timestamp};

/// One version of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The commit that wrote it.
    pub version: Timestamp,
    /// What it wrote.
    pub content: Content,
}

/// What a version holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A value.
    Value(Blob),
    /// The record is gone.
    Deleted,
    /// Something was added to an integer. The sum stands beside it, so that a counter is read
    /// with one look however often it was added to.
    Added {
        /// What was added.
        delta: i64,
        /// The value afterwards.
        sum: i64,
    },
}

/// A record that something should be added to is not a decimal integer of 64 bits, or would not
/// be one afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnInteger {
    /// It holds something else.
    #[error("the value is not a decimal integer of 64 bits")]
    Text,
    /// The sum is too large or too small.
    #[error("the sum does not fit into 64 bits")]
    Overflow,
}

impl Content {
    /// The value; none: the record is gone.
    pub fn value(&self) -> Option<Blob> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Deleted => None,
            Self::Added { sum, .. } => Some(sum.to_string().into()),
        }
    }

    /// Whether the record is gone.
    pub const fn is_deleted(&self) -> bool {
        matches!(self, Self::Deleted)
    }

    /// What a change makes of a record that held `before`.
    ///
    /// # Errors
    /// [`NotAnInteger`] for an addition to something else.
    pub fn after(change: &Change, before: Option<&Self>) -> Result<Self, NotAnInteger> {
        match change {
            Change::Put(value) => Ok(Self::Value(value.clone())),
            Change::Delete => Ok(Self::Deleted),
            Change::Add(delta) => {
                let sum = integer(before)?.checked_add(*delta).ok_or(NotAnInteger::Overflow)?;
                Ok(Self::Added { delta: *delta, sum })
            }
        }
    }
}

/// The integer in a value, blanks around it ignored; nothing counts as 0.
fn integer(content: Option<&Content>) -> Result<i64, NotAnInteger> {
    match content {
        None | Some(Content::Deleted) => Ok(0),
        Some(Content::Added { sum, .. }) => Ok(*sum),
        Some(Content::Value(value)) => std::str::from_utf8(value.as_ref())
            .ok()
            .and_then(|text| text.trim_ascii().parse().ok())
            .ok_or(NotAnInteger::Text),
    }
}

impl From<Stored> for Record {
    fn from(stored: Stored) -> Self {
        Self { version: stored.version, value: stored.content.value() }
    }
}
