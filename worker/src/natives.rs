//! Threads for operators of unknown authors, so that one that blocks stops nobody else.
//!
//! A step that blocks its thread cannot be ended from outside. When as many stopped steps are
//! still there as there are threads, these may all be lost: new steps then get new threads, and
//! the old ones end when their last step does.

use std::io;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;
use tracing::{error, warn};

/// Groups of threads that may be given up and not have ended yet.
const GIVEN_UP: usize = 16;

/// The threads.
pub(crate) struct Natives {
    current: Runtime,
    /// Steps that were stopped here and may not have gone: each may hold a thread.
    stopped: Vec<AbortHandle>,
    given_up: Vec<Runtime>,
}

impl Natives {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { current: threads()?, stopped: Vec::new(), given_up: Vec::new() })
    }

    /// Where the next step can run; none: everything is blocked, and there were too many threads
    /// already.
    pub(crate) fn handle(&mut self) -> Option<Handle> {
        if !self.stopped.is_empty() {
            self.stopped.retain(|step| !step.is_finished());
            if self.stopped.len() >= self.current.metrics().num_workers() && !self.move_on() {
                return None;
            }
        }
        Some(self.current.handle().clone())
    }

    /// A step was stopped.
    pub(crate) fn stopped(&mut self, step: AbortHandle) {
        self.stopped.push(step);
    }

    fn move_on(&mut self) -> bool {
        for ended in self.given_up.extract_if(.., |old| old.metrics().num_alive_tasks() == 0) {
            ended.shutdown_background();
        }
        if self.given_up.len() >= GIVEN_UP {
            error!("operators block all threads, old and new; this worker should be restarted");
            return false;
        }
        match threads() {
            Ok(new) => {
                warn!("operators that were stopped block all threads; there are new ones now");
                self.given_up.push(std::mem::replace(&mut self.current, new));
                self.stopped.clear();
                true
            }
            Err(error) => {
                error!(%error, "operators block all threads, and no new ones can be started");
                false
            }
        }
    }

    /// Ends without waiting for steps that block.
    pub(crate) fn end(self) {
        for runtime in self.given_up.into_iter().chain([self.current]) {
            runtime.shutdown_background();
        }
    }
}

fn threads() -> io::Result<Runtime> {
    Builder::new_multi_thread().thread_name("catena-operator").enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    #[test]
    fn steps_that_block_get_company_on_new_threads() {
        let mut natives = Natives::new().unwrap();
        let (release, hold) = channel::<()>();
        let hold = Arc::new(Mutex::new(hold));
        let (begun, begins) = channel();
        let blocked: Vec<_> = (0..natives.current.metrics().num_workers())
            .map(|_| {
                let (hold, begun) = (Arc::clone(&hold), begun.clone());
                natives.handle().unwrap().spawn(async move {
                    begun.send(()).unwrap();
                    let _ = hold.lock().map(|hold| hold.recv());
                })
            })
            .collect();
        for step in blocked {
            begins.recv_timeout(Duration::from_secs(10)).unwrap();
            step.abort();
            natives.stopped(step.abort_handle());
        }
        let (done, ends) = channel();
        natives.handle().unwrap().spawn(async move { done.send(()).unwrap() });
        ends.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(natives.given_up.len(), 1);
        drop(release);
        natives.end();
    }
}
