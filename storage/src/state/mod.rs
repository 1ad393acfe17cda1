//! The state of a node: what the committed records of its partitions add up to.
//!
//! Promise: when [`StateWriter::apply`] returns, changes are there with the positions in the log
//! that they stand for. If it does not return, because the process dies, some of them may be
//! there and the positions not: then the log is replayed from before, which brings the same
//! again. Never is a position there and what it stands for not.
//!
//! A reader on another thread may see part of what is being applied; the machine knows what is on
//! its way and looks there first, so it never notices. What may be forgotten goes at some time:
//! nobody may ask for it any more. It deliberately does not know clocks, requests or the log.

mod content;
mod encoding;
mod export;
#[cfg(feature = "service")]
mod fjall;
#[cfg(feature = "service")]
mod layout;
mod memory;
#[cfg(feature = "service")]
mod sweep;
mod txn;

pub use content::{Content, NotAnInteger, Stored};
#[cfg(feature = "service")]
pub use fjall::FjallState;
pub use memory::MemoryState;
pub use txn::{OpenTxn, TxnChange};

pub use catena_protocol::message::gossip::Mark;

use catena_protocol::message::commit::Outcome;
use catena_protocol::message::gossip::Item;
use catena_protocol::message::write::Written;
use catena_protocol::{Blob, JobId, Key, RequestId, Timestamp};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The engine failed. The process must not go on with it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the state cannot be {doing}: {reason}")]
pub struct StateError {
    /// What was tried.
    pub doing: &'static str,
    /// What the engine said.
    pub reason: String,
}

/// What one record of a log brings to the state. Shared by all who keep it for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Version of the rows, and when the request was answered.
    pub version: Timestamp,
    /// New versions of records.
    pub rows: Vec<(Key, Content)>,
    /// A direct write whose answer is remembered; what was found in place of the expected is left
    /// out.
    pub request: Option<(RequestId, Written)>,
    /// The outcome of a job, at its home. Few records have one, and it is large.
    pub outcome: Option<Box<Outcome>>,
}

impl Update {
    /// Whether it brings nothing.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.request.is_none() && self.outcome.is_none()
    }
}

/// From when on things are kept; what is older may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forget {
    /// Nobody reads the store as it was before this. Of each record the newest version at or
    /// before it stays, unless that says that the record is gone. Never falls.
    pub versions: Timestamp,
    /// Nobody asks again for what was answered up to this.
    pub requests: Timestamp,
    /// Outcomes that expire up to this have expired.
    pub outcomes: Timestamp,
}

/// One change of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// A partition of which nothing stays: everything else here comes after that.
    pub clear: Option<u16>,
    /// What is new in the partitions, in the order of their logs.
    pub updates: Vec<(u16, Arc<Update>)>,
    /// Transactions that begin or end, in the order of the log.
    pub txns: Vec<(u16, TxnChange)>,
    /// How far the partitions are then.
    pub marks: Vec<(u16, Mark)>,
    /// What may go from now on.
    pub forget: Option<Forget>,
}

impl Changes {
    /// What they say of how far a partition is; nothing: not at all.
    #[cfg(feature = "service")]
    fn mark_of(&self, partition: u16) -> Mark {
        let found = self.marks.iter().rev().find(|(of, _)| *of == partition);
        found.map(|(_, mark)| mark.clone()).unwrap_or_default()
    }
}

/// Which keys a scan visits.
#[derive(Clone, Copy, Debug)]
pub struct KeyRange<'a> {
    /// Keys begin with this; empty: all. Has no control characters.
    pub prefix: &'a str,
    /// Only keys behind this one.
    pub after: Option<&'a Key>,
}

/// What a scan calls for each key, with its version at the time asked for; none: it had none.
pub type Visit<'a> = dyn FnMut(Key, Option<Stored>) -> ControlFlow<()> + 'a;

/// Reading the state.
pub trait State {
    /// The newest version of a record at or before `at`.
    ///
    /// # Errors
    /// [`StateError`].
    fn newest(
        &self,
        partition: u16,
        key: &Key,
        at: Timestamp,
    ) -> Result<Option<Stored>, StateError>;

    /// Visits the keys of a range in order until told to stop.
    ///
    /// # Errors
    /// [`StateError`].
    fn scan(
        &self,
        partition: u16,
        range: KeyRange<'_>,
        at: Timestamp,
        visit: &mut Visit<'_>,
    ) -> Result<(), StateError>;

    /// The remembered answer to a direct write.
    ///
    /// # Errors
    /// [`StateError`].
    fn written(&self, partition: u16, request: &RequestId) -> Result<Option<Written>, StateError>;

    /// The outcome of a job.
    ///
    /// # Errors
    /// [`StateError`].
    fn outcome(&self, partition: u16, job: &JobId) -> Result<Option<Outcome>, StateError>;

    /// The transactions of a partition that have not ended.
    ///
    /// # Errors
    /// [`StateError`].
    fn open_txns(&self, partition: u16) -> Result<Vec<OpenTxn>, StateError>;

    /// How far a partition has got.
    ///
    /// # Errors
    /// [`StateError`].
    fn mark(&self, partition: u16) -> Result<Mark, StateError>;

    /// A piece of what the state of a partition holds, about `bytes` long, and where the next one
    /// begins. `from` is where the one before said; none: at the beginning. What is added
    /// meanwhile may be in it or not; everything else is.
    ///
    /// # Errors
    /// [`StateError`].
    fn export(
        &self,
        partition: u16,
        from: Option<&[u8]>,
        bytes: usize,
    ) -> Result<(Vec<Item>, Option<Blob>), StateError>;

    /// Nothing before this can be read any more: [`Forget::versions`].
    ///
    /// # Errors
    /// [`StateError`].
    fn horizon(&self) -> Result<Timestamp, StateError>;
}

/// Changing the state.
pub trait StateWriter {
    /// Applies the changes in order. Afterwards they are durable, where the state is at all.
    ///
    /// # Errors
    /// [`StateError`].
    fn apply(&mut self, changes: &[Changes]) -> Result<(), StateError>;
}
