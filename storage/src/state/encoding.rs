//! The bytes of one version of a record in the engine.

use super::Content;
use catena_protocol::Blob;

const DELETED: u8 = 0;
const VALUE: u8 = 1;
const ADDED: u8 = 2;

impl Content {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Deleted => vec![DELETED],
            Self::Value(value) => [&[VALUE], value.as_ref()].concat(),
            Self::Added { delta, sum } => {
                [&[ADDED][..], &delta.to_le_bytes(), &sum.to_le_bytes()].concat()
            }
        }
    }

    /// Whether bytes say that the record is gone.
    #[cfg(feature = "service")]
    pub(super) fn says_deleted(bytes: &[u8]) -> bool {
        bytes == [DELETED]
    }

    pub(super) fn from_bytes(bytes: &bytes::Bytes) -> Option<Self> {
        let number = |at: usize| Some(i64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        match (bytes.first()?, bytes.len()) {
            (&DELETED, 1) => Some(Self::Deleted),
            (&VALUE, _) => Some(Self::Value(Blob(bytes.slice(1..)))),
            (&ADDED, 17) => Some(Self::Added { delta: number(1)?, sum: number(9)? }),
            _ => None,
        }
    }
}
