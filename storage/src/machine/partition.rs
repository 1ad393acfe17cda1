//! One partition, as its primary sees it.

use super::ceiling::Ceiling;
use super::pending::Pending;
use crate::state::{Mark, State, StateError, Stored};
use catena_protocol::{Key, Timestamp};

/// One partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) number: u16,
    pub(super) epoch: u64,
    /// Index of the last record that was appended.
    pub(super) last: u64,
    /// Index of the last record that was found in the log at the start; 0: none was.
    pub(super) logged: u64,
    /// What the state contains, once all that was handed out is applied.
    pub(super) mark: Mark,
    pub(super) ceiling: Ceiling,
    /// The records behind what the state contains.
    pub(super) pending: Pending,
}

impl Partition {
    pub(super) fn new(number: u16, mark: Mark) -> Self {
        Self {
            number,
            epoch: mark.epoch,
            last: mark.applied,
            logged: 0,
            mark,
            ceiling: Ceiling::new(mark.ceiling),
            pending: Pending::new(mark.applied),
        }
    }

    /// The newest version of a record, whether it is durable yet or not: what a later record in
    /// the log builds upon.
    pub(super) fn head<S: State>(
        &self,
        key: &Key,
        state: &S,
    ) -> Result<Option<Stored>, StateError> {
        match self.pending.head(key) {
            Some(stored) => Ok(Some(stored)),
            None => state.newest(self.number, key, Timestamp::MAX),
        }
    }

    /// The newest committed version of a record at or before `at`.
    pub(super) fn committed<S: State>(
        &self,
        key: &Key,
        at: Timestamp,
        state: &S,
    ) -> Result<Option<Stored>, StateError> {
        match self.pending.committed(key, at) {
            Some(stored) => Ok(Some(stored)),
            None => state.newest(self.number, key, at),
        }
    }
}
