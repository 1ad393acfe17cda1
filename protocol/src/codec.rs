//! Bytes on the wire: CBOR (RFC 8949), written and read by `minicbor` because the hot path
//! counts microseconds; `ciborium` and every other CBOR reader can read it.
//!
//! Structs are arrays in field order, enums `[variant, [fields]]`. Fields are only ever added at
//! the end, as options. A NATS message between services carries a *batch*: one array of items of
//! one type, of indefinite length, so that it can be written while items still arrive.

use crate::limit::BATCH_ITEMS;
use bytes::Bytes;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Decoder, Encode, Encoder};
use std::convert::Infallible;
use std::fmt;

/// Bytes that are passed on without being looked at. Cloning does not copy.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blob(pub Bytes);

impl Blob {
    /// How many bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(32)];
        write!(f, "{} bytes \"{}\"", self.0.len(), shown.escape_ascii())
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<String> for Blob {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Blob {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl<C> Encode<C> for Blob {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Blob {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        d.bytes().map(|bytes| Self(Bytes::copy_from_slice(bytes)))
    }
}

/// One value in CBOR that is passed on as it stands, and looked into by whoever has to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw(pub Bytes);

impl<C> Encode<C> for Raw {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.writer_mut().write_all(&self.0).map_err(minicbor::encode::Error::write)
    }
}

impl<'b, C> Decode<'b, C> for Raw {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let start = d.position();
        d.skip()?;
        Ok(Self(Bytes::copy_from_slice(&d.input()[start..d.position()])))
    }
}

/// A message that is not what it should be. Nothing of it was used.
#[derive(Debug, thiserror::Error)]
#[error("malformed CBOR: {0}")]
pub struct Malformed(String);

impl From<DecodeError> for Malformed {
    fn from(error: DecodeError) -> Self {
        Self(error.to_string())
    }
}

/// The bytes of one value.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(value, &mut bytes);
    bytes
}

/// Writes one value behind what `bytes` already holds.
pub fn append<T: Encode<()>>(value: &T, bytes: &mut Vec<u8>) {
    let written: Result<(), minicbor::encode::Error<Infallible>> = minicbor::encode(value, bytes);
    debug_assert!(written.is_ok(), "writing to memory cannot fail");
}

/// Reads one value that fills `bytes` exactly.
///
/// # Errors
/// [`Malformed`] if the bytes are not such a value or if some are left over.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, Malformed> {
    let mut decoder = Decoder::new(bytes);
    let value = decoder.decode()?;
    at_end(&decoder)?;
    Ok(value)
}

/// Reads a whole batch.
///
/// # Errors
/// [`Malformed`] if any item is not a `T`, if bytes are left over, or if there are more than
/// [`BATCH_ITEMS`]; no item of a malformed batch is returned.
pub fn decode_batch<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<Vec<T>, Malformed> {
    let mut decoder = Decoder::new(bytes);
    let mut items = Vec::new();
    for item in decoder.array_iter::<T>()? {
        if items.len() == BATCH_ITEMS {
            return Err(Malformed(format!("more than {BATCH_ITEMS} items in one batch")));
        }
        items.push(item?);
    }
    at_end(&decoder)?;
    Ok(items)
}

fn at_end(decoder: &Decoder<'_>) -> Result<(), Malformed> {
    let left = decoder.input().len() - decoder.position();
    if left == 0 { Ok(()) } else { Err(Malformed(format!("{left} bytes are left over"))) }
}

/// A batch that is being written.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    items: usize,
}

const ARRAY_START: u8 = 0x9f;
const ARRAY_END: u8 = 0xff;

impl Batch {
    /// A batch of one.
    pub fn of<T: Encode<()>>(item: &T) -> Bytes {
        let mut batch = Self::default();
        batch.push(item);
        batch.finish()
    }

    /// Adds an item. When the batch would then be longer than `limit` bytes (and is not empty),
    /// what it held before is returned as a finished message and the item starts a new one.
    pub fn push_within<T: Encode<()>>(&mut self, item: &T, limit: usize) -> Option<Bytes> {
        let before = self.bytes.len();
        self.push(item);
        if self.bytes.len() < limit || before == 0 {
            return None;
        }
        let mut rest = Vec::with_capacity(self.bytes.len() - before + 512);
        rest.push(ARRAY_START);
        rest.extend_from_slice(&self.bytes[before..]);
        self.bytes.truncate(before);
        let full = std::mem::replace(self, Self { bytes: rest, items: 1 });
        Some(full.finish())
    }

    /// Adds an item.
    pub fn push<T: Encode<()>>(&mut self, item: &T) {
        if self.bytes.is_empty() {
            self.bytes.reserve(512);
            self.bytes.push(ARRAY_START);
        }
        // Growing by four, and before it is full, copies a fifth of what doubling would.
        if self.bytes.len() > self.bytes.capacity() / 2 {
            self.bytes.reserve(self.bytes.capacity() * 3);
        }
        append(item, &mut self.bytes);
        self.items += 1;
    }

    /// Whether nothing was added since the last message.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// How many items it holds.
    pub fn len(&self) -> usize {
        self.items
    }

    /// The finished message.
    pub fn finish(mut self) -> Bytes {
        if self.bytes.is_empty() {
            self.bytes.push(ARRAY_START);
        }
        self.bytes.push(ARRAY_END);
        self.bytes.into()
    }

    /// The finished message; the batch is empty afterwards.
    pub fn take(&mut self) -> Bytes {
        std::mem::take(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_splits_before_its_limit_and_loses_nothing() {
        let mut batch = Batch::default();
        let mut messages = Vec::new();
        for n in 0..100_u64 {
            messages.extend(batch.push_within(&Blob::from(vec![n as u8; 100]), 1000));
        }
        messages.push(batch.take());
        assert!(messages.len() > 5);
        assert!(messages.iter().all(|m| m.len() <= 1001));
        let read: Vec<Blob> =
            messages.iter().flat_map(|m| decode_batch::<Blob>(m).unwrap()).collect();
        assert_eq!(read.len(), 100);
        assert!(read.iter().enumerate().all(|(n, blob)| blob.0[0] == n as u8));
    }

    #[test]
    fn one_item_over_the_limit_still_goes_out_alone() {
        let mut batch = Batch::default();
        assert!(batch.push_within(&Blob::from(vec![0; 5000]), 1000).is_none());
        assert!(batch.push_within(&Blob::from(vec![0; 1]), 1000).is_some());
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn cut_anywhere_it_is_malformed() {
        let whole = Batch::of(&Blob::from("hello"));
        for end in 0..whole.len() {
            assert!(decode_batch::<Blob>(&whole[..end]).is_err());
        }
        assert!(decode_batch::<Blob>(&[&whole[..], &[0]].concat()).is_err());
    }
}
