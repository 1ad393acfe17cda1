//! A disk in memory that can lose, tear, refuse and damage what it was given.
//!
//! Clones are the same disk. What was not synced when it crashes survives as far as the caller
//! says, so that every length of a torn write can be tried.

use super::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    shared: Arc<Mutex<Shared>>,
}

/// A file on a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryFile {
    disk: MemoryDisk,
    id: u64,
}

/// What is left of unsynced work after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Only what was synced.
    Synced,
    /// Names as they were, and of each file so many bytes of what was written since the last sync.
    Torn(usize),
    /// Everything can still be read: a process died, the machine did not. What was not synced is
    /// no more durable than before.
    All,
}

/// What a sync does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syncs {
    /// It makes durable what was written.
    #[default]
    Work,
    /// It fails, and as on Linux what was written counts as clean: it can be read as long as the
    /// machine runs, but no later sync writes it.
    Fail,
    /// The process dies before it: what was written is still on its way.
    NeverCome,
    /// It does nothing, and says that it went well; so does a write.
    Pretend,
}

#[derive(Debug, Default)]
struct Shared {
    next: u64,
    files: BTreeMap<u64, Content>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    room: Option<usize>,
    syncs: u64,
    how: Syncs,
}

#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// What was done since the last sync, in order.
    unsynced: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Content {
    fn durable(bytes: Vec<u8>) -> Self {
        Self { now: bytes.clone(), durable: bytes, unsynced: Vec::new() }
    }

    /// What is durable, and so many bytes more of what was written since.
    fn torn(&self, mut more: usize) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for step in &self.unsynced {
            if let Step::Write(at, written) = step {
                let written = &written[..written.len().min(more)];
                more -= written.len();
                put(&mut bytes, *at, written);
            }
        }
        bytes
    }

    fn sync(&mut self) {
        for step in self.unsynced.drain(..) {
            match step {
                Step::Write(at, written) => put(&mut self.durable, at, &written),
                Step::Truncate(length) => self.durable.truncate(length),
            }
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, written: &[u8]) {
    if !written.is_empty() {
        bytes.resize(bytes.len().max(at + written.len()), 0);
        bytes[at..at + written.len()].copy_from_slice(written);
    }
}

impl MemoryDisk {
    /// The machine loses power, or a process dies.
    pub fn crash(&self, survival: Survival) {
        let mut shared = self.lock();
        if survival == Survival::All {
            return;
        }
        if survival == Survival::Synced {
            shared.names = shared.durable_names.clone();
        }
        for content in shared.files.values_mut() {
            *content = Content::durable(match survival {
                Survival::Synced => content.torn(0),
                Survival::Torn(more) => content.torn(more),
                Survival::All => content.torn(usize::MAX),
            });
        }
        shared.durable_names = shared.names.clone();
    }

    /// From now on files can grow by at most so many bytes together; then the disk is full.
    pub fn leave_room(&self, bytes: usize) {
        self.lock().room = Some(bytes);
    }

    /// From now on syncs do this.
    pub fn syncs_will(&self, how: Syncs) {
        self.lock().how = how;
    }

    /// How often a file was synced.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// The bytes of a file; none if there is no such file.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let shared = self.lock();
        let id = shared.names.get(name)?;
        shared.files.get(id).map(|content| content.now.clone())
    }

    /// Puts other bytes into a file, durably: what a fault of the hardware may do.
    pub fn damage(&self, name: &str, bytes: Vec<u8>) {
        let mut shared = self.lock();
        if let Some(id) = shared.names.get(name).copied() {
            shared.files.insert(id, Content::durable(bytes));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file `{name}`"))
}

impl Disk for MemoryDisk {
    type File = MemoryFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let mut shared = self.lock();
        if shared.names.contains_key(name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{name}` exists")));
        }
        let id = shared.next;
        shared.next += 1;
        shared.files.insert(id, Content::default());
        shared.names.insert(name.to_owned(), id);
        Ok(MemoryFile { disk: self.clone(), id })
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        let id = self.lock().names.get(name).copied().ok_or_else(|| missing(name))?;
        Ok(MemoryFile { disk: self.clone(), id })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.lock().names.remove(name).map(|_| ()).ok_or_else(|| missing(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut shared = self.lock();
        let id = shared.names.remove(from).ok_or_else(|| missing(from))?;
        shared.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut shared = self.lock();
        shared.durable_names = shared.names.clone();
        Ok(())
    }
}

impl MemoryFile {
    fn with<T>(&self, change: impl FnOnce(&mut Content) -> T) -> T {
        change(self.disk.lock().files.entry(self.id).or_default())
    }
}

impl DiskFile for MemoryFile {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.with(|content| content.now.clone()))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let mut shared = self.disk.lock();
        let length = shared.files.get(&self.id).map_or(0, |content| content.now.len());
        let grows = (at + bytes.len()).saturating_sub(length);
        let room = shared.room.map_or(grows, |room| room.min(grows));
        shared.room = shared.room.map(|before| before - room);
        let fits = bytes.len() - (grows - room);
        let how = shared.how;
        let content = shared.files.entry(self.id).or_default();
        put(&mut content.now, at, &bytes[..fits]);
        if how != Syncs::Pretend {
            content.unsynced.push(Step::Write(at, bytes[..fits].to_vec()));
        }
        if fits == bytes.len() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on the disk"))
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut shared = self.disk.lock();
        shared.syncs += 1;
        let how = shared.how;
        let content = shared.files.entry(self.id).or_default();
        match how {
            Syncs::Work => content.sync(),
            Syncs::Pretend => {}
            Syncs::NeverCome => return Err(io::Error::other("the process is gone")),
            Syncs::Fail => {
                content.unsynced.clear();
                return Err(io::Error::other("the sync failed"));
            }
        }
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.with(|content| {
            content.now.truncate(length);
            content.unsynced.push(Step::Truncate(length));
        });
        Ok(())
    }
}
