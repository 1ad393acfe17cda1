//! Jobs: what they want to do, what their attempts saw, and whether all of that fits together.
//!
//! Accounts begin with nothing and hold integers whose sum is always nothing. Lists hold elements
//! that name the attempt that appended them. So each record says who wrote it, and everything
//! that any attempt read can be compared with what the jobs that were committed have written.

use catena_history::{Fate, Level, Transaction, check_transactions};
use catena_protocol::chain::Isolation;
use catena_protocol::message::commit::{End, Outcome};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::write::{Change, Mutation};
use catena_protocol::{AttemptId, Blob, JobId, Key};
use std::collections::{BTreeMap, BTreeSet};

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Moves something from the first account to the others: reads and replaces.
    Transfer,
    /// The same by adding, without reading.
    Deposit,
    /// Reads all accounts and writes nothing.
    Audit,
    /// Reads some lists and appends to the first so many of them.
    Append(usize),
}

/// A job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) client: usize,
    pub(crate) aim: Aim,
    pub(crate) isolation: Isolation,
    pub(crate) keys: Vec<String>,
    pub(crate) attempts: usize,
    pub(crate) outcome: Option<Outcome>,
    /// When somebody was first told of it.
    pub(crate) told_us: u64,
    /// A conflict with something of this time.
    pub(crate) after: u64,
}

/// One try at running a job.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) job: usize,
    pub(crate) id: AttemptId,
    pub(crate) snapshot: u64,
    /// What it read, as soon as it is there.
    pub(crate) reads: BTreeMap<String, Option<String>>,
    /// What it wants to write, once it has read.
    pub(crate) writes: Option<Vec<(String, Write)>>,
}

/// What an attempt writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Put(String),
    Add(i64),
}

/// Everything about jobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jobs {
    pub(crate) jobs: Vec<Job>,
    pub(crate) attempts: Vec<Attempt>,
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

const ONCE: &str = "4: at most one outcome per job; its writes are visible all or none";
const SNAPSHOT: &str = "5: all reads of a job are at its one snapshot";
const SERIAL: &str = "5: serializable jobs have a serial order";
const PRESENT: &str = "6: what was acknowledged is seen by whoever looks afterwards";
const TOTAL: &str = "5: what is moved between accounts is neither lost nor made";

impl Job {
    /// What it reads before it writes.
    pub(crate) fn reads(&self) -> &[String] {
        match self.aim {
            Aim::Deposit => &[],
            Aim::Transfer | Aim::Audit | Aim::Append(_) => &self.keys,
        }
    }
}

impl Attempt {
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
        };
        self.writes = Some(writes);
    }

    /// What goes into its commit.
    pub(crate) fn effects(&self) -> Effects {
        let key = |text: &String| Key::new(text).ok();
        let mutation = |(name, write): &(String, Write)| {
            let change = match write {
                Write::Put(value) => Change::Put(Blob::from(value.as_str())),
                Write::Add(delta) => Change::Add(*delta),
            };
            key(name).map(|key| Mutation { key, change })
        };
        Effects {
            reads: self.reads.keys().filter_map(key).collect(),
            scans: Vec::new(),
            writes: self.writes.iter().flatten().filter_map(mutation).collect(),
        }
    }
}

/// The values of one record, by the versions that they came with.
type Course = BTreeMap<u64, (Option<String>, usize)>;

