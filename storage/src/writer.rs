//! The thread that writes the log: everything that is queued becomes one batch and one sync.
//!
//! The first error ends it for good: what is on disk after a failed write or sync is unknown, and
//! trying again could make it look well.

use crate::disk::Disk;
use crate::error::Error;
use crate::log::{Log, LogError};
use crate::machine::Entry;
use crate::metrics;
use crate::report::Report;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// A batch is written when it has so many records. A frame has at most a quarter of what fits.
const RECORDS: usize = crate::log::BATCH_RECORDS / 2;

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum ToLog {
    /// Append a frame.
    Append { frame: u64, entries: Vec<Entry> },
    /// Of each partition everything up to this index is durable in the state.
    Release { applied: BTreeMap<u16, u64> },
}

/// Starts the thread. It ends when all senders are gone and everything is written.
pub(crate) fn start<D>(
    log: Log<D>,
    reports: UnboundedSender<Report>,
) -> std::io::Result<(Sender<ToLog>, JoinHandle<()>)>
where
    D: Disk + Send + 'static,
    D::File: Send,
{
    let (sender, receiver) = channel();
    let thread = std::thread::Builder::new().name("storage-log".to_owned()).spawn(move || {
        if let Err(error) = write_all(log, &receiver, &reports) {
            let _ = reports.send(Report::Failed(Error::Log(error)));
        }
    })?;
    Ok((sender, thread))
}

fn write_all<D: Disk>(
    mut log: Log<D>,
    receiver: &Receiver<ToLog>,
    reports: &UnboundedSender<Report>,
) -> Result<(), LogError> {
    let mut frames: Vec<Vec<Entry>> = Vec::new();
    while let Ok(first) = receiver.recv() {
        let mut next = Some(first);
        let mut last = None;
        let mut release = None;
        let mut records = 0;
        while let Some(message) = next.take() {
            match message {
                ToLog::Append { frame, entries: more } => {
                    last = Some(frame);
                    records += more.len();
                    frames.push(more);
                }
                ToLog::Release { applied } => release = Some(applied),
            }
            if records < RECORDS && frames.len() < MOST_FRAMES {
                next = receiver.try_recv().ok();
            }
        }
        if let Some(frame) = last {
            let started = Instant::now();
            log.append(frames.iter().flatten())?;
            metrics::synced(started.elapsed(), frames.len(), records);
            frames.clear();
            let _ = reports.send(Report::Synced { frame, syncs: log.syncs() });
        }
        if let Some(applied) = release {
            log.release(&applied)?;
        }
    }
    Ok(())
}

/// Frames of one batch: each holds at most about 2 MiB, a batch 16.
const MOST_FRAMES: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{MemoryDisk, Syncs};
    use crate::log::{Identity, SEGMENT_BYTES};
    use catena_protocol::Timestamp;
    use catena_protocol::codec::{Raw, encode};
    use catena_protocol::message::replicate::{Decision, LogRecord};
    use tokio::sync::mpsc::unbounded_channel;

    fn record(index: u64) -> Entry {
        let (version, decision) = (Timestamp(index), Decision::Epoch);
        let record = LogRecord { partition: 0, epoch: 1, index, version, decision };
        Entry::Record { partition: 0, index, bytes: Raw(encode(&record).into()) }
    }

    fn log(disk: &MemoryDisk) -> Log<MemoryDisk> {
        let ids = Identity { cluster: [1; 16], disk: [2; 16] };
        Log::open(disk.clone(), ids, SEGMENT_BYTES, |_| Ok(())).unwrap()
    }

    #[test]
    fn what_is_queued_goes_to_disk_with_few_syncs_and_in_order() {
        let disk = MemoryDisk::default();
        let log = log(&disk);
        let before = disk.syncs();
        let (reports, mut reported) = unbounded_channel();
        let (sender, receiver) = channel();
        for frame in 1..=70 {
            sender.send(ToLog::Append { frame, entries: vec![record(frame)] }).unwrap();
        }
        drop(sender);
        write_all(log, &receiver, &reports).unwrap();
        assert_eq!(disk.syncs() - before, 70 / MOST_FRAMES as u64);
        let mut last = 0;
        let mut counted = 0;
        while let Ok(Report::Synced { frame, syncs }) = reported.try_recv() {
            assert!(frame > last);
            (last, counted) = (frame, syncs);
        }
        assert_eq!((last, counted), (70, disk.syncs() - before));
    }

    #[test]
    fn a_failed_sync_is_the_end_and_is_not_tried_again() {
        let disk = MemoryDisk::default();
        let (reports, mut reported) = unbounded_channel();
        let (sender, thread) = start(log(&disk), reports).unwrap();
        disk.syncs_will(Syncs::Fail);
        let before = disk.syncs();
        sender.send(ToLog::Append { frame: 1, entries: vec![record(1)] }).unwrap();
        thread.join().unwrap();
        assert!(matches!(reported.blocking_recv(), Some(Report::Failed(Error::Log(_)))));
        assert!(reported.blocking_recv().is_none(), "nothing is said to be durable");
        assert_eq!(disk.syncs(), before + 1);
        assert!(sender.send(ToLog::Release { applied: BTreeMap::new() }).is_err());
    }
}
