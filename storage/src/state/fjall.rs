//! The state in fjall, a log-structured merge tree on disk.
//!
//! Changes come in large batches, and become sorted tables as they are: neither the engine's
//! journal nor its tables in memory are passed through, for the log has them already and so has
//! whoever hands them over. First the contents become durable, then how far they reach; what is
//! written twice, because a process died in between, is the same twice.

use super::export::{Pieces, REQUESTS, ROWS, TXNS, rest};
use super::sweep::{Broom, Markers, Sweep};
use super::txn::Place;
use super::{
    Changes, Content, Forget, KeyRange, Mark, OpenTxn, State, StateError, StateWriter, Stored,
    TxnChange, Visit, layout,
};
use bytes::Bytes;
use catena_protocol::codec::{decode, encode};
use catena_protocol::message::commit::Outcome;
use catena_protocol::message::gossip::Item;
use catena_protocol::message::write::Written;
use catena_protocol::{Blob, JobId, Key, RequestId, Timestamp};
use fjall::compaction::filter::Factory;
use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode, Slice};
use minicbor::Decode;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The state on disk. Clones are the same state.
#[derive(Clone)]
pub struct FjallState {
    database: Database,
    data: Keyspace,
    requests: Keyspace,
    outcomes: Keyspace,
    txns: Keyspace,
    meta: Keyspace,
    sweep: Arc<Sweep>,
}

const DATA: &str = "data";
const ANSWERS: &str = "requests";
const ENDS: &str = "outcomes";
/// How long the engine's threads are waited for.
const LET_GO: Duration = Duration::from_secs(10);
/// Time between two looks for that.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// After so many versions of one key that are passed over, searching anew is cheaper.
const STEPS_BEFORE_SEARCH: usize = 8;

impl FjallState {
    /// Opens the state in a folder, or begins one.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        let failed = failed("opened");
        let sweep = Arc::new(Sweep::default());
        let swept = sweep.clone();
        let brooms = move |keyspace: &str| -> Option<Arc<dyn Factory>> {
            let broom = match keyspace {
                DATA => Broom::Versions(swept.clone()),
                ANSWERS => Broom::Requests(swept.clone()),
                ENDS => Broom::Outcomes(swept.clone()),
                _ => return None,
            };
            Some(Arc::new(broom))
        };
        let builder = || {
            Database::builder(folder)
                .worker_threads(1)
                .cache_size(64 * 1024 * 1024)
                .with_compaction_filter_factories(Arc::new(brooms.clone()))
        };
        let database = opened(|| builder().open()).map_err(failed)?;
        let keyspace =
            |name| database.keyspace(name, KeyspaceCreateOptions::default).map_err(failed);
        let state = Self {
            data: keyspace(DATA)?,
            requests: keyspace(ANSWERS)?,
            outcomes: keyspace(ENDS)?,
            txns: keyspace("txns")?,
            meta: keyspace("meta")?,
            database,
            sweep,
        };
        state.sweep.allow(Forget { versions: state.horizon()?, ..Forget::default() });
        Ok(state)
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

