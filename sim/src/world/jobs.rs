//! Jobs on their way: they read at a snapshot, ask their home to commit, and begin anew when they
//! lost. Some are taken for lost and begun anew although they are not.

use super::{Happening, World};
use crate::broker::{Inbox, Message, Party};
use crate::client::{Client, PATIENCE_US, Purpose, text};
use crate::clock::right;
use crate::job::{Aim, Attempt, DIRECT, Job, PLACES, Path, place};
use catena_protocol::chain::Isolation;
use catena_protocol::message::commit::{Commit, Decided, End};
use catena_protocol::message::read::{At, Read, Scan};
use catena_protocol::message::store::{Ask, Request, Tell};
use catena_protocol::message::write::{Change, Condition, Mutation, Write, Written};
use catena_protocol::{AttemptId, Blob, Fault, JobId, Key, Name, RequestId, Timestamp};
use catena_storage::machine::Bug;
use rand::Rng;
use rand::seq::SliceRandom as _;

/// Most attempts of one job.
const ATTEMPTS: usize = 12;
/// Most records that one look at a shelf shows: there are never so many.
const ROWS: u32 = 100;
/// A client with so much open begins no job.
const OPEN: usize = 256;
/// A replica that was asked directly and is silent for so long is not waited for.
const REPLICA_US: u64 = 300_000;

impl World {
    /// A client begins a job.
    pub(super) fn job_begins(&mut self, client: usize) {
        let share = self.plan.faults_us * self.plan.load.clients / self.plan.jobs.max(1);
        if self.healed || self.plan.jobs == 0 {
            return;
        }
        let wait = self.rng.random_range(1..share * 2);
        self.after(wait, Happening::JobBegins { client });
        if self.clients[client].open.len() >= OPEN {
            return;
        }
        let mut keys: Vec<String> = Vec::new();
        let load = &self.plan.load;
        let aim = match self.rng.random_range(0..100) {
            _ if self.plan.hot => Aim::Append(1),
            0..20 => Aim::Transfer,
            20..35 => Aim::Deposit,
            35..45 => Aim::Audit,
            45..65 => Aim::Shelve,
            _ => Aim::Append(self.rng.random_range(0..3)),
        };
        keys.extend(match aim {
            Aim::Append(_) => (0..load.lists).map(|number| format!("list-{number}")).collect(),
            Aim::Shelve => (0..load.shelves).map(shelf).collect::<Vec<_>>(),
            _ => (0..load.accounts).map(|number| format!("account-{number}")).collect(),
        });
        keys.shuffle(&mut self.rng);
        if aim != Aim::Audit {
            keys.truncate(self.rng.random_range(2..=4));
        }
        let path = self.path();
        let id = match path {
            Path::Direct => {
                JobId::random(self.rng.random(), right(self.at_us).wall_us, self.rng.random())
            }
            Path::Run | Path::Shared | Path::Queued => self.platform_id(path),
        };
        self.tally.count("jobs");
        let isolation = match self.rng.random_ratio(self.plan.of_snapshot, 100) {
            true => Isolation::Snapshot,
            false => Isolation::Serializable,
        };
        let job = self.jobs.begin(Job {
            id,
            client,
            aim,
            isolation,
            keys,
            attempts: 0,
            outcome: None,
            told_us: 0,
            after: 0,
            lost: None,
            path,
            told: Vec::new(),
            accepted: false,
            recorded: true,
            request: None,
        });
        if self.rng.random_bool(0.5) {
            self.look_at(client);
        }
        if self.rng.random_bool(0.2) && !self.plan.hot {
            self.put_on_shelf(client);
        }
        match path {
            Path::Direct => self.attempt_begins(job),
            Path::Run | Path::Shared | Path::Queued => self.call(job),
        }
    }

