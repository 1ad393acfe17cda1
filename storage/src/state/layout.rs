//! How records, trails and the rest are laid out as sorted keys and values.
//!
//! ```text
//! data      partition u16 | key | 00 | !version u64        -> content
//! requests  partition u16 | request id                      -> CBOR of time and answer
//! outcomes  partition u16 | job id                          -> CBOR of the outcome
//! trail     kind u8 | partition u16 | time u64 | key or id  -> nothing
//! meta      "p" partition u16 | "horizon"                   -> CBOR of the mark, u64
//! ```
//!
//! Numbers are big endian. Keys have no control characters, so that 00 ends them, keeps their
//! order and makes prefixes exact. The version is inverted: the newest comes first, and the
//! newest at or before a time is the first hit of a search.

use super::{Step, StepOf, Trail};
use catena_protocol::{JobId, Key, RequestId, Timestamp};

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

const fn kind(trail: Trail) -> u8 {
    match trail {
        Trail::Versions => b'v',
        Trail::Requests => b'r',
        Trail::Outcomes => b'o',
    }
}

/// The start of all entries of a trail.
pub(super) fn trail_of(trail: Trail, partition: u16) -> Vec<u8> {
    let [high, low] = partition.to_be_bytes();
    vec![kind(trail), high, low]
}

/// The start of the entries of a trail at `time`.
pub(super) fn trail_at(trail: Trail, partition: u16, time: Timestamp) -> Vec<u8> {
    let mut bytes = vec![kind(trail)];
    bytes.extend_from_slice(&partition.to_be_bytes());
    bytes.extend_from_slice(&time.0.to_be_bytes());
    bytes
}

/// An entry of a trail.
pub(super) fn step(trail: Trail, partition: u16, step: &Step) -> Vec<u8> {
    let mut bytes = trail_at(trail, partition, step.time);
    bytes.extend_from_slice(match &step.of {
        StepOf::Key(key) => key.as_str().as_bytes(),
        StepOf::Request(id) => &id.0,
        StepOf::Job(id) => &id.0,
    });
    bytes
}

/// An entry of a trail from its bytes.
pub(super) fn parse_step(trail: Trail, bytes: &[u8]) -> Option<Step> {
    let time = Timestamp(u64::from_be_bytes(bytes.get(3..11)?.try_into().ok()?));
    let rest = &bytes[11..];
    let of = match trail {
        Trail::Versions => StepOf::Key(Key::new(std::str::from_utf8(rest).ok()?).ok()?),
        Trail::Requests => StepOf::Request(RequestId(rest.try_into().ok()?)),
        Trail::Outcomes => StepOf::Job(JobId(rest.try_into().ok()?)),
    };
    Some(Step { time, of })
}

/// Where the mark of a partition is kept.
pub(super) fn mark(partition: u16) -> [u8; 3] {
    let [high, low] = partition.to_be_bytes();
    [b'p', high, low]
}

/// Where the horizon is kept.
pub(super) const HORIZON: &[u8] = b"horizon";
