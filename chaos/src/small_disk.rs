//! A folder on a file system of its own that can be made full, and have room again.
//!
//! It is in memory (tmpfs) and needs the right to mount; where that is missing there is none.
//! What is in it is gone when it is dropped.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Room when it is not full.
const ROOM: &str = "size=1g";
/// What may still be written when it is full, in bytes: less than a second's worth.
const REST: u64 = 32 * 1024;

/// A mounted file system.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at a folder that is there.
    pub(crate) fn mount(folder: &Path) -> io::Result<Self> {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", ROOM, "tmpfs"]).arg(folder))?;
        Ok(Self(folder.to_owned()))
    }

    /// Leaves almost no room.
    pub(crate) fn fill(&self) -> io::Result<()> {
        let used = run(Command::new("df").args(["--output=used", "-B1"]).arg(&self.0))?;
        let used: Option<u64> = used.lines().last().and_then(|line| line.trim().parse().ok());
        let used = used.ok_or_else(|| io::Error::other("`df` does not say what is used"))?;
        self.resize(&format!("size={}", used + REST))
    }

    /// Makes room again.
    pub(crate) fn empty(&self) -> io::Result<()> {
        self.resize(ROOM)
    }

    fn resize(&self, size: &str) -> io::Result<()> {
        run(Command::new("mount").args(["-o", &format!("remount,{size}")]).arg(&self.0)).map(drop)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that was just killed may still have it open.
        let _ = run(Command::new("umount").arg("-l").arg(&self.0));
    }
}

fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {}", said.trim())))
}
