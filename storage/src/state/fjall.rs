//! The state in fjall, a log-structured merge tree on disk.
//!
//! Its journal is not synced for each batch: that is what our own log is for.

use super::export::{OUTCOMES, Pieces, REQUESTS, ROWS, TXNS, rest};
use super::{
    Changes, Content, KeyRange, Mark, OpenTxn, State, StateError, StateWriter, Step, StepOf,
    Stored, Superseded, Trail, Visit, layout,
};
use bytes::Bytes;
use catena_protocol::codec::{decode, encode};
use catena_protocol::message::commit::Outcome;
use catena_protocol::message::gossip::Item;
use catena_protocol::message::write::Written;
use catena_protocol::{Blob, JobId, Key, RequestId, Timestamp};
use fjall::{
    Database, Guard, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Slice,
};
use std::ops::Bound;
use std::path::Path;

/// The state on disk. Clones are the same state.
#[derive(Clone)]
pub struct FjallState {
    database: Database,
    data: Keyspace,
    requests: Keyspace,
    outcomes: Keyspace,
    txns: Keyspace,
    trail: Keyspace,
    meta: Keyspace,
}

/// Entries that are removed in one batch when a partition is cleared.
const CLEARED_TOGETHER: usize = 1_024;
/// After so many versions of one key that are passed over, searching anew is cheaper.
const STEPS_BEFORE_SEARCH: usize = 8;

