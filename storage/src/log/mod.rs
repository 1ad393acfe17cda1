//! The write-ahead log of a node: the decisions of all its partitions, in one file after another.
//!
//! Promise: what [`Log::append`] returned for survives any crash and comes back, in order, at the
//! next [`Log::open`]; a batch comes back whole or not at all; damage to anything that was
//! acknowledged is noticed and never repaired by guessing. Every append ends with exactly one
//! sync. The bytes are described in `storage/FORMAT.md`.
//!
//! It deliberately does not know what the records decide, nor when they are no longer needed:
//! the caller says so with [`Log::release`].

mod frame;
mod recover;
mod segment;

pub use segment::Identity;

use crate::disk::{Disk, DiskFile};
use catena_protocol::message::replicate::LogRecord;
use std::collections::VecDeque;
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
}

/// An open log.
#[derive(Debug)]
pub struct Log<D: Disk> {
    disk: D,
    identity: Identity,
    segment_bytes: u64,
    active: Active<D::File>,
    sealed: VecDeque<Sealed>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Active<F> {
    file: F,
    number: u64,
    bytes: u64,
    mark: u64,
}

/// A full file, and the mark of its last batch.
#[derive(Debug)]
struct Sealed {
    number: u64,
    mark: u64,
}

impl<D: Disk> Log<D> {
    /// Opens the log on `disk`, or begins one. Every batch is given to `replay` in order. A torn
    /// batch at the very end, which was never acknowledged, is cut off.
    ///
    /// # Errors
    /// [`LogError`]; nothing was changed then, except for a torn end that may be cut off.
    pub fn open(
        disk: D,
        identity: Identity,
        segment_bytes: u64,
        replay: impl FnMut(Vec<LogRecord>) -> Result<(), String>,
    ) -> Result<Self, LogError> {
        let found = recover::read_all(&disk, identity, replay)?;
        let (active, sealed) = match found.last {
            Some((file, number, bytes)) => (Active { file, number, bytes, mark: 0 }, found.sealed),
            None => (begin(&disk, identity, found.next)?, found.sealed),
        };
        let sealed = sealed.into_iter().map(|number| Sealed { number, mark: 0 }).collect();
        Ok(Self { disk, identity, segment_bytes, active, sealed, buffer: Vec::new() })
    }

    /// Writes the records as one batch and syncs. `mark` is what [`Log::release`] refers to; it
    /// must not fall from one batch to the next.
    ///
    /// # Errors
    /// [`LogError`]. Except for [`LogError::TooLarge`] (nothing was written) the log must not be
    /// used any more.
    pub fn append<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a LogRecord>,
        mark: u64,
    ) -> Result<(), LogError> {
        self.buffer.clear();
        let count = frame::write(records, &mut self.buffer);
        if count > BATCH_RECORDS || self.buffer.len() > BATCH_BYTES {
            return Err(LogError::TooLarge { bytes: self.buffer.len(), records: count });
        }
        if self.active.bytes >= self.segment_bytes {
            self.rotate()?;
        }
        let name = segment::name(self.active.number);
        let failed = |doing| move |source| LogError::Disk { doing, file: name, source };
        self.active.file.append(&self.buffer).map_err(failed.clone()("write to"))?;
        self.active.file.sync().map_err(failed("sync"))?;
        self.active.bytes += self.buffer.len() as u64;
        self.active.mark = mark;
        Ok(())
    }

    /// Everything up to `mark` is durable elsewhere: full files that hold nothing later are
    /// removed. Returns how many.
    ///
    /// # Errors
    /// [`LogError::Disk`].
    pub fn release(&mut self, mark: u64) -> Result<usize, LogError> {
        let mut removed = 0;
        while self.sealed.front().is_some_and(|sealed| sealed.mark <= mark) {
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

    /// Bytes in the file that is being written.
    pub fn active_bytes(&self) -> u64 {
        self.active.bytes
    }

    fn rotate(&mut self) -> Result<(), LogError> {
        let next = begin(&self.disk, self.identity, self.active.number + 1)?;
        let full = std::mem::replace(&mut self.active, next);
        self.active.mark = full.mark;
        self.sealed.push_back(Sealed { number: full.number, mark: full.mark });
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
    file.append(&header).map_err(failed("write to"))?;
    file.sync().map_err(failed("sync"))?;
    disk.sync_names().map_err(failed("sync the folder of"))?;
    Ok(Active { file, number, bytes: header.len() as u64, mark: 0 })
}
