//! The data directory: who uses it, and whose data it holds.
//!
//! ```text
//! lock       held by the one process that uses the directory
//! identity   cluster, disk and number of partitions, with a checksum
//! log/       the write-ahead log
//! state/     the storage engine
//! ```

use crate::error::Error;
use crate::log;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FORMAT: &str = "catena-storage 1";

/// A data directory that this process alone uses.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// Whose data a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) ids: log::Identity,
    pub(crate) partitions: u16,
    /// Whether the log was begun: from then on a directory without one has lost it.
    pub(crate) begun: bool,
}

impl DataDirectory {
    /// Takes the directory, making it if it is not there.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(path).map_err(failed("create", path))?;
        let lock_path = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed("lock", &lock_path)(source)),
        }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    fn identity(&self) -> PathBuf {
        self.path.join("identity")
    }

    /// Whose data it holds; none: nobody's yet.
    pub(crate) fn owner(&self) -> Result<Option<Owner>, Error> {
        let path = self.identity();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.must_be_empty(),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        parse(&text).map(Some).map_err(|why| Error::Identity { path, why: why.to_owned() })
    }

    /// A directory with data but without a name is not a new one.
    fn must_be_empty(&self) -> Result<Option<Owner>, Error> {
        if self.log().exists() || self.state().exists() {
            let why = "it is missing, but there is data beside it".to_owned();
            return Err(Error::Identity { path: self.identity(), why });
        }
        Ok(None)
    }

    /// Says, durably, whose data it holds.
    pub(crate) fn set_owner(&self, owner: &Owner) -> Result<(), Error> {
        let path = self.identity();
        let new = self.path.join("identity.new");
        let write = || -> io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(render(owner).as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(failed("write", &path))
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Data { doing, path, source }
}

fn render(owner: &Owner) -> String {
    let body = format!(
        "{FORMAT}\ncluster {}\ndisk {}\npartitions {}\nbegun {}\n",
        hex(&owner.ids.cluster),
        hex(&owner.ids.disk),
        owner.partitions,
        owner.begun
    );
    format!("{body}crc32 {:08x}\n", crc32fast::hash(body.as_bytes()))
}

fn parse(text: &str) -> Result<Owner, &'static str> {
    let (body, sum) = text.rfind("crc32 ").map(|at| text.split_at(at)).ok_or("it is cut short")?;
    let sum = sum.strip_prefix("crc32 ").map(str::trim_end).unwrap_or_default();
    if u32::from_str_radix(sum, 16) != Ok(crc32fast::hash(body.as_bytes())) {
        return Err("it does not match its checksum");
    }
    let mut lines = body.lines();
    if lines.next() != Some(FORMAT) {
        return Err("it has another format than this program knows");
    }
    let mut field = |name: &str| lines.next().and_then(|line| line.strip_prefix(name));
    let cluster = field("cluster ").and_then(unhex).ok_or("it names no cluster")?;
    let disk = field("disk ").and_then(unhex).ok_or("it names no disk")?;
    let partitions = field("partitions ")
        .and_then(|text| text.parse().ok())
        .filter(|partitions| *partitions > 0)
        .ok_or("it names no number of partitions")?;
    let begun = field("begun ")
        .and_then(|text| text.parse().ok())
        .ok_or("it does not say whether the log was begun")?;
    Ok(Owner { begun, ids: log::Identity { cluster, disk }, partitions })
}

/// An id as text.
pub(crate) fn hex(id: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*id))
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        let ids = log::Identity { cluster: [7; 16], disk: [0xfe; 16] };
        Owner { ids, partitions: 64, begun: false }
    }

    #[test]
    fn an_owner_is_kept_and_damage_is_seen() {
        let text = render(&owner());
        assert_eq!(parse(&text), Ok(owner()));
        for at in 0..text.len() - 1 {
            assert!(parse(&text[..at]).is_err(), "cut at {at}");
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let damaged = String::from_utf8(bytes).unwrap();
            assert!(parse(&damaged).is_err(), "damaged at {at}");
        }
    }

    #[test]
    fn one_process_at_a_time_and_no_second_owner_by_accident() {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDirectory::take(folder.path()).unwrap();
        assert!(matches!(DataDirectory::take(folder.path()), Err(Error::InUse { .. })));
        assert_eq!(directory.owner().unwrap(), None);
        directory.set_owner(&owner()).unwrap();
        assert_eq!(directory.owner().unwrap(), Some(owner()));

        std::fs::create_dir(directory.log()).unwrap();
        std::fs::remove_file(directory.identity()).unwrap();
        assert!(matches!(directory.owner(), Err(Error::Identity { .. })));
    }
}