impl FjallState {
    /// Opens the state in a folder, or begins one.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        let failed = failed("opened");
        let database = Database::builder(folder)
            .worker_threads(1)
            .cache_size(64 * 1024 * 1024)
            .open()
            .map_err(failed)?;
        let keyspace =
            |name| database.keyspace(name, KeyspaceCreateOptions::default).map_err(failed);
        Ok(Self {
            data: keyspace("data")?,
            requests: keyspace("requests")?,
            outcomes: keyspace("outcomes")?,
            txns: keyspace("txns")?,
            trail: keyspace("trail")?,
            meta: keyspace("meta")?,
            database,
        })
    }

    /// Roughly how many versions of records there are; off while many are being replaced.
    pub fn approximate_versions(&self) -> u64 {
        self.data.approximate_len() as u64
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn bytes(&self) -> Result<u64, StateError> {
        self.database.disk_space().map_err(failed("measured"))
    }

    fn add(&self, batch: &mut OwnedWriteBatch, changes: &Changes) {
        for row in &changes.rows {
            let version = row.stored.version;
            let at = layout::row(row.partition, &row.key, version);
            batch.insert(&self.data, at, row.stored.content.to_bytes());
            let step = Step { time: version, of: StepOf::Key(row.key.clone()) };
            self.add_step(batch, Trail::Versions, row.partition, &step);
        }
        for known in &changes.requests {
            let at = layout::id(known.partition, &known.request.0);
            batch.insert(&self.requests, at, encode(&(known.time, &known.written)));
            let step = Step { time: known.time, of: StepOf::Request(known.request) };
            self.add_step(batch, Trail::Requests, known.partition, &step);
        }
        for (partition, outcome) in &changes.outcomes {
            batch.insert(&self.outcomes, layout::id(*partition, &outcome.job.0), encode(outcome));
            let step = Step { time: outcome.expires, of: StepOf::Job(outcome.job) };
            self.add_step(batch, Trail::Outcomes, *partition, &step);
        }
        for (partition, change) in &changes.txns {
            let (place, kept) = change.kept();
            let at = [&partition.to_be_bytes()[..], &place].concat();
            match kept {
                Some(open) => batch.insert(&self.txns, at, encode(&Item::from(open))),
                None => batch.remove(&self.txns, at),
            }
        }
        for (partition, mark) in &changes.marks {
            batch.insert(&self.meta, layout::mark(*partition), encode(mark));
        }
        if let Some(horizon) = changes.horizon {
            batch.insert(&self.meta, layout::HORIZON, horizon.0.to_be_bytes());
        }
    }

    fn add_step(&self, batch: &mut OwnedWriteBatch, trail: Trail, partition: u16, step: &Step) {
        batch.insert(&self.trail, layout::step(trail, partition, step), []);
    }

    fn forget(&self, batch: &mut OwnedWriteBatch, forget: &super::Forget) {
        for (partition, key, version) in &forget.versions {
            batch.remove(&self.data, layout::row(*partition, key, *version));
        }
        for (partition, request) in &forget.requests {
            batch.remove(&self.requests, layout::id(*partition, &request.0));
        }
        for (partition, job) in &forget.outcomes {
            batch.remove(&self.outcomes, layout::id(*partition, &job.0));
        }
        for (trail, partition, step) in &forget.steps {
            batch.remove(&self.trail, layout::step(*trail, *partition, step));
        }
    }

    /// Removes everything of a partition, in batches.
    fn clear(&self, partition: u16) -> Result<(), StateError> {
        let number = partition.to_be_bytes().to_vec();
        let trails = [Trail::Versions, Trail::Requests, Trail::Outcomes];
        let trails = trails.map(|trail| (&self.trail, layout::trail_of(trail, partition)));
        let kept = [&self.txns, &self.data, &self.requests, &self.outcomes]
            .map(|space| (space, number.clone()));
        for (space, prefix) in kept.into_iter().chain(trails) {
            loop {
                let mut batch = self.database.batch();
                let mut removed = 0;
                for guard in space.prefix(&prefix).take(CLEARED_TOGETHER) {
                    batch.remove(space, guard.key().map_err(failed("read"))?);
                    removed += 1;
                }
                batch.commit().map_err(failed("changed"))?;
                if removed < CLEARED_TOGETHER {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The entries of a keyspace that belong to a partition, behind `after`.
    fn entries(
        space: &Keyspace,
        partition: u16,
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<(Slice, Slice), StateError>> {
        let prefix = partition.to_be_bytes();
        let start = match after {
            Some(after) => Bound::Excluded([&prefix, after].concat()),
            None => Bound::Included(prefix.to_vec()),
        };
        let end = layout::behind(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        space.range((start, end)).map(|guard| guard.into_inner().map_err(failed("read")))
    }

    fn export_txns(
        &self,
        partition: u16,
        after: Option<&[u8]>,
        pieces: &mut Pieces,
    ) -> Result<bool, StateError> {
        for entry in Self::entries(&self.txns, partition, after) {
            let (place, bytes) = entry?;
            let item = decode(&bytes).map_err(|_| garbled("a transaction"))?;
            if !pieces.add(TXNS, &place[2..], place.len() + bytes.len(), item) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn export_rows(
        &self,
        partition: u16,
        after: Option<&[u8]>,
        pieces: &mut Pieces,
    ) -> Result<bool, StateError> {
        for entry in Self::entries(&self.data, partition, after) {
            let (place, content) = entry?;
            let (key, version) =
                layout::parse_row(&place).ok_or_else(|| garbled("a record's key"))?;
            let size = place.len() + content.len();
            let item = Item::Row(key, version, Bytes::from(content).into());
            if !pieces.add(ROWS, &place[2..], size, item) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn export_requests(
        &self,
        partition: u16,
        after: Option<&[u8]>,
        pieces: &mut Pieces,
    ) -> Result<bool, StateError> {
        for entry in Self::entries(&self.requests, partition, after) {
            let (place, bytes) = entry?;
            let (time, written): (Timestamp, Written) =
                decode(&bytes).map_err(|_| garbled("a remembered answer"))?;
            let id = place[2..].try_into().map_err(|_| garbled("a request id"))?;
            let item = Item::Request(RequestId(id), time, written);
            if !pieces.add(REQUESTS, &place[2..], place.len() + bytes.len(), item) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn export_outcomes(
        &self,
        partition: u16,
        after: Option<&[u8]>,
        pieces: &mut Pieces,
    ) -> Result<bool, StateError> {
        for entry in Self::entries(&self.outcomes, partition, after) {
            let (place, bytes) = entry?;
            let outcome = decode(&bytes).map_err(|_| garbled("an outcome"))?;
            if !pieces.add(OUTCOMES, &place[2..], bytes.len(), Item::Outcome(outcome)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The rows of one key at or before `at`, newest first.
    fn rows(
        &self,
        partition: u16,
        key: &Key,
        at: Timestamp,
    ) -> impl Iterator<Item = Result<Stored, StateError>> {
        let range = layout::row(partition, key, at)..layout::row_end(partition, key);
        self.data.range(range).map(|guard| parse(guard).map(|(_, stored)| stored))
    }
}

fn failed(doing: &'static str) -> impl Fn(fjall::Error) -> StateError + Copy {
    move |error| StateError { doing, reason: error.to_string() }
}

fn garbled(what: &str) -> StateError {
    StateError { doing: "read", reason: format!("{what} has an unknown form") }
}

fn parse(guard: Guard) -> Result<(Slice, Stored), StateError> {
    let (key, value) = guard.into_inner().map_err(failed("read"))?;
    let version = layout::row_version(&key).ok_or_else(|| garbled("a record's key"))?;
    let content = Content::from_bytes(&value.into()).ok_or_else(|| garbled("a record"))?;
    Ok((key, Stored { version, content }))
}

impl State for FjallState {
    fn newest(
        &self,
        partition: u16,
        key: &Key,
        at: Timestamp,
    ) -> Result<Option<Stored>, StateError> {
        self.rows(partition, key, at).next().transpose()
    }

    fn scan(
        &self,
        partition: u16,
        range: KeyRange<'_>,
        at: Timestamp,
        visit: &mut Visit<'_>,
    ) -> Result<(), StateError> {
        let prefix = layout::prefix(partition, range.prefix);
        let end = layout::behind(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        let mut start = match range.after {
            Some(after) => layout::row_end(partition, after).max(prefix),
            None => prefix,
        };
        'search: loop {
            let mut rows = self.data.range((Bound::Included(start), end.clone())).map(parse);
            let Some(mut row) = rows.next().transpose()? else { return Ok(()) };
            loop {
                let (key, _) =
                    layout::parse_row(&row.0).ok_or_else(|| garbled("a record's key"))?;
                start = layout::row_end(partition, &key);
                let found = match row.1 {
                    stored if stored.version <= at => Some(stored),
                    _ => self.newest(partition, &key, at)?,
                };
                if visit(key, found).is_break() {
                    return Ok(());
                }
                let next = rows
                    .by_ref()
                    .take(STEPS_BEFORE_SEARCH)
                    .find(|row| row.as_ref().map_or(true, |(bytes, _)| **bytes >= *start));
                match next {
                    Some(next) => row = next?,
                    None => continue 'search,
                }
            }
        }
    }

    fn written(&self, partition: u16, request: &RequestId) -> Result<Option<Written>, StateError> {
        let bytes = self.requests.get(layout::id(partition, &request.0)).map_err(failed("read"))?;
        let kept = |bytes: Slice| -> Result<(Timestamp, Written), StateError> {
            decode(&bytes).map_err(|_| garbled("a remembered answer"))
        };
        Ok(bytes.map(kept).transpose()?.map(|(_, written)| written))
    }

    fn outcome(&self, partition: u16, job: &JobId) -> Result<Option<Outcome>, StateError> {
        let bytes = self.outcomes.get(layout::id(partition, &job.0)).map_err(failed("read"))?;
        bytes.map(|bytes| decode(&bytes).map_err(|_| garbled("an outcome"))).transpose()
    }

    fn open_txns(&self, partition: u16) -> Result<Vec<OpenTxn>, StateError> {
        let open = Self::entries(&self.txns, partition, None).map(|entry| {
            let (_, bytes) = entry?;
            match decode(&bytes) {
                Ok(Item::Intent(intent)) => Ok(OpenTxn::Intent(intent)),
                Ok(Item::Unsettled(unsettled)) => Ok(OpenTxn::Unsettled(unsettled)),
                _ => Err(garbled("a transaction")),
            }
        });
        open.collect()
    }

    fn trail(
        &self,
        trail: Trail,
        partition: u16,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Step>, StateError> {
        if from > to {
            return Ok(Vec::new());
        }
        let start = layout::trail_at(trail, partition, from);
        let last = layout::trail_at(trail, partition, to);
        let end = layout::behind(&last).map_or(Bound::Unbounded, Bound::Excluded);
        let mut steps = Vec::new();
        for guard in self.trail.range((Bound::Included(start), end)).take(limit) {
            let bytes = guard.key().map_err(failed("read"))?;
            steps.push(layout::parse_step(trail, &bytes).ok_or_else(|| garbled("a trail"))?);
        }
        Ok(steps)
    }

    fn superseded(
        &self,
        partition: u16,
        key: &Key,
        horizon: Timestamp,
        limit: usize,
    ) -> Result<Superseded, StateError> {
        let rows: Vec<Stored> =
            self.rows(partition, key, horizon).take(limit + 2).collect::<Result<_, _>>()?;
        Ok(Superseded::of(rows.into_iter(), limit))
    }

    fn mark(&self, partition: u16) -> Result<Mark, StateError> {
        let bytes = self.meta.get(layout::mark(partition)).map_err(failed("read"))?;
        let mark = bytes.map(|bytes| decode(&bytes).map_err(|_| garbled("a mark"))).transpose()?;
        Ok(mark.unwrap_or_default())
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
                TXNS => self.export_txns(partition, after, &mut pieces)?,
                ROWS => self.export_rows(partition, after, &mut pieces)?,
                REQUESTS => self.export_requests(partition, after, &mut pieces)?,
                _ => self.export_outcomes(partition, after, &mut pieces)?,
            };
            if !more {
                break;
            }
        }
        Ok(pieces.finish())
    }

    fn horizon(&self) -> Result<Timestamp, StateError> {
        let Some(bytes) = self.meta.get(layout::HORIZON).map_err(failed("read"))? else {
            return Ok(Timestamp::ZERO);
        };
        let bytes: [u8; 8] = (&*bytes).try_into().map_err(|_| garbled("the horizon"))?;
        Ok(Timestamp(u64::from_be_bytes(bytes)))
    }
}

impl StateWriter for FjallState {
    fn apply(&mut self, changes: &[Changes]) -> Result<(), StateError> {
        let mut batch = self.database.batch();
        for changes in changes {
            if let Some(partition) = changes.clear {
                // Not in one piece with what follows: it may be large. A crash in between leaves
                // a partition that says of itself that it is being taken over.
                let begun = Mark { copying: true, ..changes.mark_of(partition) };
                batch.insert(&self.meta, layout::mark(partition), encode(&begun));
                std::mem::replace(&mut batch, self.database.batch())
                    .commit()
                    .map_err(failed("changed"))?;
                self.clear(partition)?;
            }
            self.add(&mut batch, changes);
            self.forget(&mut batch, &changes.forget);
        }
        batch.commit().map_err(failed("changed"))
    }

    fn persist(&mut self) -> Result<(), StateError> {
        self.database.persist(PersistMode::SyncAll).map_err(failed("synced"))
    }
}
