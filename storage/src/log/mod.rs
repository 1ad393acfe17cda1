//! The write-ahead log of a node: the decisions of all its partitions, in one file after another.
//!
//! Promise: what [`Log::append`] returned for survives any crash and comes back, in order, at the
//! next [`Log::open`]; a batch comes back whole or not at all; damage to anything that was
//! acknowledged is noticed and never repaired by guessing. Every append ends with exactly one
//! sync. The bytes are described in `storage/FORMAT.md`.
//!
//! It deliberately does not know what the records decide, nor when they are no longer needed:
//! the caller says so with [`Log::release`]. Votes are needed for ever: each new file begins with
//! the last one of each partition.

mod frame;
mod recover;
mod segment;

pub use segment::Identity;

use crate::disk::{Disk, DiskFile};
use crate::machine::Entry;
use catena_protocol::message::replicate::{LogEntry, Vote};
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// Bytes after which a new file is begun.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Most bytes of one batch, as the reader accepts it; the writer stays far below.
pub const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Most records of one batch.
pub const BATCH_RECORDS: usize = 32_768;

/// Why the log cannot be used. Nothing more may be acknowledged after any of these.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refused.
    #[error("cannot {doing} log file `{file}`: {source}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        file: String,
        /// What the disk said.
        source: io::Error,
    },
    /// Bytes that were acknowledged are not what they were.
    #[error(
        "log file `{file}` is damaged at byte {offset}: {why}; nothing was changed, and this node must not serve from it: restore the data directory from a copy, or replace the node"
    )]
    Damaged {
        /// Which file.
        file: String,
        /// Where.
        offset: usize,
        /// In what way.
        why: String,
    },
    /// The file belongs to another disk, cluster or version of this program.
    #[error("log file `{file}` does not belong here: {why}; nothing was changed")]
    Foreign {
        /// Which file.
        file: String,
        /// Why not.
        why: String,
    },
    /// The caller did not take a batch.
    #[error("a batch of the log cannot be used: {0}")]
    Refused(String),
    /// More than fits into one batch.
    #[error("a batch of {bytes} bytes and {records} records is too large for the log")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// Its records.
        records: usize,
    },
    /// A write or a sync has failed before. What the disk has of it is known only after a new
    /// start: whatever is written behind it could take its place.
    #[error("nothing can be written to the log any more, because a write or a sync of it failed")]
    Spoiled,
}

/// An open log.
#[derive(Debug)]
pub struct Log<D: Disk> {
    disk: D,
    identity: Identity,
    segment_bytes: u64,
    ahead: u64,
    active: Active<D::File>,
    sealed: VecDeque<Sealed>,
    /// The last vote in each partition.
    votes: BTreeMap<u16, Vote>,
    buffer: Vec<u8>,
    syncs: u64,
    /// A write or a sync has failed.
    spoiled: bool,
}

#[derive(Debug)]
struct Active<F> {
    file: F,
    number: u64,
    /// How much of it is used. Behind that are zeros.
    bytes: u64,
    /// Its length.
    length: u64,
    reach: Reach,
}

/// A full file.
#[derive(Debug)]
struct Sealed {
    number: u64,
    reach: Reach,
}

/// The last record of each partition in a file, and the votes.
#[derive(Clone, Debug, Default)]
struct Reach {
    last: BTreeMap<u16, u64>,
    votes: BTreeMap<u16, Vote>,
}

impl Reach {
    fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Record { partition, index, .. } => self.take_record(*partition, *index),
            Entry::Vote(vote) => drop(self.votes.insert(vote.partition, vote.clone())),
        }
    }

    fn take_logged(&mut self, entry: &LogEntry) {
        match entry {
            LogEntry::Record(record) => self.take_record(record.partition, record.index),
            LogEntry::Vote(vote) => drop(self.votes.insert(vote.partition, vote.clone())),
        }
    }

    /// What was cut off later counts too: it costs a little room for a while.
    fn take_record(&mut self, partition: u16, index: u64) {
        let last = self.last.entry(partition).or_default();
        *last = index.max(*last);
    }

    fn is_covered(&self, applied: &BTreeMap<u16, u64>) -> bool {
        self.last
            .iter()
            .all(|(partition, last)| applied.get(partition).is_some_and(|applied| applied >= last))
    }
}

impl<D: Disk> Log<D> {
    /// Opens the log on `disk`, or begins one. Every batch is given to `replay` in order. A torn
    /// batch at the very end, which was never acknowledged, is cut off. When this returns, all
    /// that was replayed is durable.
    ///
    /// # Errors
    /// [`LogError`]; nothing was changed then, except for a torn end that may be cut off.
    pub fn open(
        disk: D,
        identity: Identity,
        segment_bytes: u64,
        replay: impl FnMut(Vec<LogEntry>) -> Result<(), String>,
    ) -> Result<Self, LogError> {
        let found = recover::read_all(&disk, identity, replay)?;
        let sealed: VecDeque<Sealed> =
            found.sealed.into_iter().map(|(number, reach)| Sealed { number, reach }).collect();
        let active = match found.last {
            Some(last) => Active {
                file: last.file,
                number: last.number,
                bytes: last.bytes,
                length: last.length,
                reach: last.reach,
            },
            None => begin(&disk, identity, found.next)?,
        };
        let mut votes = BTreeMap::new();
        for reach in sealed.iter().map(|sealed| &sealed.reach).chain([&active.reach]) {
            votes.extend(reach.votes.clone());
        }
        Ok(Self {
            disk,
            identity,
            segment_bytes,
            ahead: 0,
            active,
            sealed,
            votes,
            buffer: Vec::new(),
            syncs: 0,
            spoiled: false,
        })
    }

