//! What all clients saw, on one clock.

use catena_history::{Call, History, Malformed, Outcome, Recorder, SnapshotRead, Ticket};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The book that all clients write in. Takes a bounded number of operations.
pub(crate) struct Book {
    began: Instant,
    pages: Mutex<Pages>,
    limit: usize,
}

struct Pages {
    recorder: Recorder,
    seen: Seen,
}

/// What was seen beside the history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Reads at a snapshot that were answered.
    pub(crate) snapshots: Vec<SnapshotRead>,
    /// When something was answered, in microseconds, and about which slot.
    pub(crate) answers: Vec<(u64, usize)>,
    /// How many operations ended in which way, by what they were.
    pub(crate) ends: BTreeMap<(&'static str, &'static str), u64>,
    /// How often which error was told: its kind and an example of what it said.
    pub(crate) errors: BTreeMap<String, (u64, String)>,
}

impl Book {
    /// One that takes `limit` operations and as many snapshot reads.
    pub(crate) fn new(limit: usize) -> Self {
        let (recorder, seen) = (Recorder::new(limit), Seen::default());
        Self { began: Instant::now(), pages: Mutex::new(Pages { recorder, seen }), limit }
    }

    /// When it was begun.
    pub(crate) const fn began(&self) -> Instant {
        self.began
    }

    /// Microseconds since the book was begun.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An operation is about to be sent.
    pub(crate) fn invoke(&self, client: u64, key: &str, call: Call) -> Result<Ticket, Malformed> {
        let mut pages = self.lock();
        pages.recorder.invoke(client, key, call, self.now_us())
    }

    /// It ended.
    pub(crate) fn complete(
        &self,
        ticket: Ticket,
        slot: usize,
        what: &'static str,
        outcome: Outcome,
    ) -> Result<(), Malformed> {
        let end = match &outcome {
            Outcome::Unknown => UNKNOWN,
            Outcome::Refused => REFUSED,
            _ => ANSWERED,
        };
        let mut pages = self.lock();
        // The time is taken inside, so that answers are in order.
        let now = self.now_us();
        pages.seen.count(what, end, slot, now);
        pages.recorder.complete(ticket, now, outcome)
    }

    /// A read at a snapshot ended; none: with an error, which is no evidence.
    pub(crate) fn snapshot(&self, slot: usize, read: Option<SnapshotRead>) {
        let mut pages = self.lock();
        let now = self.now_us();
        let end = if read.is_some() { ANSWERED } else { REFUSED };
        pages.seen.count(SNAPSHOT, end, slot, now);
        if pages.seen.snapshots.len() < self.limit {
            pages.seen.snapshots.extend(read);
        }
    }

    /// An error was told.
    pub(crate) fn error(&self, kind: String, says: impl FnOnce() -> String) {
        self.lock().seen.errors.entry(kind).or_insert_with(|| (0, says())).0 += 1;
    }

    /// Everything.
    pub(crate) fn close(&self) -> (History, Seen) {
        let mut pages = self.lock();
        let recorder = std::mem::replace(&mut pages.recorder, Recorder::new(0));
        (recorder.finish(), pages.seen.clone())
    }
}

/// With an answer.
pub(crate) const ANSWERED: &str = "answered";
/// Whether it happened nobody knows.
pub(crate) const UNKNOWN: &str = "unknown";
/// It certainly did not happen.
pub(crate) const REFUSED: &str = "refused";
/// What reads at a snapshot are called.
pub(crate) const SNAPSHOT: &str = "read at a time";

impl Seen {
    fn count(&mut self, what: &'static str, end: &'static str, slot: usize, now: u64) {
        *self.ends.entry((what, end)).or_default() += 1;
        if end == ANSWERED {
            self.answers.push((now, slot));
        }
    }
}
