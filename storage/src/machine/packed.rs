//! Bytes of many records in few allocations.
//!
//! Records are kept for a long time and in large numbers: in the tail of the log, on their way to
//! the disk and to the replicas, and as the values that wait for the state. Each of them is a part
//! of a longer piece of memory, which goes when the last of its records does. Those of one
//! partition go in order, so little is kept for nothing: at most an eighth of what there is.

use bytes::{Bytes, BytesMut};

/// Shortest piece.
const LEAST: usize = 256;
/// Longest piece, unless a single record is longer.
const MOST: usize = 16 * 1024;
/// How far from its end a record is searched for a value.
const NEAR: usize = 64;
/// Shorter values are kept apart: nothing is gained by sharing them.
const SHORT: usize = 16;

/// Where the next records go.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed(BytesMut);

impl Packed {
    /// Keeps a record beside the `kept` bytes that there are already.
    pub(super) fn keep(&mut self, record: &[u8], kept: usize) -> Bytes {
        if self.0.capacity() < record.len() {
            let piece = (kept / 8).clamp(LEAST, MOST).max(record.len());
            self.0 = BytesMut::with_capacity(piece);
        }
        self.0.extend_from_slice(record);
        self.0.split().freeze()
    }
}

/// The same value as a part of the record that holds it, if it stands near the end of that, as it
/// does where a record has one.
pub(super) fn shared(record: &Bytes, value: &[u8]) -> Option<Bytes> {
    if value.len() < SHORT {
        return None;
    }
    let last = record.len().checked_sub(value.len())?;
    let found =
        (last.saturating_sub(NEAR)..=last).rev().find(|at| record[*at..].starts_with(value));
    found.map(|at| record.slice(at..at + value.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_as_it_was_whatever_comes_and_goes() {
        let mut packed = Packed::default();
        let records: Vec<Vec<u8>> =
            (0..2_000_u32).map(|n| vec![n as u8; (n * 7 % 700) as usize]).collect();
        let mut kept = Vec::new();
        for (number, record) in records.iter().enumerate() {
            kept.push((number, packed.keep(record, number * 100)));
            if number % 3 == 0 {
                kept.remove(kept.len() / 2);
            }
        }
        assert!(kept.iter().all(|(number, bytes)| *bytes == records[*number]));
    }

    #[test]
    fn short_records_share_a_piece_and_a_long_one_has_its_own() {
        let mut packed = Packed::default();
        let one = packed.keep(&[1; 100], 1 << 20);
        let two = packed.keep(&[2; 100], 1 << 20);
        assert_eq!(one.as_ptr().wrapping_add(100), two.as_ptr());
        let long = packed.keep(&[3; 100_000], 1 << 20);
        assert_eq!(long.len(), 100_000);
    }

    #[test]
    fn a_value_near_the_end_is_found_and_nothing_else() {
        let record = Bytes::from([b"head ".as_slice(), &[7; 40], b" tail"].concat());
        let found = shared(&record, &[7; 40]).unwrap();
        assert_eq!((found.as_ref(), found.as_ptr()), ([7_u8; 40].as_slice(), record[5..].as_ptr()));
        assert_eq!(shared(&record, &[8; 40]), None);
        assert_eq!(shared(&record, &[7; 15]), None, "too short");
        assert_eq!(shared(&record, &[7; 60]), None, "longer than the record");
        let far = Bytes::from([[7; 40].as_slice(), &[0; NEAR + 1]].concat());
        assert_eq!(shared(&far, &[7; 40]), None);
    }
}
