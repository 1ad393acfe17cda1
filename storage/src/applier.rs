//! The thread that changes the state, and has the log forget what the state has.

use crate::error::Error;
use crate::report::Report;
use crate::state::{Changes, StateError, StateWriter};
use crate::writer::ToLog;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use tokio::sync::mpsc::UnboundedSender;

/// Changes to apply.
#[derive(Debug)]
pub(crate) struct ToState {
    pub(crate) batch: u64,
    pub(crate) changes: Vec<Changes>,
}

/// Starts the thread. It ends when all senders are gone and everything is applied.
pub(crate) fn start<W: StateWriter + Send + 'static>(
    mut state: W,
    log: Sender<ToLog>,
    reports: UnboundedSender<Report>,
) -> std::io::Result<(Sender<ToState>, JoinHandle<()>)> {
    let (sender, receiver) = channel();
    let thread = std::thread::Builder::new().name("storage-state".to_owned()).spawn(move || {
        if let Err(error) = apply_all(&mut state, &receiver, &log, &reports) {
            let _ = reports.send(Report::Failed(Error::State(error)));
        }
    })?;
    Ok((sender, thread))
}

fn apply_all(
    state: &mut impl StateWriter,
    receiver: &Receiver<ToState>,
    log: &Sender<ToLog>,
    reports: &UnboundedSender<Report>,
) -> Result<(), StateError> {
    let mut applied = BTreeMap::new();
    while let Ok(ToState { batch, changes }) = receiver.recv() {
        state.apply(&changes)?;
        let marks = changes.iter().flat_map(|changes| &changes.marks);
        applied.extend(marks.map(|(partition, mark)| (*partition, mark.applied.index)));
        let _ = reports.send(Report::Applied { batch });
        let _ = log.send(ToLog::Release { applied: applied.clone() });
    }
    Ok(())
}
