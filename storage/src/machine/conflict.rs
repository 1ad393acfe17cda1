//! Whether somebody else changed what a job rests upon since its snapshot.
//!
//! Serializable: nothing that it read or scanned may have a later version, nor anything that it
//! replaces or deletes. Snapshot: only the latter. Additions collide with nothing: the order in
//! which they happen does not show.
//!
//! Versions on their way to the disk count too. A conflict may be told at once, for it changes
//! nothing.

use super::Node;
use crate::state::{KeyRange, State, StateError};
use catena_protocol::chain::Isolation;
use catena_protocol::key::tag;
use catena_protocol::message::commit::Commit;
use catena_protocol::message::write::{Change, Mutation};
use catena_protocol::{Key, Timestamp};
use std::ops::{ControlFlow, RangeInclusive};

impl<C> Node<C> {
    /// The first change after the snapshot of a commit that it cannot live with.
    pub(super) fn conflict<S: State>(
        &self,
        commit: &Commit,
        state: &S,
    ) -> Result<Option<(Key, Timestamp)>, StateError> {
        let since = commit.snapshot;
        let effects = &commit.effects;
        let replaces = |mutation: &&Mutation| !matches!(mutation.change, Change::Add(_));
        for mutation in effects.writes.iter().filter(replaces) {
            if let Some(version) = self.changed(&mutation.key, since, state)? {
                return Ok(Some((mutation.key.clone(), version)));
            }
        }
        if commit.isolation != Isolation::Serializable {
            return Ok(None);
        }
        for key in &effects.reads {
            if let Some(version) = self.changed(key, since, state)? {
                return Ok(Some((key.clone(), version)));
            }
        }
        for prefix in &effects.scans {
            if let Some(found) = self.changed_under(prefix, since, state)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn changed<S: State>(
        &self,
        key: &Key,
        since: Timestamp,
        state: &S,
    ) -> Result<Option<Timestamp>, StateError> {
        let partition = key.partition(self.settings.partitions);
        let head = self.partitions[usize::from(partition)].head(key, state)?;
        Ok(head.map(|stored| stored.version).filter(|version| *version > since))
    }

    fn changed_under<S: State>(
        &self,
        prefix: &Key,
        since: Timestamp,
        state: &S,
    ) -> Result<Option<(Key, Timestamp)>, StateError> {
        let prefix = prefix.as_str();
        for partition in partitions_under(prefix, self.settings.partitions) {
            let pending = &self.partitions[usize::from(partition)].pending;
            if let Some(found) = pending.changed_in(prefix, since) {
                return Ok(Some(found));
            }
            // What the state has is older than most snapshots.
            if self.partitions[usize::from(partition)].applied.newest <= since {
                continue;
            }
            let mut found = None;
            let range = KeyRange { prefix, after: None };
            state.scan(partition, range, Timestamp::MAX, &mut |key, stored| {
                let version = stored.map(|stored| stored.version);
                found = version.filter(|version| *version > since).map(|version| (key, version));
                if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// Where the keys with a prefix live. Without a whole tag that is everywhere.
pub(super) fn partitions_under(prefix: &str, partitions: u16) -> RangeInclusive<u16> {
    let tagged = tag(prefix).len() < prefix.len();
    let home = catena_protocol::partition(prefix, partitions);
    if tagged { home..=home } else { 0..=partitions - 1 }
}
