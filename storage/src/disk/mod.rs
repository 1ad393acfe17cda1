//! What the log needs of a disk, and no more: named files.
//!
//! The trait is low enough that a disk which loses unsynced writes, tears the last one, fails or
//! fills up can stand in for a real one ([`MemoryDisk`]). It deliberately knows nothing of what
//! the bytes mean.
//!
//! After an error of any method the caller must not go on: whether the bytes reached the disk is
//! unknown, and trying again would hide that they did not.

mod folder;
mod memory;

pub use folder::{Folder, FolderFile};
pub use memory::{MemoryDisk, MemoryFile, Survival, Syncs};

use std::io;

/// A folder of named files.
pub trait Disk {
    /// An open file.
    type File: DiskFile;

    /// The names of all files, in order.
    ///
    /// # Errors
    /// What the disk says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file. It may be gone after a crash until [`Disk::sync_names`] succeeded.
    ///
    /// # Errors
    /// What the disk says; that it exists already among others.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file that exists.
    ///
    /// # Errors
    /// What the disk says.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Removes a file. It may be back after a crash until [`Disk::sync_names`] succeeded.
    ///
    /// # Errors
    /// What the disk says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in place of the file that had it.
    ///
    /// # Errors
    /// What the disk says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes creations, removals and renames durable.
    ///
    /// # Errors
    /// What the disk says.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file of a [`Disk`].
pub trait DiskFile {
    /// All bytes from the start.
    ///
    /// # Errors
    /// What the disk says.
    fn read(&mut self) -> io::Result<Vec<u8>>;

    /// Writes bytes at an offset, which is not behind the end. The file grows as needed.
    ///
    /// # Errors
    /// What the disk says; how many of the bytes were written is then unknown.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written and truncated so far durable.
    ///
    /// # Errors
    /// What the disk says; nothing written since the last success may be relied on, ever.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to its first `length` bytes.
    ///
    /// # Errors
    /// What the disk says.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}