    /// Somebody puts something on a shelf, without a job.
    fn put_on_shelf(&mut self, client: usize) {
        let shelf = shelf(self.rng.random_range(0..self.plan.load.shelves));
        let text = place(&shelf, self.rng.random_range(0..PLACES));
        let Ok(key) = Key::new(&text) else { return };
        self.tally.count("records put on shelves directly");
        let value = format!("{DIRECT}{}", self.tally.of("records put on shelves directly"));
        let change = Change::Put(Blob::from(value.as_str()));
        let request = RequestId(self.rng.random());
        let mutation = Mutation { key, change };
        let ask = Ask::Write(Write { request, mutation, condition: Condition::Always });
        let (now, partitions) = (right(self.at_us), self.plan.partitions);
        let purpose = Purpose::JobPlace(text.clone(), value);
        let mut effects = Vec::new();
        self.clients[client].ask(now, partitions, (&text, ask), purpose, &mut effects);
        self.client_effects(client, effects);
    }

    /// Whoever is not told may have put it there all the same: those who see it tell.
    pub(super) fn placed(&mut self, key: &str, value: &str, result: &Result<Tell, Fault>) {
        if let Ok(Tell::Written(Written::Done { version, .. })) = result {
            self.tally.count("records put on shelves directly, told");
            self.jobs.saw(key, version.0, value);
        }
    }

    /// Somebody reads the present of a record of jobs.
    fn look_at(&mut self, client: usize) {
        let (accounts, lists) = (self.plan.load.accounts, self.plan.load.lists);
        let key = match self.rng.random_range(0..accounts + lists) {
            number if number < accounts => format!("account-{number}"),
            number => format!("list-{}", number - accounts),
        };
        let (now, partitions) = (right(self.at_us), self.plan.partitions);
        let (ask, purpose) = (Client::look(&key), Purpose::JobLook(key.clone(), self.at_us));
        let mut effects = Vec::new();
        self.clients[client].ask(now, partitions, (&key, ask), purpose, &mut effects);
        self.client_effects(client, effects);
    }

    /// A job is run (again).
    pub(super) fn attempt_begins(&mut self, job: usize) {
        let now = right(self.at_us);
        let of = &mut self.jobs.jobs[job];
        if self.healed || of.outcome.is_some() || of.attempts >= ATTEMPTS {
            return;
        }
        of.attempts += 1;
        let past = self.rng.random_range(0..30_000);
        let snapshot = (now.wall_us - past).max(of.after);
        let id = AttemptId(self.rng.random());
        let keys: Vec<String> = of.reads().iter().chain(of.scans()).cloned().collect();
        let attempt = self.jobs.attempts.len();
        self.tally.count("attempts");
        let (reads, scans) = Default::default();
        self.jobs.attempts.push(Attempt { job, id, snapshot, reads, scans, writes: None });
        if keys.is_empty() {
            return self.attempt_commits(attempt);
        }
        for key in keys {
            if self.rng.random_bool(0.3) {
                self.read_at_replica(attempt, key);
            } else {
                self.read_for_job(attempt, key);
            }
        }
    }

    fn read_ask(&self, attempt: usize, key: &str) -> Option<Ask> {
        let of = &self.jobs.attempts[attempt];
        let at = At::Snapshot(Timestamp(of.snapshot));
        if self.jobs.jobs[of.job].aim == Aim::Shelve {
            return Some(Ask::Scan(Scan { prefix: key.to_owned(), at, after: None, limit: ROWS }));
        }
        Some(Ask::Read(Read { key: Key::new(key).ok()?, at }))
    }

    fn read_for_job(&mut self, attempt: usize, key: String) {
        let Some(ask) = self.read_ask(attempt, &key) else { return };
        self.ask_for_job(attempt, &key.clone(), ask, Purpose::JobRead(attempt, key));
    }

