//! One batch as it stands in a file: `[length u32][crc32 u32][CBOR array of entries]`.
//!
//! All that one sync makes durable is one batch. So only the last batch of the log can be torn
//! by a crash, and a good batch behind a bad one means that the disk lost acknowledged bytes.

use crate::machine::Entry;
use catena_protocol::codec;
use catena_protocol::message::replicate::LogEntry;

const PREFIX: usize = 8;
const ARRAY_START: u8 = 0x9f;
const ARRAY_END: u8 = 0xff;
/// What stands before the bytes of a record in an entry: variant 0 of one field.
const RECORD: [u8; 3] = [0x82, 0x00, 0x81];

/// What stands at a position of a file.
#[derive(Debug)]
pub(super) enum Found {
    /// The end of the file.
    End,
    /// A batch, and where it ends.
    Batch { entries: Vec<LogEntry>, end: usize },
    /// A batch that was written as it stands, and means nothing to this program.
    Unreadable(String),
    /// Something else.
    Bad(String),
}

/// Appends the batch to `bytes` and returns the number of its entries.
pub(super) fn write<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    bytes: &mut Vec<u8>,
) -> usize {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; PREFIX]);
    bytes.push(ARRAY_START);
    let mut count = 0;
    for entry in entries {
        match entry {
            Entry::Record { bytes: record, .. } => {
                bytes.extend_from_slice(&RECORD);
                bytes.extend_from_slice(&record.0);
            }
            Entry::Vote(vote) => codec::append(&LogEntry::Vote(vote.clone()), bytes),
        }
        count += 1;
    }
    bytes.push(ARRAY_END);
    let length = u32::try_from(bytes.len() - start - PREFIX).unwrap_or(u32::MAX).to_le_bytes();
    let crc = checksum(length, &bytes[start + PREFIX..]).to_le_bytes();
    bytes[start..start + 4].copy_from_slice(&length);
    bytes[start + 4..start + PREFIX].copy_from_slice(&crc);
    count
}

/// The length is part of the checksum, so that zeros are not a batch.
fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&length);
    hash.update(payload);
    hash.finalize()
}

/// Reads the batch at `start`.
pub(super) fn read(bytes: &[u8], start: usize) -> Found {
    if start == bytes.len() {
        return Found::End;
    }
    let Some(payload) = payload(bytes, start) else {
        return Found::Bad("a batch is cut short or does not match its checksum".to_owned());
    };
    match codec::decode_batch(payload) {
        Ok(entries) => Found::Batch { entries, end: start + PREFIX + payload.len() },
        Err(error) => {
            Found::Unreadable(format!("a batch with a good checksum is unreadable: {error}"))
        }
    }
}

fn payload(bytes: &[u8], start: usize) -> Option<&[u8]> {
    let prefix = bytes.get(start..start + PREFIX)?;
    let length: [u8; 4] = prefix[..4].try_into().ok()?;
    let crc = u32::from_le_bytes(prefix[4..].try_into().ok()?);
    let size = usize::try_from(u32::from_le_bytes(length)).ok()?;
    let payload = bytes.get(start + PREFIX..)?.get(..size)?;
    let plausible = payload.first() == Some(&ARRAY_START) && payload.last() == Some(&ARRAY_END);
    (plausible && checksum(length, payload) == crc).then_some(payload)
}

/// Where behind `start` a good batch begins, if one does.
pub(super) fn search(bytes: &[u8], start: usize) -> Option<usize> {
    (start..bytes.len().saturating_sub(PREFIX)).find(|at| payload(bytes, *at).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use catena_protocol::Timestamp;
    use catena_protocol::codec::Raw;
    use catena_protocol::message::replicate::{Decision, LogRecord};

    #[test]
    fn a_record_is_written_as_an_entry_that_holds_it() {
        let (version, decision) = (Timestamp(5), Decision::Epoch);
        let record = LogRecord { partition: 1, epoch: 2, index: 3, version, decision };
        let raw = Raw(codec::encode(&record).into());
        let entry = Entry::Record { partition: 1, index: 3, bytes: raw };
        let mut bytes = Vec::new();
        write([&entry], &mut bytes);
        let expected = codec::encode(&LogEntry::Record(record));
        assert_eq!(bytes[PREFIX + 1..bytes.len() - 1], expected);
    }
}
