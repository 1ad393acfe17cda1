//! Identifiers: jobs, attempts, requests, chains by content, nodes, and the names users choose.
//!
//! Randomness is an argument everywhere.

use compact_str::CompactString;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! sixteen_bytes {
    ($(#[$doc:meta])* $name:ident, $form:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; 16]);

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
                let at = d.position();
                d.bytes()?.try_into().map(Self).map_err(|_| {
                    DecodeError::message(concat!(stringify!($name), " must have 16 bytes")).at(at)
                })
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", Uuid::from_bytes(self.0).$form())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", Uuid::from_bytes(self.0).$form())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text)
                    .map(|uuid| Self(uuid.into_bytes()))
                    .map_err(|_| IdError::NotAnId { text: shorten(text) })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// An identifier or name from outside that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not in the form of a UUID.
    #[error(
        "`{text}` is not an id; expected a UUID such as `00113be9-35a6-8a2b-9c1d-0123456789ab`"
    )]
    NotAnId {
        /// What was given, shortened.
        text: String,
    },
    /// Not usable as one token of a subject.
    #[error("`{text}` is not a name; expected 1 to {max} of `A-Z a-z 0-9 - _`")]
    NotAName {
        /// What was given, shortened.
        text: String,
        /// Longest allowed name.
        max: usize,
    },
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(64).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

sixteen_bytes! {
    /// A job. A UUID of version 8:
    ///
    /// ```text
    /// byte 0..2   home partition, big endian
    /// byte 2..8   submit time: 44 bits of milliseconds since the Unix epoch around the version
    /// byte 8      variant (2 bits), keyed (1 bit), 5 bits of randomness
    /// byte 9..16  randomness
    /// ```
    ///
    /// With an idempotency key the job is *keyed*: time and randomness are a SHA-256 of chain,
    /// routing key and idempotency key, so that the same request always names the same job.
    JobId, hyphenated
}

sixteen_bytes! {
    /// One try at running a job: 128 random bits.
    AttemptId, hyphenated
}

sixteen_bytes! {
    /// One direct write as its caller meant it, however often it is sent: 128 random bits.
    RequestId, hyphenated
}

sixteen_bytes! {
    /// A chain as a job runs it, by content: the first half of the SHA-256 of its encoding.
    ChainHash, hyphenated
}

sixteen_bytes! {
    /// A cluster, for its life; written as 32 hexadecimal digits.
    ClusterId, simple
}

sixteen_bytes! {
    /// What one data directory of a storage node holds, from its first use until it is emptied:
    /// 128 random bits, written as 32 hexadecimal digits.
    DiskId, simple
}

const KEYED: u8 = 0b0010_0000;

impl JobId {
    /// The id of a job submitted at `wall_us` with home partition `home`.
    pub fn random(home: u16, wall_us: u64, random: [u8; 8]) -> Self {
        let ms = wall_us / 1000;
        let mut bytes = [0; 16];
        bytes[2..6].copy_from_slice(&((ms >> 12) as u32).to_be_bytes());
        bytes[6..8].copy_from_slice(&((ms & 0x0fff) as u16).to_be_bytes());
        bytes[8..].copy_from_slice(&random);
        bytes[8] &= !KEYED;
        Self::stamped(home, bytes)
    }

    /// The id that one idempotency key stands for, in one chain under one routing key.
    pub fn keyed(home: u16, chain: &str, routing_key: Option<&str>, idempotency_key: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [chain, routing_key.unwrap_or_default(), idempotency_key] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut bytes = first_half(hash);
        bytes[8] |= KEYED;
        Self::stamped(home, bytes)
    }

    fn stamped(home: u16, mut bytes: [u8; 16]) -> Self {
        bytes[..2].copy_from_slice(&home.to_be_bytes());
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid().into_bytes())
    }

    /// The partition that keeps the outcome of this job.
    pub const fn home(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// When the job was submitted, in milliseconds; none for a keyed job.
    pub fn submitted_ms(&self) -> Option<u64> {
        if self.0[8] & KEYED != 0 {
            return None;
        }
        let high = u32::from_be_bytes([self.0[2], self.0[3], self.0[4], self.0[5]]);
        let low = u16::from_be_bytes([self.0[6] & 0x0f, self.0[7]]);
        Some((u64::from(high) << 12) | u64::from(low))
    }
}

impl ChainHash {
    /// The hash of an encoded chain.
    pub fn of(bytes: &[u8]) -> Self {
        Self(first_half(Sha256::new().chain_update(bytes)))
    }
}

fn first_half(hash: Sha256) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    half
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(CompactString);

        impl $name {
            /// Longest allowed text in bytes.
            pub const MAX: usize = $max;

            /// Takes `text` if it can be one token of a subject.
            ///
            /// # Errors
            /// [`IdError::NotAName`] with the rule that it breaks.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                let fits = !text.is_empty() && text.len() <= Self::MAX;
                let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
                if fits && text.bytes().all(plain) {
                    Ok(Self(CompactString::new(text)))
                } else {
                    Err(IdError::NotAName { text: shorten(text), max: Self::MAX })
                }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.str(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
                let at = d.position();
                Self::new(d.str()?).map_err(|error| DecodeError::message(error).at(at))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(d)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// A name that a user chose: of a chain or an operator.
    Name, 64
}

name! {
    /// One scheduler, worker or storage node. Short enough to be copied without allocation.
    NodeId, 24
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_tells_home_and_time() {
        let id = JobId::random(513, 1_795_000_000_123_456, [0xff; 8]);
        assert_eq!(id.home(), 513);
        assert_eq!(id.submitted_ms(), Some(1_795_000_000_123));
        assert_eq!(Uuid::from_bytes(id.0).get_version_num(), 8);
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn disks_and_clusters_are_written_in_plain_hexadecimal() {
        let disk = DiskId([0xab; 16]);
        assert_eq!(disk.to_string(), "ab".repeat(16));
        assert_eq!(disk.to_string().parse(), Ok(disk));
        assert_eq!(serde_json::to_value(disk).unwrap(), "ab".repeat(16));
        assert!("ab".repeat(15).parse::<ClusterId>().is_err());
    }

    #[test]
    fn a_keyed_job_id_depends_on_each_part_and_its_borders() {
        let id = JobId::keyed(1, "shop", Some("a"), "bc");
        assert_eq!(id, JobId::keyed(1, "shop", Some("a"), "bc"));
        assert_ne!(id, JobId::keyed(1, "shop", Some("ab"), "c"));
        assert_ne!(id, JobId::keyed(1, "shopa", None, "bc"));
        assert_eq!((id.home(), id.submitted_ms()), (1, None));
    }

    #[test]
    fn names_that_would_change_a_subject_are_refused() {
        for bad in ["", "a.b", "a b", "*", ">", "ü", "a\n"] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert!(Name::new("word-count_2").is_ok());
        assert!(Name::new("x".repeat(65)).is_err());
    }
}
