//! How records and the rest are laid out as sorted keys and values.
//!
//! ```text
//! data      partition u16 | key | 00 | !version u64        -> content
//! requests  partition u16 | request id                      -> time u64 | CBOR of the answer
//! outcomes  partition u16 | job id                          -> expires u64 | CBOR of the outcome
//! txns      partition u16 | "i" or "u" | job, epoch, number -> CBOR of an item
//! meta      "p" partition u16 | "horizon"                   -> CBOR of the mark, u64
//! ```
//!
//! Numbers are big endian. Keys have no control characters, so that 00 ends them, keeps their
//! order and makes prefixes exact. The version is inverted: the newest comes first, and the
//! newest at or before a time is the first hit of a search.

use catena_protocol::{Key, Timestamp};

const KEY_END: u8 = 0;

/// The start of everything about keys of `partition` that begin with `prefix`.
pub(super) fn prefix(partition: u16, prefix: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(11 + prefix.len());
    bytes.extend_from_slice(&partition.to_be_bytes());
    bytes.extend_from_slice(prefix.as_bytes());
    bytes
}

/// One version of a record.
pub(super) fn row(partition: u16, key: &Key, version: Timestamp) -> Vec<u8> {
    let mut bytes = prefix(partition, key.as_str());
    bytes.push(KEY_END);
    bytes.extend_from_slice(&(!version.0).to_be_bytes());
    bytes
}

/// Behind every version of a record, before the next one.
pub(super) fn row_end(partition: u16, key: &Key) -> Vec<u8> {
    let mut bytes = prefix(partition, key.as_str());
    bytes.push(KEY_END + 1);
    bytes
}

/// The first possible key behind all that begin with `prefix`; none: there is no such key.
pub(super) fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut bytes = prefix[..=last].to_vec();
    bytes[last] += 1;
    Some(bytes)
}

/// The key and version of a row.
pub(super) fn parse_row(bytes: &[u8]) -> Option<(Key, Timestamp)> {
    let end = bytes.len().checked_sub(9)?;
    let text = std::str::from_utf8(bytes.get(2..end)?).ok()?;
    Some((Key::new(text).ok()?, row_version(bytes)?))
}

/// The version of a row.
pub(super) fn row_version(bytes: &[u8]) -> Option<Timestamp> {
    let at = bytes.len().checked_sub(8)?;
    Some(Timestamp(!u64::from_be_bytes(bytes[at..].try_into().ok()?)))
}

/// The key of something with an id of 16 bytes.
pub(super) fn id(partition: u16, id: &[u8; 16]) -> [u8; 18] {
    let mut bytes = [0; 18];
    bytes[..2].copy_from_slice(&partition.to_be_bytes());
    bytes[2..].copy_from_slice(id);
    bytes
}

/// A value that is kept up to a time.
pub(super) fn stamped(time: Timestamp, value: &[u8]) -> Vec<u8> {
    [&time.0.to_be_bytes(), value].concat()
}

/// The time up to which a value is kept, and the value.
pub(super) fn stamp(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (time, value) = bytes.split_first_chunk()?;
    Some((Timestamp(u64::from_be_bytes(*time)), value))
}

/// Where the mark of a partition is kept.
pub(super) fn mark(partition: u16) -> [u8; 3] {
    let [high, low] = partition.to_be_bytes();
    [b'p', high, low]
}

/// Where the horizon is kept.
pub(super) const HORIZON: &[u8] = b"horizon";
