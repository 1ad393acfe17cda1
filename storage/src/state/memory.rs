//! The state in memory: for tests and simulation, and as the plain reference of the real one.

use super::export::{OUTCOMES, Pieces, REQUESTS, ROWS, TXNS, rest};
use super::txn::Place;
use super::{
    Changes, Forget, KeyRange, Mark, OpenTxn, State, StateError, StateWriter, Stored, Update, Visit,
};
use catena_protocol::message::commit::Outcome;
use catena_protocol::message::gossip::Item;
use catena_protocol::message::write::Written;
use catena_protocol::{Blob, JobId, Key, RequestId, Timestamp, codec};
use std::cmp::Reverse;
use std::collections::BTreeMap;

type Versions = BTreeMap<Reverse<Timestamp>, super::Content>;

/// A state that is gone with the process. What may be forgotten goes at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    data: BTreeMap<(u16, Key), Versions>,
    requests: BTreeMap<(u16, RequestId), (Timestamp, Written)>,
    outcomes: BTreeMap<(u16, JobId), Outcome>,
    txns: BTreeMap<(u16, Place), OpenTxn>,
    marks: BTreeMap<u16, Mark>,
    horizon: Timestamp,
}

impl MemoryState {
    /// How many versions of records it holds.
    pub fn versions(&self) -> usize {
        self.data.values().map(BTreeMap::len).sum()
    }

    /// How many answers it remembers.
    pub fn requests(&self) -> usize {
        self.requests.len()
    }

    /// How many outcomes it holds.
    pub fn outcomes(&self) -> usize {
        self.outcomes.len()
    }

    fn clear(&mut self, partition: u16) {
        self.data.retain(|(of, _), _| *of != partition);
        self.requests.retain(|(of, _), _| *of != partition);
        self.outcomes.retain(|(of, _), _| *of != partition);
        self.txns.retain(|(of, _), _| *of != partition);
    }

    fn apply_one(&mut self, changes: &Changes) {
        if let Some(partition) = changes.clear {
            self.clear(partition);
        }
        for (partition, update) in &changes.updates {
            self.update(*partition, update);
        }
        for (partition, change) in &changes.txns {
            let at = (*partition, change.place());
            match change.kept() {
                Some(open) => drop(self.txns.insert(at, open)),
                None => drop(self.txns.remove(&at)),
            }
        }
        self.marks.extend(changes.marks.iter().cloned());
        if let Some(forget) = changes.forget {
            self.forget(forget);
        }
    }

    fn update(&mut self, partition: u16, update: &Update) {
        for (key, content) in &update.rows {
            let versions = self.data.entry((partition, key.clone())).or_default();
            versions.insert(Reverse(update.version), content.clone());
        }
        if let Some((request, written)) = &update.request {
            self.requests.insert((partition, *request), (update.version, written.clone()));
        }
        if let Some(outcome) = &update.outcome {
            self.outcomes.insert((partition, outcome.job), Outcome::clone(outcome));
        }
    }

    fn forget(&mut self, forget: Forget) {
        self.horizon = self.horizon.max(forget.versions);
        for versions in self.data.values_mut() {
            forget_versions(versions, self.horizon);
        }
        self.data.retain(|_, versions| !versions.is_empty());
        self.requests.retain(|_, (time, _)| *time > forget.requests);
        self.outcomes.retain(|_, outcome| outcome.expires > forget.outcomes);
    }
}

/// Takes away what nobody at or after `horizon` can see.
fn forget_versions(versions: &mut Versions, horizon: Timestamp) {
    let mut old = versions.range(Reverse(horizon)..);
    let Some((newest, content)) = old.next() else { return };
    let (newest, gone) = (*newest, content.is_deleted());
    versions.retain(|version, _| *version < newest || (*version == newest && !gone));
}

impl MemoryState {
    fn export_txns(&self, partition: u16, after: Option<&[u8]>, pieces: &mut Pieces) -> bool {
        let of_it = self.txns.iter().filter(|((of, _), _)| *of == partition);
        of_it
            .filter(|((_, place), _)| after.is_none_or(|after| &place[..] > after))
            .all(|((_, place), open)| pieces.add(TXNS, place, open.bytes(), open.clone().into()))
    }

