//! Jobs: what they want to do, what their attempts saw, and whether all of that fits together.
//!
//! Accounts begin with nothing and hold integers whose sum is always nothing. Lists hold elements
//! that name the attempt that appended them. Shelves have some places each, where records come and
//! go: jobs look at whole shelves, and others put something there directly. So each record says
//! who wrote it, and everything that any attempt read can be compared with what the jobs that were
//! committed have written.

mod judge;
mod told;
mod turns;

use catena_protocol::chain::Isolation;
use catena_protocol::message::commit::{End, Outcome};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::read::Found;
use catena_protocol::message::submit::Submit;
use catena_protocol::message::write::{Change, Mutation};
use catena_protocol::{AttemptId, Blob, JobId, Key, Name};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many records a shelf has room for.
pub(crate) const PLACES: usize = 4;

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Aim {
    /// Moves something from the first account to the others: reads and replaces.
    Transfer,
    /// The same by adding, without reading.
    Deposit,
    /// Reads all accounts and writes nothing.
    Audit,
    /// Reads some lists and appends to the first so many of them.
    Append(usize),
    /// Looks at some shelves and puts something on the first, or takes it away.
    Shelve,
}

/// Which way a job takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// Its client reads and commits by itself.
    Direct,
    /// Its client has it run by the platform and waits.
    Run,
    /// The same, under an idempotency key; and another client does so, too.
    Shared,
    /// Its client has it queued.
    Queued,
}

/// What a caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It took effect, or has read, in the attempt of that number.
    Good { version: u64, number: Option<usize> },
    /// It has no effect, in these words.
    Nothing(String),
    /// It may or may not have an effect.
    Unclear,
}

/// A job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) client: usize,
    pub(crate) aim: Aim,
    pub(crate) isolation: Isolation,
    /// The records that it is about; of shelves how their keys begin.
    pub(crate) keys: Vec<String>,
    pub(crate) attempts: usize,
    pub(crate) outcome: Option<Outcome>,
    /// When somebody was first told of it.
    pub(crate) told_us: u64,
    /// A conflict with something of this time.
    pub(crate) after: u64,
    /// The version of what it lost against first.
    pub(crate) lost: Option<u64>,
    pub(crate) path: Path,
    /// What its callers were told.
    pub(crate) told: Vec<Told>,
    /// It is on the durable queue, as its client was told.
    pub(crate) accepted: bool,
    /// It has an outcome when it has ended.
    pub(crate) recorded: bool,
    /// What schedulers are asked.
    pub(crate) request: Option<(Name, Submit)>,
}

/// One try at running a job.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) job: usize,
    pub(crate) id: AttemptId,
    pub(crate) snapshot: u64,
    /// What it read, as soon as it is there.
    pub(crate) reads: BTreeMap<String, Option<String>>,
    /// What it found on shelves, as soon as it is there.
    pub(crate) scans: BTreeMap<String, Rows>,
    /// What it wants to write, once it has read.
    pub(crate) writes: Option<Vec<(String, Write)>>,
}

/// Records by their keys.
pub(crate) type Rows = BTreeMap<String, String>;

/// What an attempt writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Put(String),
    Add(i64),
    Delete,
}

/// Everything about jobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jobs {
    pub(crate) jobs: Vec<Job>,
    /// Jobs and attempts by their ids.
    pub(crate) ids: BTreeMap<JobId, usize>,
    pub(crate) tries: BTreeMap<AttemptId, usize>,
    pub(crate) attempts: Vec<Attempt>,
    /// Nothing fails, so that whoever loses must get its turn.
    pub(crate) take_turns: bool,
    /// What was put on shelves directly: by key and version, as far as somebody was told of it or
    /// saw it.
    pub(crate) placed: BTreeMap<(String, u64), String>,
    /// What reads of the present showed.
    pub(crate) looks: Vec<Look>,
    /// What a read of the present showed at the end.
    pub(crate) finals: BTreeMap<String, Option<String>>,
}

/// A read of the present.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) key: String,
    pub(crate) asked_us: u64,
    pub(crate) version: u64,
}