impl Jobs {
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
                job.told_us = at_us;
                Ok(())
            }
        }
    }

    /// How an attempt ended.
    fn version(&self, attempt: &Attempt) -> Option<u64> {
        let outcome = self.jobs[attempt.job].outcome.as_ref()?;
        let own = outcome.attempt == attempt.id && matches!(outcome.end, End::Committed(_));
        own.then_some(outcome.version.0)
    }

    /// Looks at everything, at the end.
    pub(crate) fn judge(&self) -> Result<(), Broken> {
        let courses = self.courses()?;
        for (key, found) in &self.finals {
            let last = courses.get(key).and_then(|course| course.last_key_value());
            let last = last.and_then(|(_, (value, _))| value.clone());
            if *found != last {
                return Err((ONCE, format!("`{key}` ends as {found:?}, {last:?} was written")));
            }
        }
        for (number, attempt) in self.attempts.iter().enumerate() {
            self.judge_reads(number, attempt, &courses)?;
        }
        self.judge_looks()?;
        self.judge_lists()
    }

    /// Whoever looks when somebody was told that a job was committed sees what it wrote.
    fn judge_looks(&self) -> Result<(), Broken> {
        let mut written: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
        for attempt in &self.attempts {
            let Some(version) = self.version(attempt) else { continue };
            let told_us = self.jobs[attempt.job].told_us;
            for (key, _) in attempt.writes.iter().flatten() {
                written.entry(key).or_default().push((told_us, version));
            }
        }
        for look in &self.looks {
            let of_it = written.get(look.key.as_str()).into_iter().flatten();
            let before = of_it.filter(|(told_us, _)| *told_us < look.asked_us);
            let least = before.map(|(_, version)| *version).max().unwrap_or(0);
            if look.version < least {
                return Err((PRESENT, format!("{look:?}, but {least} was told before")));
            }
        }
        Ok(())
    }

    /// What the committed attempts have made of each record, in the order of their versions.
    fn courses(&self) -> Result<BTreeMap<String, Course>, Broken> {
        let mut committed: Vec<(u64, usize)> = Vec::new();
        for (number, attempt) in self.attempts.iter().enumerate() {
            committed.extend(self.version(attempt).map(|version| (version, number)));
        }
        committed.sort_unstable();
        let mut courses: BTreeMap<String, Course> = BTreeMap::new();
        for (version, number) in committed {
            for (key, write) in self.attempts[number].writes.iter().flatten() {
                let course = courses.entry(key.clone()).or_default();
                let before = course.last_key_value().and_then(|(_, (value, _))| value.clone());
                let value = match write {
                    Write::Put(value) => value.clone(),
                    Write::Add(delta) => {
                        let before = before.map_or(0, |text| text.parse().unwrap_or(0_i64));
                        (before + delta).to_string()
                    }
                };
                if let Some((_, other)) = course.insert(version, (Some(value), number)) {
                    let what = format!("attempts {other} and {number} wrote `{key}` at {version}");
                    return Err((SERIAL, what));
                }
            }
        }
        Ok(courses)
    }

    fn judge_reads(
        &self,
        number: usize,
        attempt: &Attempt,
        courses: &BTreeMap<String, Course>,
    ) -> Result<(), Broken> {
        let job = &self.jobs[attempt.job];
        let at = |key: &String, time: u64| {
            let last = courses.get(key).and_then(|course| course.range(..=time).next_back());
            last.and_then(|(_, (value, _))| value.clone())
        };
        for (key, found) in &attempt.reads {
            let was = at(key, attempt.snapshot);
            if *found != was {
                let snapshot = attempt.snapshot;
                let what =
                    format!("attempt {number} read `{key}` at {snapshot}: {found:?}, not {was:?}");
                return Err((SNAPSHOT, what));
            }
        }
        let complete = attempt.reads.len() == job.keys.len();
        if job.aim == Aim::Audit && complete {
            let values = attempt.reads.values().flatten();
            let total: i64 = values.filter_map(|text| text.parse::<i64>().ok()).sum();
            if total != 0 {
                return Err((TOTAL, format!("attempt {number} counted {total}: {attempt:?}")));
            }
        }
        let Some(version) = self.version(attempt) else { return Ok(()) };
        if job.isolation != Isolation::Serializable {
            return Ok(());
        }
        for (key, found) in &attempt.reads {
            let was = at(key, version - 1);
            if *found != was {
                let what = format!(
                    "attempt {number} committed at {version} having read `{key}` as {found:?}, \
                     but it was {was:?} by then"
                );
                return Err((SERIAL, what));
            }
        }
        Ok(())
    }

    /// The graph of dependencies, which knows nothing of versions.
    fn judge_lists(&self) -> Result<(), Broken> {
        let lists = self.attempts.iter().enumerate();
        let lists =
            lists.filter(|(_, attempt)| matches!(self.jobs[attempt.job].aim, Aim::Append(_)));
        let transactions: Vec<Transaction> =
            lists.map(|(number, attempt)| self.transaction(number as u64, attempt)).collect();
        let level = match self.jobs.iter().all(|job| job.isolation == Isolation::Serializable) {
            true => Level::Serializable,
            false => Level::Snapshot,
        };
        check_transactions(&transactions, level).map_err(|anomaly| (SERIAL, anomaly.to_string()))
    }

    fn transaction(&self, id: u64, attempt: &Attempt) -> Transaction {
        let reads = attempt.reads.iter().map(|(key, value)| (key.clone(), elements(value)));
        let appends = attempt.writes.iter().flatten().map(|(key, _)| (key.clone(), id << 8));
        let appends = (0..).zip(appends).map(|(at, (key, first))| (key, first + at));
        let fate = match self.version(attempt) {
            Some(_) => Fate::Committed,
            None => Fate::Aborted,
        };
        let by_list = |(list, read): (String, Vec<u64>)| {
            let named = read.iter().map(|number| self.named(*number, &list)).collect();
            (list, named)
        };
        Transaction { id, reads: reads.map(by_list).collect(), appends: appends.collect(), fate }
    }

    /// An element of a list has a name of its own in each list.
    fn named(&self, number: u64, list: &str) -> u64 {
        let attempt = usize::try_from(number).ok().and_then(|number| self.attempts.get(number));
        let writes = attempt.and_then(|attempt| attempt.writes.as_ref());
        let at = writes.and_then(|writes| writes.iter().position(|(key, _)| key == list));
        at.map_or(u64::MAX, |at| (number << 8) + at as u64)
    }

    /// All records that jobs may have written.
    pub(crate) fn keys(&self) -> BTreeSet<String> {
        self.jobs.iter().flat_map(|job| job.keys.iter().cloned()).collect()
    }
}

/// The attempts whose elements a list holds.
fn elements(value: &Option<String>) -> Vec<u64> {
    let parts = value.iter().flat_map(|text| text.split(','));
    parts.filter_map(|part| part.parse().ok()).collect()
}