    fn export_rows(&self, partition: u16, after: Option<&[u8]>, pieces: &mut Pieces) -> bool {
        let of_it = self.data.iter().filter(|((of, _), _)| *of == partition);
        for ((_, key), versions) in of_it {
            for (Reverse(version), content) in versions {
                let place = [key.as_str().as_bytes(), &[0], &(!version.0).to_be_bytes()].concat();
                if after.is_some_and(|after| place.as_slice() <= after) {
                    continue;
                }
                let content = content.to_bytes();
                let size = place.len() + content.len();
                let item = Item::Row(key.clone(), *version, content.into());
                if !pieces.add(ROWS, &place, size, item) {
                    return false;
                }
            }
        }
        true
    }

    fn export_requests(&self, partition: u16, after: Option<&[u8]>, pieces: &mut Pieces) -> bool {
        let of_it = self.requests.iter().filter(|((of, _), _)| *of == partition);
        of_it.filter(|((_, id), _)| after.is_none_or(|after| &id.0[..] > after)).all(
            |((_, id), (time, written))| {
                let item = Item::Request(*id, *time, written.clone());
                pieces.add(REQUESTS, &id.0, 48, item)
            },
        )
    }

    fn export_outcomes(&self, partition: u16, after: Option<&[u8]>, pieces: &mut Pieces) -> bool {
        let of_it = self.outcomes.iter().filter(|((of, _), _)| *of == partition);
        of_it.filter(|((_, id), _)| after.is_none_or(|after| &id.0[..] > after)).all(
            |((_, id), outcome)| {
                let bytes = codec::encode(outcome).len();
                pieces.add(OUTCOMES, &id.0, bytes, Item::Outcome(outcome.clone()))
            },
        )
    }
}

fn newest(versions: &Versions, at: Timestamp) -> Option<Stored> {
    let (version, content) = versions.range(Reverse(at)..).next()?;
    Some(Stored { version: version.0, content: content.clone() })
}

impl State for MemoryState {
    fn newest(
        &self,
        partition: u16,
        key: &Key,
        at: Timestamp,
    ) -> Result<Option<Stored>, StateError> {
        let versions = self.data.get(&(partition, key.clone()));
        Ok(versions.and_then(|versions| newest(versions, at)))
    }

    fn scan(
        &self,
        partition: u16,
        range: KeyRange<'_>,
        at: Timestamp,
        visit: &mut Visit<'_>,
    ) -> Result<(), StateError> {
        let keys = self.data.iter().filter(|((of, key), _)| {
            *of == partition
                && key.as_str().starts_with(range.prefix)
                && range.after.is_none_or(|after| key > after)
        });
        for ((_, key), versions) in keys {
            if visit(key.clone(), newest(versions, at)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn written(&self, partition: u16, request: &RequestId) -> Result<Option<Written>, StateError> {
        Ok(self.requests.get(&(partition, *request)).map(|(_, written)| written.clone()))
    }

    fn outcome(&self, partition: u16, job: &JobId) -> Result<Option<Outcome>, StateError> {
        Ok(self.outcomes.get(&(partition, *job)).cloned())
    }

    fn open_txns(&self, partition: u16) -> Result<Vec<OpenTxn>, StateError> {
        let of_it = self.txns.iter().filter(|((of, _), _)| *of == partition);
        Ok(of_it.map(|(_, open)| open.clone()).collect())
    }

    fn mark(&self, partition: u16) -> Result<Mark, StateError> {
        Ok(self.marks.get(&partition).cloned().unwrap_or_default())
    }

    fn export(
        &self,
        partition: u16,
        from: Option<&[u8]>,
        bytes: usize,
    ) -> Result<(Vec<Item>, Option<Blob>), StateError> {
        let mut pieces = Pieces::new(bytes);
        for (kind, after) in rest(from) {
            let more = match kind {
                TXNS => self.export_txns(partition, after, &mut pieces),
                ROWS => self.export_rows(partition, after, &mut pieces),
                REQUESTS => self.export_requests(partition, after, &mut pieces),
                _ => self.export_outcomes(partition, after, &mut pieces),
            };
            if !more {
                break;
            }
        }
        Ok(pieces.finish())
    }

    fn horizon(&self) -> Result<Timestamp, StateError> {
        Ok(self.horizon)
    }
}

impl StateWriter for MemoryState {
    fn apply(&mut self, changes: &[Changes]) -> Result<(), StateError> {
        changes.iter().for_each(|changes| self.apply_one(changes));
        Ok(())
    }
}