    fn ask_for_job(&mut self, attempt: usize, key: &str, ask: Ask, purpose: Purpose) {
        let client = self.jobs.jobs[self.jobs.attempts[attempt].job].client;
        let (now, partitions) = (right(self.at_us), self.plan.partitions);
        let mut effects = Vec::new();
        self.clients[client].ask(now, partitions, (key, ask), purpose, &mut effects);
        self.client_effects(client, effects);
    }

    /// Any replica may answer, if it is far enough; the primary is asked when it is not.
    fn read_at_replica(&mut self, attempt: usize, key: String) {
        let Some(ask) = self.read_ask(attempt, &key) else { return };
        let Ok(place) = Key::new(&key) else { return };
        let partition = place.partition(self.plan.partitions);
        let id = u64::MAX - self.next;
        self.next += 1;
        self.job_reads.insert(id, (attempt, key));
        let from = Inbox::client(self.jobs.jobs[self.jobs.attempts[attempt].job].client as u64);
        let host = self.rng.random_range(0..self.hosts.len());
        let request = Box::new(Request { id, partition, ask });
        self.send(from.of, Party::Node(host), Message::Request { from, request });
        self.after(REPLICA_US, Happening::ReplicaSilent { id });
    }

    /// A replica answered, or did not in time.
    pub(super) fn replica_told(&mut self, id: u64, tell: Option<Tell>) {
        let Some((attempt, key)) = self.job_reads.remove(&id) else { return };
        match tell {
            Some(tell @ (Tell::Record(_) | Tell::Records { .. })) => {
                self.tally.count("reads of jobs, of any replica");
                self.job_read(attempt, &key, &Ok(tell));
            }
            _ => self.read_for_job(attempt, key),
        }
    }

    pub(super) fn job_read(&mut self, attempt: usize, key: &str, result: &Result<Tell, Fault>) {
        match result {
            Ok(Tell::Record(record)) => {
                let value = record.value.as_ref().map(text);
                self.jobs.attempts[attempt].reads.insert(key.to_owned(), value);
            }
            Ok(Tell::Records { found, next: None }) => {
                self.tally.count("looks of jobs at shelves");
                self.jobs.found(attempt, key, found);
            }
            _ => return self.job_again(attempt, 50_000),
        }
        let of = &self.jobs.attempts[attempt];
        if of.has_read(&self.jobs.jobs[of.job]) {
            self.attempt_commits(attempt);
        }
    }

    /// An attempt has read everything: its home is asked to commit.
    pub(super) fn attempt_commits(&mut self, attempt: usize) {
        let job = self.jobs.attempts[attempt].job;
        let of = self.jobs.jobs[job].clone();
        if self.jobs.attempts[attempt].writes.is_none() {
            self.jobs.attempts[attempt].decide(&of, attempt);
            // It may be taken for lost.
            if !self.plan.hot && self.rng.random_bool(0.15) {
                let wait = self.rng.random_range(0..300_000);
                self.after(wait, Happening::JobGoesOn { job });
            }
        }
        let run = &self.jobs.attempts[attempt];
        let Ok(chain) = Name::new("job") else { return };
        let effects = run.effects();
        // Whoever routes by what is written finds another home for another attempt.
        let by_writes = self.plan.bug == Some(Bug::AnyHome);
        let first = effects.writes.first().map(|write| write.key.partition(self.plan.partitions));
        let home = first.filter(|_| by_writes).unwrap_or(of.id.home() % self.plan.partitions);
        let commit = Commit {
            job: of.id,
            attempt: run.id,
            chain,
            snapshot: Timestamp(run.snapshot),
            isolation: of.isolation,
            effects,
            end: End::Committed(attempt.to_string().as_str().into()),
            keep_ms: 0,
            explain: false,
        };
        let mut effects = Vec::new();
        let now = right(self.at_us);
        let purpose = Purpose::JobCommit(attempt);
        self.clients[of.client].ask_of(
            now,
            home,
            Ask::Commit(commit),
            purpose,
            PATIENCE_US,
            &mut effects,
        );
        self.client_effects(of.client, effects);
    }