/// A rule that does not hold, and what was seen.
type Broken = (&'static str, String);

/// So begins what is put on shelves directly.
pub(crate) const DIRECT: &str = "w";

const ONCE: &str = "4: at most one outcome per job; its writes are visible all or none";

impl Job {
    /// What it reads before it writes.
    pub(crate) fn reads(&self) -> &[String] {
        match self.aim {
            Aim::Deposit | Aim::Shelve => &[],
            Aim::Transfer | Aim::Audit | Aim::Append(_) => &self.keys,
        }
    }

    /// The shelves that it looks at before it writes.
    pub(crate) fn scans(&self) -> &[String] {
        if self.aim == Aim::Shelve { &self.keys } else { &[] }
    }

    pub(crate) fn is_serializable(&self) -> bool {
        self.isolation == Isolation::Serializable
    }
}

/// A place on a shelf.
pub(crate) fn place(shelf: &str, number: usize) -> String {
    format!("{shelf}{}", number % PLACES)
}

impl Attempt {
    /// Whether it has read all that it is about.
    pub(crate) fn has_read(&self, job: &Job) -> bool {
        self.reads.len() == job.reads().len() && self.scans.len() == job.scans().len()
    }

    /// Decides what to write, from what it has read.
    pub(crate) fn decide(&mut self, job: &Job, number: usize) {
        let moved = number as i64 % 7 + 1;
        let others = job.keys.len() as i64 - 1;
        let change = |at: usize| if at == 0 { -moved * others } else { moved };
        let integer = |key: &String| {
            let value = self.reads.get(key).and_then(Option::as_deref);
            value.map_or(0, |text| text.parse().unwrap_or(0))
        };
        // Another attempt may write elsewhere first.
        let first = number % job.keys.len();
        let keys = || job.keys[first..].iter().chain(&job.keys[..first]).enumerate();
        let writes = match job.aim {
            Aim::Audit => Vec::new(),
            Aim::Deposit => keys().map(|(at, key)| (key.clone(), Write::Add(change(at)))).collect(),
            Aim::Transfer => keys()
                .map(|(at, key)| (key.clone(), Write::Put((integer(key) + change(at)).to_string())))
                .collect(),
            Aim::Append(count) => keys()
                .take(count)
                .map(|(_, key)| {
                    let before = self.reads.get(key).cloned().flatten().unwrap_or_default();
                    (key.clone(), Write::Put(format!("{before}{number},")))
                })
                .collect(),
            Aim::Shelve => keys().take(1).map(|(_, shelf)| self.shelve(shelf, number)).collect(),
        };
        self.writes = Some(writes);
    }

    /// Takes away what is there, or puts something there, in some place.
    fn shelve(&self, shelf: &str, number: usize) -> (String, Write) {
        let key = place(shelf, number / 3);
        let is_there = self.scans.get(shelf).is_some_and(|rows| rows.contains_key(&key));
        let write = if is_there { Write::Delete } else { Write::Put(format!("a{number}")) };
        (key, write)
    }

    /// What goes into its commit.
    pub(crate) fn effects(&self) -> Effects {
        let key = |text: &String| Key::new(text).ok();
        let mutation = |(name, write): &(String, Write)| {
            let change = match write {
                Write::Put(value) => Change::Put(Blob::from(value.as_str())),
                Write::Add(delta) => Change::Add(*delta),
                Write::Delete => Change::Delete,
            };
            key(name).map(|key| Mutation { key, change })
        };
        Effects {
            reads: self.reads.keys().filter_map(key).collect(),
            scans: self.scans.keys().filter_map(key).collect(),
            writes: self.writes.iter().flatten().filter_map(mutation).collect(),
        }
    }
}

impl Jobs {
    /// A new job, and its number.
    pub(crate) fn begin(&mut self, job: Job) -> usize {
        self.ids.insert(job.id, self.jobs.len());
        self.jobs.push(job);
        self.jobs.len() - 1
    }

    pub(crate) fn by_id(&self, id: JobId) -> Option<usize> {
        self.ids.get(&id).copied()
    }

    /// A job is known under another id, too.
    pub(crate) fn alias(&mut self, id: JobId, of: JobId) {
        if let Some(job) = self.by_id(of) {
            self.ids.insert(id, job);
        }
    }

    /// The number of an attempt that the platform makes.
    pub(crate) fn attempt(&mut self, job: JobId, id: AttemptId, snapshot: u64) -> Option<usize> {
        let job = self.by_id(job)?;
        let next = self.attempts.len();
        let number = *self.tries.entry(id).or_insert(next);
        if number == next {
            let (reads, scans) = Default::default();
            self.attempts.push(Attempt { job, id, snapshot, reads, scans, writes: None });
        }
        Some(number)
    }

    /// Somebody was told how a job ended.
    pub(crate) fn learn(
        &mut self,
        job: usize,
        outcome: &Outcome,
        at_us: u64,
    ) -> Result<(), Broken> {
        let job = &mut self.jobs[job];
        match &job.outcome {
            Some(known) if known != outcome => {
                Err((ONCE, format!("job {}: {known:?}, then {outcome:?}", job.id)))
            }
            Some(_) => Ok(()),
            None => {
                job.outcome = Some(outcome.clone());
                if job.told_us == 0 {
                    job.told_us = at_us;
                }
                Ok(())
            }
        }
    }

    /// Somebody was told of something that was put on a shelf directly, or saw it.
    pub(crate) fn saw(&mut self, key: &str, version: u64, value: &str) {
        if value.starts_with(DIRECT) {
            self.placed.insert((key.to_owned(), version), value.to_owned());
        }
    }

    /// What a look at a shelf showed.
    pub(crate) fn found(&mut self, attempt: usize, shelf: &str, found: &[Found]) {
        let mut rows = Rows::new();
        for Found { key, record } in found {
            let value = record.value.as_ref().map(crate::client::text).unwrap_or_default();
            self.saw(key.as_str(), record.version.0, &value);
            rows.insert(key.as_str().to_owned(), value);
        }
        self.attempts[attempt].scans.insert(shelf.to_owned(), rows);
    }

    /// When an attempt took effect, if it did.
    fn version(&self, attempt: &Attempt) -> Option<u64> {
        let outcome = self.jobs[attempt.job].outcome.as_ref()?;
        let own = outcome.attempt == attempt.id && matches!(outcome.end, End::Committed(_));
        own.then_some(outcome.version.0)
    }

    /// All records that jobs may have written.
    pub(crate) fn keys(&self) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        for job in &self.jobs {
            let shelves = job.scans().iter();
            let places = shelves.flat_map(|s| (0..PLACES).map(move |number| place(s, number)));
            keys.extend(places);
            keys.extend(job.keys.iter().filter(|_| job.scans().is_empty()).cloned());
        }
        keys.extend(self.placed.keys().map(|(key, _)| key.clone()));
        keys
    }
}
