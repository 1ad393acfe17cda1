//! The thread that changes the state: everything that is queued becomes one batch.
//!
//! Every few seconds it makes the state durable and has the log forget what that covers.

use crate::error::Error;
use crate::report::Report;
use crate::state::{Changes, StateError, StateWriter};
use crate::writer::ToLog;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// Longest time between a change and the state on disk that contains it. What is younger is
/// replayed from the log after a crash.
const PERSIST: Duration = Duration::from_secs(3);
/// Most batches of changes that are applied as one.
const TOGETHER: usize = 64;

/// Changes to apply.
#[derive(Debug)]
pub(crate) struct ToState {
    pub(crate) batch: u64,
    pub(crate) frame: u64,
    pub(crate) changes: Changes,
}

/// Starts the thread. It ends when all senders are gone and everything is applied and durable.
pub(crate) fn start<W: StateWriter + Send + 'static>(
    state: W,
    log: Sender<ToLog>,
    reports: UnboundedSender<Report>,
) -> std::io::Result<(Sender<ToState>, JoinHandle<()>)> {
    let (sender, receiver) = channel();
    let mut applier = Applier { state, log, dirty: None, persisted: Instant::now() };
    let thread = std::thread::Builder::new().name("storage-state".to_owned()).spawn(move || {
        if let Err(error) = applier.apply_all(&receiver, &reports) {
            let _ = reports.send(Report::Failed(Error::State(error)));
        }
    })?;
    Ok((sender, thread))
}

struct Applier<W> {
    state: W,
    log: Sender<ToLog>,
    /// The last frame that the state contains, if it is not durable there.
    dirty: Option<u64>,
    persisted: Instant,
}

impl<W: StateWriter> Applier<W> {
    fn apply_all(
        &mut self,
        receiver: &Receiver<ToState>,
        reports: &UnboundedSender<Report>,
    ) -> Result<(), StateError> {
        let mut changes = Vec::with_capacity(TOGETHER);
        loop {
            let first = match receiver.recv_timeout(PERSIST) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    self.persist()?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return self.persist(),
            };
            let (mut batch, mut frame) = (first.batch, first.frame);
            changes.push(first.changes);
            while changes.len() < TOGETHER
                && let Ok(more) = receiver.try_recv()
            {
                (batch, frame) = (more.batch, more.frame);
                changes.push(more.changes);
            }
            self.state.apply(&changes)?;
            changes.clear();
            self.dirty = Some(frame);
            let _ = reports.send(Report::Applied { batch });
            if self.persisted.elapsed() >= PERSIST {
                self.persist()?;
            }
        }
    }

    fn persist(&mut self) -> Result<(), StateError> {
        self.persisted = Instant::now();
        if let Some(frame) = self.dirty.take() {
            self.state.persist()?;
            let _ = self.log.send(ToLog::Release { frame });
        }
        Ok(())
    }
}
