//! The thread that changes the state: everything that is queued becomes one batch.
//!
//! Every few seconds it makes the state durable and has the log forget what that covers.

use crate::error::Error;
use crate::report::Report;
use crate::state::{Changes, StateError, StateWriter};
use crate::writer::ToLog;
use std::collections::BTreeMap;
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
    pub(crate) changes: Changes,
    /// Whether it must be durable before it is said to be done.
    pub(crate) durable: bool,
}

/// Starts the thread. It ends when all senders are gone and everything is applied and durable.
pub(crate) fn start<W: StateWriter + Send + 'static>(
    state: W,
    log: Sender<ToLog>,
    reports: UnboundedSender<Report>,
) -> std::io::Result<(Sender<ToState>, JoinHandle<()>)> {
    let (sender, receiver) = channel();
    let mut applier =
        Applier { state, log, applied: BTreeMap::new(), dirty: false, persisted: Instant::now() };
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
    /// The last record of each partition that the state contains.
    applied: BTreeMap<u16, u64>,
    /// Whether something of it is not durable there.
    dirty: bool,
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
            let (mut batch, mut durable) = (first.batch, first.durable);
            changes.push(first.changes);
            while changes.len() < TOGETHER
                && let Ok(more) = receiver.try_recv()
            {
                batch = more.batch;
                durable |= more.durable;
                changes.push(more.changes);
            }
            self.state.apply(&changes)?;
            let marks = changes.iter().flat_map(|changes| &changes.marks);
            self.applied.extend(marks.map(|(partition, mark)| (*partition, mark.applied.index)));
            changes.clear();
            self.dirty = true;
            if durable {
                self.persist()?;
            }
            let _ = reports.send(Report::Applied { batch });
            if self.persisted.elapsed() >= PERSIST {
                self.persist()?;
            }
        }
    }

    fn persist(&mut self) -> Result<(), StateError> {
        self.persisted = Instant::now();
        if std::mem::take(&mut self.dirty) {
            self.state.persist()?;
            let _ = self.log.send(ToLog::Release { applied: self.applied.clone() });
        }
        Ok(())
    }
}
