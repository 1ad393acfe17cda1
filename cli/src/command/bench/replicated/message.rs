//! Messages of the floor: how many operations, their numbers, and so many bytes for each.

use crate::failure::Failure;
use bytes::Bytes;

/// A message with `payload` bytes for every operation.
pub(crate) fn encode(numbers: &[u64], payload: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(4 + numbers.len() * (8 + payload));
    bytes.extend((numbers.len() as u32).to_be_bytes());
    numbers.iter().for_each(|number| bytes.extend(number.to_be_bytes()));
    bytes.resize(bytes.len() + numbers.len() * payload, b'x');
    bytes.into()
}

/// The numbers of the operations in a message.
pub(crate) fn numbers(bytes: &[u8]) -> Result<impl Iterator<Item = u64>, Failure> {
    let short = || Failure::new("a message of the floor is too short");
    let (count, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
    let count = u32::from_be_bytes(*count) as usize;
    let numbers = rest.get(..count * 8).ok_or_else(short)?;
    Ok(numbers.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn numbers_come_back_and_a_cut_message_is_refused() {
        let bytes = encode(&[7, u64::MAX], 128);
        assert_eq!(bytes.len(), 4 + 2 * (8 + 128));
        assert_eq!(numbers(&bytes).unwrap().collect::<Vec<_>>(), [7, u64::MAX]);
        assert!(numbers(&bytes[..3]).is_err());
        assert!(numbers(&bytes[..19]).is_err());
    }
}