    /// Merges all tables, and with that forgets all that may be forgotten. Takes as long as
    /// writing everything anew.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn compact(&self) -> Result<(), StateError> {
        let spaces = [&self.data, &self.requests, &self.outcomes];
        spaces.into_iter().try_for_each(|space| space.major_compact().map_err(failed("compacted")))
    }

    /// Adds what the changes bring, not how far they reach.
    fn add(&self, changes: &[Changes]) -> Result<(), StateError> {
        let updates = || changes.iter().flat_map(|changes| &changes.updates);
        let mut rows: Entries = updates()
            .flat_map(|(partition, update)| {
                update.rows.iter().map(move |row| (partition, update, row))
            })
            .map(|(partition, update, (key, content))| {
                (layout::row(*partition, key, update.version), Some(content.to_bytes()))
            })
            .collect();
        let markers = self.sweep.take_gone();
        if !markers.is_empty() {
            rows.retain(|(at, _)| !is_gone(&markers, at));
            rows.extend(self.gone(&markers)?.into_iter().map(|at| (at, None)));
        }
        ingest(&self.data, rows)?;
        let requests = updates().filter_map(|(partition, update)| {
            let (request, written) = update.request.as_ref()?;
            let at = layout::id(*partition, &request.0).to_vec();
            Some((at, Some(layout::stamped(update.version, &encode(written)))))
        });
        ingest(&self.requests, requests.collect())?;
        let outcomes = updates().filter_map(|(partition, update)| {
            let outcome = update.outcome.as_ref()?;
            let at = layout::id(*partition, &outcome.job.0).to_vec();
            Some((at, Some(layout::stamped(outcome.expires, &encode(&**outcome)))))
        });
        ingest(&self.outcomes, outcomes.collect())
    }

    /// What nobody can see any more of records that were deleted: that they were, and all before.
    fn gone(&self, markers: &Markers) -> Result<Vec<Vec<u8>>, StateError> {
        let mut rows = Vec::new();
        for record in markers.keys() {
            let all = self.data.prefix(record).map(|row| row.key().map_err(failed("read")));
            let all: Vec<Slice> = all.collect::<Result<_, _>>()?;
            rows.extend(all.iter().filter(|row| is_gone(markers, row)).map(|row| row.to_vec()));
        }
        Ok(rows)
    }

    /// Writes down how far the partitions are, durably; only then what is older may go.
    fn reach(&self, changes: &[Changes]) -> Result<(), StateError> {
        let marks: BTreeMap<u16, &Mark> = changes
            .iter()
            .flat_map(|changes| &changes.marks)
            .map(|(partition, mark)| (*partition, mark))
            .collect();
        let forget: Vec<Forget> = changes.iter().filter_map(|changes| changes.forget).collect();
        let mut batch = self.database.batch();
        for (partition, mark) in marks {
            batch.insert(&self.meta, layout::mark(partition), encode(mark));
        }
        // Most transactions that begin in a batch have ended in it.
        let txns: BTreeMap<(u16, Place), &TxnChange> = changes
            .iter()
            .flat_map(|changes| &changes.txns)
            .map(|(partition, change)| ((*partition, change.place()), change))
            .collect();
        for ((partition, place), change) in txns {
            let at = [&partition.to_be_bytes()[..], &place].concat();
            match change.kept() {
                Some(open) => batch.insert(&self.txns, at, encode(&Item::from(open))),
                None => batch.remove(&self.txns, at),
            }
        }
        if let Some(horizon) = forget.iter().map(|forget| forget.versions).max() {
            let horizon = horizon.max(self.horizon()?);
            batch.insert(&self.meta, layout::HORIZON, horizon.0.to_be_bytes());
        }
        batch.commit().map_err(failed("changed"))?;
        self.sync()?;
        forget.into_iter().for_each(|forget| self.sweep.allow(forget));
        Ok(())
    }

    fn sync(&self) -> Result<(), StateError> {
        self.database.persist(PersistMode::SyncAll).map_err(failed("synced"))
    }

    /// Removes everything of a partition. From before its start until the changes have come that
    /// it makes room for, the partition says of itself that it is being taken over.
    fn clear(&self, partition: u16, then: &Changes) -> Result<(), StateError> {
        let begun = Mark { copying: true, ..then.mark_of(partition) };
        self.meta.insert(layout::mark(partition), encode(&begun)).map_err(failed("changed"))?;
        self.sync()?;
        for entry in Self::entries(&self.txns, partition, None) {
            self.txns.remove(entry?.0).map_err(failed("changed"))?;
        }
        for space in [&self.data, &self.requests, &self.outcomes] {
            let all = Self::entries(space, partition, None);
            let all = all.map(|entry| entry.map(|(at, _)| (at.to_vec(), None)));
            ingest(space, all.collect::<Result<_, _>>()?)?;
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

/// Whether a row is one that nobody can see any more. What a log that is replayed brings again must
/// not come back to life either.
fn is_gone(markers: &Markers, row: &[u8]) -> bool {
    let split = row.split_last_chunk::<8>();
    // Later versions come first.
    split.is_some_and(|(record, at)| markers.get(record).is_some_and(|newest| at >= newest))
}

/// Makes what is copied from what is kept, at its place.
type ToItem = fn(&[u8], Slice) -> Result<Item, StateError>;

fn txn_item(_: &[u8], bytes: Slice) -> Result<Item, StateError> {
    decode(&bytes).map_err(|_| garbled("a transaction"))
}

fn row_item(place: &[u8], content: Slice) -> Result<Item, StateError> {
    let (key, version) = layout::parse_row(place).ok_or_else(|| garbled("a record's key"))?;
    Ok(Item::Row(key, version, Bytes::from(content).into()))
}

fn request_item(place: &[u8], bytes: Slice) -> Result<Item, StateError> {
    let (time, written) = kept(&bytes, "a remembered answer")?;
    let id = place[2..].try_into().map_err(|_| garbled("a request id"))?;
    Ok(Item::Request(RequestId(id), time, written))
}

fn outcome_item(_: &[u8], bytes: Slice) -> Result<Item, StateError> {
    let (_, outcome) = kept(&bytes, "an outcome")?;
    Ok(Item::Outcome(outcome))
}

/// The engine's own threads let go of a folder a little after whoever had it open. That nobody
/// else has it is seen to by the lock on the whole directory.
fn opened<T>(open: impl Fn() -> fjall::Result<T>) -> fjall::Result<T> {
    let until = Instant::now() + LET_GO;
    loop {
        match open() {
            Err(fjall::Error::Locked) if Instant::now() < until => std::thread::sleep(LOOK_AGAIN),
            opened => return opened,
        }
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
        bytes.map(|bytes| Ok(kept(&bytes, "a remembered answer")?.1)).transpose()
    }

    fn outcome(&self, partition: u16, job: &JobId) -> Result<Option<Outcome>, StateError> {
        let bytes = self.outcomes.get(layout::id(partition, &job.0)).map_err(failed("read"))?;
        bytes.map(|bytes| Ok(kept(&bytes, "an outcome")?.1)).transpose()
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
            let (space, item): (_, ToItem) = match kind {
                TXNS => (&self.txns, txn_item),
                ROWS => (&self.data, row_item),
                REQUESTS => (&self.requests, request_item),
                _ => (&self.outcomes, outcome_item),
            };
            for entry in Self::entries(space, partition, after) {
                let (place, bytes) = entry?;
                let size = place.len() + bytes.len();
                if !pieces.add(kind, &place[2..], size, item(&place, bytes)?) {
                    return Ok(pieces.finish());
                }
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
        let mut rest = changes;
        while let Some(first) = rest.first() {
            if let Some(partition) = first.clear {
                self.clear(partition, first)?;
            }
            let clears = |changes: &Changes| changes.clear.is_some();
            let next = rest.iter().skip(1).position(clears).map_or(rest.len(), |at| at + 1);
            let (together, later) = rest.split_at(next);
            self.add(together)?;
            self.reach(together)?;
            rest = later;
        }
        Ok(())
    }
}

/// Keys with their values; no value: the key goes.
type Entries = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Makes a table of the entries. Of two with the same key the later one counts.
fn ingest(space: &Keyspace, mut entries: Entries) -> Result<(), StateError> {
    if entries.is_empty() {
        return Ok(());
    }
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    let failed = failed("changed");
    let mut table = space.start_ingestion().map_err(failed)?;
    let mut entries = entries.into_iter().peekable();
    while let Some((key, value)) = entries.next() {
        if entries.peek().is_some_and(|(next, _)| *next == key) {
            continue;
        }
        match value {
            Some(value) => table.write(key, value),
            None => table.write_tombstone(key),
        }
        .map_err(failed)?;
    }
    table.finish().map_err(failed)
}

/// A value that is kept for some time, and up to when.
fn kept<T: for<'b> Decode<'b, ()>>(bytes: &[u8], what: &str) -> Result<(Timestamp, T), StateError> {
    let (time, value) = layout::stamp(bytes).ok_or_else(|| garbled(what))?;
    Ok((time, decode(value).map_err(|_| garbled(what))?))
}
