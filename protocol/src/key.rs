//! Keys of the store and where they live.

use crate::limit::KEY_BYTES;
use compact_str::CompactString;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A key: 1 to 512 bytes of UTF-8 without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Key(CompactString);

/// A text that cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No bytes at all.
    #[error("a key must not be empty")]
    Empty,
    /// Too many bytes.
    #[error("the key has {bytes} bytes; at most {KEY_BYTES} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A control character.
    #[error("the key has a control character at byte {at}")]
    Control {
        /// Where.
        at: usize,
    },
    /// Not UTF-8.
    #[error("the key is not valid UTF-8")]
    NotText,
}

impl Key {
    /// Takes `text` as a key.
    ///
    /// # Errors
    /// [`KeyError`] with the rule that it breaks.
    pub fn new(text: impl AsRef<str>) -> Result<Self, KeyError> {
        let text = text.as_ref();
        check(text)?;
        Ok(Self(CompactString::new(text)))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition of this key among `partitions`.
    pub fn partition(&self, partitions: u16) -> u16 {
        partition(&self.0, partitions)
    }
}

fn check(text: &str) -> Result<(), KeyError> {
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if text.len() > KEY_BYTES {
        return Err(KeyError::TooLong { bytes: text.len() });
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(KeyError::Control { at }),
        None => Ok(()),
    }
}

/// The part of a key that decides where it lives: what stands in the first non-empty pair of
/// braces, as in `{user42}:cart`, else the whole key.
pub fn tag(key: &str) -> &str {
    let inside = key.find('{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.find('}').map(|close| &rest[..close])
    });
    inside.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

/// The partition of a key or routing key: 32-bit FNV-1a of its tag, modulo `partitions`. The
/// same function as `{{partition}}` in a NATS subject mapping.
pub fn partition(key: &str, partitions: u16) -> u16 {
    (fnv_1a(tag(key)) % u32::from(partitions.max(1))) as u16
}

/// 32-bit FNV-1a.
pub(crate) fn fnv_1a(text: &str) -> u32 {
    text.bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Key {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl<C> Encode<C> for Key {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Key {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let at = d.position();
        Self::new(d.str()?).map_err(|error| DecodeError::message(error).at(at))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a_of_32_bits() {
        // Published test vectors of FNV-1a: "" -> 811c9dc5, "a" -> e40c292c, "foobar" -> bf9cf968.
        assert_eq!(partition("a", 65_535), (0xe40c_292c_u32 % 65_535) as u16);
        assert_eq!(partition("foobar", 65_535), (0xbf9c_f968_u32 % 65_535) as u16);
    }

    #[test]
    fn a_tag_keeps_keys_together() {
        assert_eq!(tag("{user42}:cart"), "user42");
        assert_eq!(partition("{user42}:cart", 64), partition("{user42}:orders", 64));
        for whole in ["plain", "{}x", "{open", "}{"] {
            assert_eq!(tag(whole), whole);
        }
    }

    #[test]
    fn bad_keys_are_refused() {
        assert_eq!(Key::new(""), Err(KeyError::Empty));
        assert_eq!(Key::new("a\0"), Err(KeyError::Control { at: 1 }));
        assert_eq!(Key::new("x".repeat(513)), Err(KeyError::TooLong { bytes: 513 }));
        assert!(Key::new("ä b/c.d").is_ok());
    }
}
