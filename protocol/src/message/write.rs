//! **write**: what can be done to a record, inside a job's commit or directly.

use crate::clock::Timestamp;
use crate::codec::Blob;
use crate::id::RequestId;
use crate::key::Key;
use minicbor::{Decode, Encode};

/// A change of one record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Mutation {
    /// Which record.
    #[n(0)]
    pub key: Key,
    /// What happens to it.
    #[n(1)]
    pub change: Change,
}

/// What happens to a record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Change {
    /// It gets this value.
    #[n(0)]
    Put(#[n(0)] Blob),
    /// It is gone.
    #[n(1)]
    Delete,
    /// This is added to it: a decimal integer in text; absent counts as 0.
    #[n(2)]
    Add(#[n(0)] i64),
}

impl Mutation {
    /// Bytes that count towards the write set.
    pub fn bytes(&self) -> usize {
        let value = match &self.change {
            Change::Put(value) => value.len(),
            Change::Delete => 0,
            Change::Add(_) => 8,
        };
        self.key.as_str().len() + value
    }
}

/// A direct write of one key. Linearizable; sent again under the same request id it takes effect
/// once and gets the first answer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Write {
    /// Names this write, however often it is sent.
    #[n(0)]
    pub request: RequestId,
    /// Which record and what happens to it.
    #[n(1)]
    pub mutation: Mutation,
    /// What must hold for it to happen.
    #[n(2)]
    pub condition: Condition,
}

/// What must hold for a direct write to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum Condition {
    /// Nothing.
    #[default]
    #[n(0)]
    Always,
    /// The record has this value; none: there is no record.
    #[n(1)]
    ValueIs(#[n(0)] Option<Blob>),
    /// The record has this version; zero: there is no record.
    #[n(2)]
    VersionIs(#[n(0)] Timestamp),
}

/// How a direct write ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Written {
    /// It happened, at this version.
    #[n(0)]
    Done {
        /// The version that it wrote.
        #[n(0)]
        version: Timestamp,
        /// The value after an `add`.
        #[n(1)]
        value: Option<i64>,
    },
    /// The condition did not hold; nothing was changed. This is what was found.
    #[n(1)]
    Differs {
        /// Version of what was found; zero: nothing was.
        #[n(0)]
        version: Timestamp,
        /// What was found.
        #[n(1)]
        value: Option<Blob>,
    },
}
