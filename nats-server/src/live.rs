//! The servers that this process has started, for an end that cannot wait for destructors.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

static LIVE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// A process id that is on the list as long as this lives.
#[derive(Debug)]
pub(crate) struct Live(u32);

impl Live {
    pub(crate) fn new(pid: u32) -> Self {
        LIVE.lock().unwrap_or_else(PoisonError::into_inner).insert(pid);
        Self(pid)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Kills every server of this process, for a process that is about to exit at once.
pub fn kill_all() {
    for pid in LIVE.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let _ = Command::new("kill").arg("-KILL").arg(pid.to_string()).status();
    }
}
