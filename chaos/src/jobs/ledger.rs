//! What callers wanted, and what they were told: all of it, with the times.

use super::aim::{Aim, Job};
use catena_client::JobId;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What a caller was told about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It took effect at this version, and this is its result.
    Done(u64, Job),
    /// It had no effect, and why.
    Refused(String),
    /// Nothing that settles it.
    Unknown(String),
}

/// A job, and what became of it as far as its callers know.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) job: Job,
    /// None: it was never sent.
    pub(crate) id: Option<JobId>,
    /// Which caller's connection. What one has seen all later jobs of the same one see.
    pub(crate) connection: usize,
    pub(crate) asked_us: u64,
    pub(crate) told_us: u64,
    pub(crate) told: Told,
}

/// Everything. Takes a bounded number of jobs.
pub(crate) struct Ledger {
    began: Instant,
    limit: usize,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    entries: Vec<Entry>,
    contradictions: Vec<String>,
    /// How often which error was told: its kind, and an example.
    errors: BTreeMap<String, (u64, String)>,
}

/// What the ledger holds at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closed {
    pub(crate) entries: Vec<Entry>,
    /// Jobs whose callers were told two different things.
    pub(crate) contradictions: Vec<String>,
    pub(crate) errors: BTreeMap<String, (u64, String)>,
}

impl Ledger {
    /// One that takes `limit` jobs. `began` is when its clock was at 0.
    pub(crate) fn new(limit: usize, began: Instant) -> Self {
        Self { began, limit, pages: Mutex::default() }
    }

    /// Microseconds since it was begun.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job is about to be sent. None: the ledger is full, and it must not be.
    pub(crate) fn open(&self, aim: Aim, connection: usize) -> Option<Job> {
        let mut pages = self.lock();
        if pages.entries.len() >= self.limit {
            return None;
        }
        let asked_us = self.now_us();
        let job = Job { number: pages.entries.len() as u64, aim, found: Vec::new() };
        let told = Told::Unknown("its caller waits".to_owned());
        let (id, told_us) = (None, u64::MAX);
        pages.entries.push(Entry { job: job.clone(), id, connection, asked_us, told_us, told });
        Some(job)
    }

    /// A caller was told something. What settles a job stays; two things that settle it in two
    /// ways are a contradiction.
    pub(crate) fn tell(&self, number: u64, id: Option<JobId>, told: Told) {
        let mut pages = self.lock();
        let now = self.now_us();
        let Some(entry) = pages.entries.get_mut(number as usize) else { return };
        entry.id = entry.id.or(id);
        match (&entry.told, &told) {
            (_, Told::Unknown(_)) if entry.is_settled() => {}
            (Told::Unknown(_), _) => (entry.told_us, entry.told) = (now, told),
            (Told::Refused(_), Told::Refused(_)) => {}
            (before, now) if before == now => {}
            (before, now) => {
                let what = format!("job {number} was told {before:?}, then {now:?}");
                pages.contradictions.push(what);
            }
        }
    }

    /// An error was told.
    pub(crate) fn error(&self, kind: String, says: impl FnOnce() -> String) {
        self.lock().errors.entry(kind).or_insert_with(|| (0, says())).0 += 1;
    }

    /// Everything.
    pub(crate) fn close(&self) -> Closed {
        let pages = self.lock();
        Closed {
            entries: pages.entries.clone(),
            contradictions: pages.contradictions.clone(),
            errors: pages.errors.clone(),
        }
    }
}

impl Entry {
    /// Whether its caller knows how it ended.
    pub(crate) const fn is_settled(&self) -> bool {
        !matches!(self.told, Told::Unknown(_))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn what_settles_a_job_stays_and_a_contradiction_is_noted() {
        let ledger = Ledger::new(2, Instant::now());
        let job = ledger.open(Aim::Audit, 0).unwrap();
        ledger.tell(0, None, Told::Unknown("late".to_owned()));
        ledger.tell(0, None, Told::Done(7, job.clone()));
        ledger.tell(0, None, Told::Unknown("late".to_owned()));
        ledger.tell(0, None, Told::Done(7, job.clone()));
        assert_eq!(ledger.close().entries[0].told, Told::Done(7, job.clone()));
        assert!(ledger.close().contradictions.is_empty());
        ledger.tell(0, None, Told::Done(8, job));
        ledger.tell(0, None, Told::Refused("no".to_owned()));
        assert_eq!(ledger.close().contradictions.len(), 2);
        assert!(ledger.open(Aim::Audit, 0).is_some());
        assert!(ledger.open(Aim::Audit, 0).is_none());
    }
}