    pub(super) fn job_told(&mut self, attempt: usize, result: Result<Tell, Fault>) {
        let job = self.jobs.attempts[attempt].job;
        match result {
            Ok(Tell::Decided(Decided::Outcome(outcome))) => {
                self.tally.count(match outcome.attempt == self.jobs.attempts[attempt].id {
                    true => "attempts committed",
                    false => "attempts that found an outcome",
                });
                if let Err((rule, what)) = self.jobs.learn(job, &outcome, self.at_us) {
                    self.fail(rule, what);
                }
            }
            Ok(Tell::Decided(Decided::Conflict { version, .. })) => {
                self.tally.count("attempts in conflict");
                let of = &mut self.jobs.jobs[job];
                of.after = of.after.max(version.0);
                of.lost = of.lost.or(Some(version.0));
                self.job_again(attempt, 20_000);
            }
            Ok(Tell::Decided(Decided::Busy { wait_ms })) => {
                self.tally.count("attempts while another is decided about");
                if !self.healed {
                    self.after(wait_ms * 1_000, Happening::AttemptGoesOn { attempt });
                }
            }
            _ => {
                self.tally.count("attempts of unknown outcome, or refused");
                if !self.healed && self.rng.random_bool(0.5) {
                    self.after(100_000, Happening::AttemptGoesOn { attempt });
                } else {
                    self.job_again(attempt, 100_000);
                }
            }
        }
    }

    fn job_again(&mut self, attempt: usize, most_us: u64) {
        let job = self.jobs.attempts[attempt].job;
        let wait = self.rng.random_range(1_000..most_us);
        self.after(wait, Happening::JobGoesOn { job });
    }

    /// When everything has healed, what became of each job is asked for, and what it left behind.
    pub(super) fn ask_about_jobs(&mut self) {
        for job in 0..self.jobs.jobs.len() {
            let of = &self.jobs.jobs[job];
            let (client, id) = (of.client, of.id);
            if of.outcome.is_none() {
                let home = id.home() % self.plan.partitions;
                let mut effects = Vec::new();
                let (now, purpose) = (right(self.at_us), Purpose::JobOutcome(job));
                self.clients[client].ask_of(
                    now,
                    home,
                    Ask::Outcome(id),
                    purpose,
                    PATIENCE_US,
                    &mut effects,
                );
                self.client_effects(client, effects);
            }
        }
        for key in self.jobs.keys() {
            let (now, partitions) = (right(self.at_us), self.plan.partitions);
            let ask = Client::look(&key);
            let mut effects = Vec::new();
            let purpose = Purpose::JobFinal(key.clone());
            self.clients[0].ask(now, partitions, (&key, ask), purpose, &mut effects);
            self.client_effects(0, effects);
        }
    }

    pub(super) fn job_outcome(&mut self, job: usize, result: &Result<Tell, Fault>) {
        match result {
            Ok(Tell::Outcome(Some(outcome))) => {
                if let Err((rule, what)) = self.jobs.learn(job, outcome, self.at_us) {
                    self.fail(rule, what);
                }
            }
            Ok(Tell::Outcome(None)) => self.tally.count("jobs without an outcome"),
            other => self.fail("everything recovers", format!("outcome of job {job}: {other:?}")),
        }
    }

    pub(super) fn job_final(&mut self, key: String, result: &Result<Tell, Fault>) {
        match result {
            Ok(Tell::Record(record)) => {
                let value = record.value.as_ref().map(text);
                self.jobs.saw(&key, record.version.0, value.as_deref().unwrap_or_default());
                self.jobs.finals.insert(key, value);
            }
            other => self.fail("everything recovers", format!("`{key}`: {other:?}")),
        }
    }
}

/// How the keys of what is on a shelf begin.
fn shelf(number: u64) -> String {
    format!("{{shelf-{number}}}:")
}
