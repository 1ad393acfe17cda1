//! **read**: records, at a time.

use crate::clock::Timestamp;
use crate::codec::Blob;
use crate::key::Key;
use minicbor::{Decode, Encode};

/// Which state of the store a read sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum At {
    /// Everything that was acknowledged before.
    #[default]
    #[n(0)]
    Latest,
    /// Exactly what was committed up to and including this time.
    #[n(1)]
    Snapshot(#[n(0)] Timestamp),
    /// Like `Latest`, without relying on clocks that run at the same rate: a majority is asked.
    #[n(2)]
    Strict,
}

/// The record of one key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Read {
    /// Which.
    #[n(0)]
    pub key: Key,
    /// When.
    #[n(1)]
    pub at: At,
}

/// The records of all keys with a prefix within one partition, in key order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Scan {
    /// Keys begin with this; empty: all.
    #[n(0)]
    pub prefix: String,
    /// When.
    #[n(1)]
    pub at: At,
    /// Only keys behind this one.
    #[n(2)]
    pub after: Option<Key>,
    /// At most so many records; the store may return fewer.
    #[n(3)]
    pub limit: u32,
}

/// What a key holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Record {
    /// The commit that wrote it; zero: there never was one (or it is long deleted).
    #[n(0)]
    pub version: Timestamp,
    /// Its value; none: there is none.
    #[n(1)]
    pub value: Option<Blob>,
}

/// A record with its key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Found {
    /// The key.
    #[n(0)]
    pub key: Key,
    /// What it holds; always with a value.
    #[n(1)]
    pub record: Record,
}