    /// From now on files are made longer by so many zeros at a time, ahead of need. A sync of what
    /// does not change the length of a file costs about half of one that does.
    #[must_use]
    pub fn with_room_ahead(mut self, bytes: u64) -> Self {
        self.ahead = bytes;
        self
    }

    /// Writes the entries as one batch and syncs.
    ///
    /// # Errors
    /// [`LogError`]. After [`LogError::TooLarge`] nothing was written; after any other error nothing
    /// can be any more, see [`LogError::Spoiled`].
    pub fn append<'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a Entry> + Clone,
    ) -> Result<(), LogError> {
        self.buffer.clear();
        let count = frame::write(entries.clone(), &mut self.buffer);
        if count > BATCH_RECORDS || self.buffer.len() > BATCH_BYTES {
            return Err(LogError::TooLarge { bytes: self.buffer.len(), records: count });
        }
        // Until it has gone well.
        if std::mem::replace(&mut self.spoiled, true) {
            return Err(LogError::Spoiled);
        }
        if self.active.bytes >= self.segment_bytes {
            let batch = std::mem::take(&mut self.buffer);
            self.rotate()?;
            self.buffer = batch;
        }
        self.write_buffer()?;
        self.spoiled = false;
        for entry in entries {
            self.active.reach.take(entry);
            if let Entry::Vote(vote) = entry {
                self.votes.insert(vote.partition, vote.clone());
            }
        }
        Ok(())
    }

    fn write_buffer(&mut self) -> Result<(), LogError> {
        let name = segment::name(self.active.number);
        let failed = |doing| move |source| LogError::Disk { doing, file: name, source };
        let at = self.active.bytes;
        let end = at + self.buffer.len() as u64;
        if end > self.active.length && self.ahead > 0 {
            self.active.length = end + self.ahead;
            self.buffer.resize(self.buffer.len() + usize::try_from(self.ahead).unwrap_or(0), 0);
        }
        self.active.file.write(at, &self.buffer).map_err(failed.clone()("write to"))?;
        self.active.file.sync().map_err(failed("sync"))?;
        self.syncs += 1;
        self.active.bytes = end;
        self.active.length = self.active.length.max(end);
        Ok(())
    }

    /// Of each partition, everything up to the given index is durable elsewhere: full files that
    /// hold nothing later are removed, oldest first. Returns how many.
    ///
    /// # Errors
    /// [`LogError::Disk`].
    pub fn release(&mut self, applied: &BTreeMap<u16, u64>) -> Result<usize, LogError> {
        let mut removed = 0;
        while self.sealed.front().is_some_and(|sealed| sealed.reach.is_covered(applied))
            && self.votes_stand_later()
        {
            let Some(sealed) = self.sealed.pop_front() else { break };
            let file = segment::name(sealed.number);
            self.disk.remove(&file).map_err(|source| LogError::Disk {
                doing: "remove",
                file,
                source,
            })?;
            removed += 1;
        }
        Ok(removed)
    }

    /// How often a file was synced since the log was opened: once for each append, once and, if
    /// there were votes, twice for each new file.
    pub const fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Bytes in the file that is being written.
    pub fn active_bytes(&self) -> u64 {
        self.active.bytes
    }

    /// Whether the votes in the oldest file stand in a later one too. A crash may have come before
    /// they were written there; then the next file has them.
    fn votes_stand_later(&self) -> bool {
        let Some(oldest) = self.sealed.front() else { return true };
        let later = |partition: &u16| {
            let sealed = self.sealed.iter().skip(1).map(|sealed| &sealed.reach);
            sealed.chain([&self.active.reach]).any(|reach| reach.votes.contains_key(partition))
        };
        oldest.reach.votes.keys().all(later)
    }

    fn rotate(&mut self) -> Result<(), LogError> {
        let next = begin(&self.disk, self.identity, self.active.number + 1)?;
        self.syncs += 1;
        let full = std::mem::replace(&mut self.active, next);
        self.sealed.push_back(Sealed { number: full.number, reach: full.reach });
        if self.votes.is_empty() {
            return Ok(());
        }
        let votes: Vec<Entry> = self.votes.values().cloned().map(Entry::Vote).collect();
        frame::write(&votes, &mut self.buffer);
        self.write_buffer()?;
        votes.iter().for_each(|vote| self.active.reach.take(vote));
        self.buffer.clear();
        Ok(())
    }
}

fn begin<D: Disk>(disk: &D, identity: Identity, number: u64) -> Result<Active<D::File>, LogError> {
    let name = segment::name(number);
    let failed = |doing| {
        let file = name.clone();
        move |source| LogError::Disk { doing, file, source }
    };
    let mut file = disk.create(&name).map_err(failed("create"))?;
    let header = segment::header(identity, number);
    file.write(0, &header).map_err(failed("write to"))?;
    file.sync().map_err(failed("sync"))?;
    disk.sync_names().map_err(failed("sync the folder of"))?;
    let bytes = header.len() as u64;
    Ok(Active { file, number, bytes, length: bytes, reach: Reach::default() })
}
