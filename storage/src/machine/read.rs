//! **read**: one record, now or at a snapshot.

use super::blocked::Scope;
use super::effect::Verdict;
use super::{Bug, Node};
use crate::state::{State, StateError};
use catena_protocol::clock::Now;
use catena_protocol::message::read::{At, Read, Record};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Key, Timestamp};

impl<C> Node<C> {
    pub(super) fn read<S: State>(
        &mut self,
        now: Now,
        partition: u16,
        read: Read,
        state: &S,
    ) -> Result<Verdict, StateError> {
        let At::Snapshot(snapshot) = read.at else {
            return self.read_latest(now, partition, read, state);
        };
        if let Err(tell) = self.open_snapshot(now, snapshot) {
            return Ok(Verdict::Tell(tell));
        }
        if let Some(obstacle) = self.obstacle(partition, Scope::Key(&read.key), read.at) {
            return Ok(self.block(obstacle, Ask::Read(read)));
        }
        if let Some(index) = self.undecided(now, partition, Some(&read.key), snapshot) {
            return Ok(self.wait(index, Ask::Read(read)));
        }
        if self.settings.founders.len() > 1 {
            self.partitions[usize::from(partition)].marks.read(&read.key, snapshot);
        }
        let record = self.record_at(partition, &read.key, snapshot, state)?;
        // Who reads at a snapshot knows its time already.
        Ok(Verdict::Seen { version: Timestamp::ZERO, tell: Tell::Record(record) })
    }

    fn read_latest<S: State>(
        &mut self,
        now: Now,
        partition: u16,
        read: Read,
        state: &S,
    ) -> Result<Verdict, StateError> {
        let strict = read.at == At::Strict;
        if !self.is_sure(now, partition, strict) {
            return Ok(self.confirm(strict, Ask::Read(read)));
        }
        if let Some(obstacle) = self.obstacle(partition, Scope::Key(&read.key), read.at) {
            return Ok(self.block(obstacle, Ask::Read(read)));
        }
        let counting = self.partitions[usize::from(partition)].pending.counting(&read.key);
        if let Some(index) = counting.filter(|_| !self.has(Bug::ReadPastEnds)) {
            return Ok(self.wait(index, Ask::Read(read)));
        }
        let record = self.record_at(partition, &read.key, Timestamp::MAX, state)?;
        Ok(Verdict::Seen { version: record.version, tell: Tell::Record(record) })
    }

    fn record_at<S: State>(
        &self,
        partition: u16,
        key: &Key,
        at: Timestamp,
        state: &S,
    ) -> Result<Record, StateError> {
        let partition = &self.partitions[usize::from(partition)];
        let found = if self.has(Bug::DirtyRead) && at == Timestamp::MAX {
            partition.head(key, state)?
        } else {
            partition.committed(key, at, state)?
        };
        Ok(found.map_or_else(Record::default, Record::from))
    }

    /// The index that must be committed before a snapshot of this partition, or of one key in it,
    /// stands for good. A follower is only asked for what is closed, which stands.
    pub(super) fn undecided(
        &mut self,
        now: Now,
        partition: u16,
        key: Option<&Key>,
        snapshot: Timestamp,
    ) -> Option<u64> {
        if !self.partitions[usize::from(partition)].serves() {
            return None;
        }
        let ceiling = self.raise_ceiling(now, partition, snapshot);
        let pending = &self.partitions[usize::from(partition)].pending;
        ceiling.max(match key {
            Some(key) => pending.undecided(key, snapshot),
            None => pending.undecided_any(snapshot),
        })
    }

    /// Has a request looked at again when the log is committed up to `index`, if there is room to
    /// wait.
    pub(super) fn wait(&self, index: u64, ask: Ask) -> Verdict {
        match self.admit_wait() {
            Ok(()) => Verdict::Again { index, ask },
            Err(tell) => Verdict::Tell(tell),
        }
    }

    /// Has a request looked at again when it is certain who leads, if there is room to wait.
    pub(super) fn confirm(&self, strict: bool, ask: Ask) -> Verdict {
        match self.admit_wait() {
            Ok(()) => Verdict::Confirm { strict, ask },
            Err(tell) => Verdict::Tell(tell),
        }
    }
}
