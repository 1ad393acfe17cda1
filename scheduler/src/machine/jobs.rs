//! The jobs that are in flight here.
//!
//! Unknown here: why a job is in the state that it is in; that is decided by the verbs.

use super::chains::Ready;
use super::submit::Called;
use bytes::Bytes;
use catena_protocol::clock::Now;
use catena_protocol::message::assign::{Reply, Tries};
use catena_protocol::message::commit::End;
use catena_protocol::{AttemptId, Fault, JobId, Name, Timestamp};
use foldhash::fast::FixedState;
use slotmap::SlotMap;
use std::collections::HashMap;
use std::sync::Arc;

slotmap::new_key_type! {
    /// A job's place in the table; never used again for another job.
    pub struct JobKey;
}

/// Somebody who waits for the end of a job.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Where the answer goes.
    pub(super) reply: Reply,
    /// When it is told that the job goes on without it, in monotonic milliseconds.
    pub(super) until_ms: u64,
}

/// What a job waits for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    /// An attempt is with the workers.
    Running,
    /// The next attempt, at a time that is set.
    Delayed,
    /// The answer of its home: is there an outcome?
    Asking,
    /// The answer of its home: this was recorded, or something before it.
    Recording(End),
}

/// One job in flight.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    /// What it runs; none: it cannot run, only its failure is recorded.
    pub(super) chain: Option<Arc<Ready>>,
    /// How its chain was named by its submitter.
    pub(super) name: Name,
    pub(super) input: Bytes,
    pub(super) trace: Option<String>,
    /// Whether its caller wants to know what it took.
    pub(super) explain: bool,
    pub(super) phase: Phase,
    pub(super) attempt: AttemptId,
    /// The worker of each step of the attempt; empty: none holds a place for it.
    pub(super) plan: Vec<u16>,
    pub(super) snapshot: Timestamp,
    /// Its next snapshot is at least this.
    pub(super) after: Timestamp,
    pub(super) deadline: Timestamp,
    pub(super) deadline_ms: u64,
    /// How long its outcome is kept; none: it needs no outcome.
    pub(super) keep_ms: Option<u64>,
    /// Whether the attempt that is with the workers records an outcome.
    pub(super) recording: bool,
    /// The caller whom the last worker answers.
    pub(super) rider: Option<Caller>,
    /// Callers whom the scheduler answers.
    pub(super) others: Vec<Caller>,
    /// The messages on the durable queue that stand for it.
    pub(super) tokens: Vec<u64>,
    pub(super) attempts: u32,
    pub(super) retries: u32,
    pub(super) conflicts: u32,
    /// Attempts that ended without fault of the operators or other jobs.
    pub(super) repeats: u32,
    /// Pauses before attempts.
    pub(super) pauses: u32,
    /// What the last attempt stumbled over.
    pub(super) trouble: Option<Box<Fault>>,
    /// When the phase began, in monotonic milliseconds.
    pub(super) since_ms: u64,
    /// The tick of its newest timer.
    pub(super) timer: u64,
}

/// All jobs in flight, by key and by id.
#[derive(Debug)]
pub(super) struct Jobs {
    table: SlotMap<JobKey, Job>,
    by_id: HashMap<JobId, JobKey, FixedState>,
    /// Bytes of all inputs.
    pub(super) held: usize,
}

impl Jobs {
    /// An empty table; `seed` keeps strangers from choosing ids that collide.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            table: SlotMap::with_key(),
            by_id: HashMap::with_hasher(FixedState::with_seed(seed)),
            held: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn find(&self, id: &JobId) -> Option<JobKey> {
        self.by_id.get(id).copied()
    }

    pub(super) fn get(&self, key: JobKey) -> Option<&Job> {
        self.table.get(key)
    }

    pub(super) fn get_mut(&mut self, key: JobKey) -> Option<&mut Job> {
        self.table.get_mut(key)
    }

    pub(super) fn insert(&mut self, job: Job) -> JobKey {
        self.held += job.input.len();
        let id = job.id;
        let key = self.table.insert(job);
        self.by_id.insert(id, key);
        key
    }

    pub(super) fn remove(&mut self, key: JobKey) -> Option<Job> {
        let job = self.table.remove(key)?;
        self.by_id.remove(&job.id);
        self.held -= job.input.len();
        Some(job)
    }

    /// Every job, in an order that depends on nothing but what happened.
    pub(super) fn iter(&self) -> impl Iterator<Item = (JobKey, &Job)> {
        self.table.iter()
    }
}

impl Job {
    /// A job that nobody waits for and no worker has.
    pub(super) fn new(id: JobId, name: Name, input: Bytes, now: Now, time_ms: u64) -> Self {
        let now_ms = now.mono_ms();
        Self {
            id,
            chain: None,
            name,
            input,
            trace: None,
            explain: false,
            phase: Phase::Running,
            attempt: AttemptId::default(),
            plan: Vec::new(),
            snapshot: Timestamp::ZERO,
            after: Timestamp::ZERO,
            deadline: Timestamp(now.wall_us).plus_ms(time_ms),
            deadline_ms: now_ms.saturating_add(time_ms),
            keep_ms: None,
            recording: false,
            rider: None,
            others: Vec::new(),
            tokens: Vec::new(),
            attempts: 0,
            retries: 0,
            conflicts: 0,
            repeats: 0,
            pauses: 0,
            trouble: None,
            since_ms: now_ms,
            timer: 0,
        }
    }

    /// What came before the attempt that is about to begin, and it.
    pub(super) const fn tries(&self) -> Tries {
        Tries {
            attempts: self.attempts,
            conflicts: self.conflicts,
            retries: self.retries,
            repeats: self.repeats,
        }
    }

    /// The name under which its chain is known, for messages and records.
    pub(super) fn called(&self) -> &Name {
        self.chain.as_ref().map_or(&self.name, |chain| &chain.chain.name)
    }

    /// Whether somebody waits for its end here.
    pub(super) fn has_callers(&self) -> bool {
        self.rider.is_some() || !self.others.is_empty()
    }
}

impl Called {
    /// The name of the chain.
    pub(super) fn name(&self) -> Name {
        match self {
            Self::Named(name) => name.clone(),
            Self::Inline(_) => super::chains::inline(),
        }
    }
}
