//! What a process takes on disk and in memory.

use std::io;
use std::path::Path;

/// What a process takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    /// Bytes of all files in its folder.
    pub(super) disk: u64,
    /// Bytes of memory; none: this system does not say.
    pub(super) memory: Option<u64>,
}

impl Footprint {
    /// What a process with its data in `folder` takes now.
    pub(super) fn of(folder: &Path, pid: Option<u32>) -> io::Result<Self> {
        Ok(Self { disk: bytes_below(folder)?, memory: pid.and_then(resident) })
    }
}

/// Files come and go while they are counted: one that is gone counts nothing.
fn bytes_below(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let counted = match entry.metadata() {
            Ok(about) if about.is_dir() => bytes_below(&entry.path()),
            Ok(about) => Ok(about.len()),
            Err(error) => Err(error),
        };
        bytes += match counted {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            counted => counted?,
        };
    }
    Ok(bytes)
}

/// `VmRSS` of Linux.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn files_of_all_folders_count() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("a"), [0; 10]).unwrap();
        std::fs::write(folder.path().join("inner/b"), [0; 32]).unwrap();
        assert_eq!(bytes_below(folder.path()).unwrap(), 42);
        assert!(bytes_below(&folder.path().join("none")).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_takes_memory() {
        assert!(resident(std::process::id()).unwrap() > 100_000);
    }
}
