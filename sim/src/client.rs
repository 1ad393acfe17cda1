//! A client: the real router, with something to ask, and a record of what came back.

use crate::plan::Load;
use catena_client::machine::router::Settings;
use catena_client::machine::submit::{Settings as SubmitSettings, Submitter};
use catena_client::machine::{Effect, Input, Router};
use catena_history::{Call, Outcome, Ticket};
use catena_protocol::clock::Now;
use catena_protocol::message::read::{At, Read};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::{Change, Condition, Mutation, Write, Written};
use catena_protocol::{Blob, Fault, JobId, Key, RequestId, Timestamp};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet};

/// How long a client waits for an answer, in microseconds.
pub(crate) const PATIENCE_US: u64 = 4_500_000;

/// What a request was for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// An operation in the history.
    Operation(Ticket, String),
    /// A read of a key at a snapshot.
    Snapshot(String, u64),
    /// A look at a key after everything has healed.
    Final(String),
    /// A read of an attempt.
    JobRead(usize, String),
    /// The commit of an attempt.
    JobCommit(usize),
    /// A look at the present of a record of jobs, and when it was asked.
    JobLook(String, u64),
    /// A record is put on a shelf: key and value.
    JobPlace(String, String),
    /// What became of a job.
    JobOutcome(usize),
    /// A look at a record of jobs after everything has healed.
    JobFinal(String),
}

/// A client.
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) router: Router<u64>,
    /// What the router owes an answer, and since when.
    pub(crate) open: BTreeMap<u64, (Purpose, u64)>,
    /// Reads at a snapshot that some replica was asked directly. Nobody owes an answer.
    pub(crate) direct: BTreeMap<u64, (String, u64)>,
    pub(crate) alarm: u64,
    /// Hands jobs to schedulers.
    pub(crate) submitter: Submitter<u64>,
    pub(crate) submitter_alarm: u64,
    /// Jobs that were sent before.
    pub(crate) sent: BTreeSet<JobId>,
    /// The latest version that it was told of.
    pub(crate) saw: u64,
    next: u64,
    /// What it last saw of each key.
    seen: BTreeMap<String, (Option<String>, u64)>,
}

/// What a client wants to do.
pub(crate) struct Wish {
    pub(crate) key: String,
    pub(crate) call: Option<Call>,
    pub(crate) snapshot: Option<u64>,
    pub(crate) ask: Ask,
}

impl Client {
    pub(crate) fn new(id: u64, seed: u64, partitions: u16) -> Self {
        let mut router = Router::new(Settings { open: 1_024, ..Settings::default() }, seed);
        router.handle(Now::default(), Input::Partitions(partitions), &mut Vec::new());
        Self {
            id,
            router,
            open: BTreeMap::new(),
            direct: BTreeMap::new(),
            alarm: 0,
            submitter: Submitter::new(SubmitSettings::default(), !seed),
            submitter_alarm: 0,
            sent: BTreeSet::new(),
            saw: 0,
            next: 1,
            seen: BTreeMap::new(),
        }
    }

    /// Something to do next.
    pub(crate) fn wish(&mut self, rng: &mut StdRng, load: &Load, now: Now) -> Wish {
        let number = rng.random_range(0..load.keys);
        // Some keys hold integers.
        let counts = number % 3 == 2;
        let key = format!("key-{number}");
        self.next += 1;
        let value = format!("{}-{}", self.id, self.next);
        let (seen, version) = self.seen.get(&key).cloned().unwrap_or((None, 0));
        if rng.random_ratio(load.snapshots, 100) {
            return snapshot(rng, key, now.wall_us + load.ahead_us);
        }
        let call = match rng.random_range(0..100) {
            _ if rng.random_ratio(load.reads, 100) => Call::Read,
            _ if rng.random_ratio(load.deletes, 100) => Call::Delete,
            _ if counts => Call::Add { delta: rng.random_range(-3..9) },
            0..40 => Call::Write { value },
            40..85 => Call::CompareAndSet { expected: seen, new: value },
            _ => Call::CompareVersion { expected: version, new: value },
        };
        let strict = rng.random_bool(0.2);
        let ask = ask(rng, &key, &call, strict);
        Wish { key, call: Some(call), snapshot: None, ask }
    }

    /// A read of a key.
    pub(crate) fn look(key: &str) -> Ask {
        Ask::Read(Read { key: make_key(key), at: At::Latest })
    }

    /// Hands a request to the router. Returns what it is called.
    pub(crate) fn ask(
        &mut self,
        now: Now,
        partitions: u16,
        (key, ask): (&str, Ask),
        purpose: Purpose,
        out: &mut Vec<Effect<u64>>,
    ) {
        let partition = make_key(key).partition(partitions);
        self.ask_of(now, partition, ask, purpose, PATIENCE_US, out);
    }

    /// The same with a partition that is known.
    pub(crate) fn ask_of(
        &mut self,
        now: Now,
        partition: u16,
        ask: Ask,
        purpose: Purpose,
        patience_us: u64,
        out: &mut Vec<Effect<u64>>,
    ) {
        let caller = self.next;
        self.next += 1;
        self.open.insert(caller, (purpose, now.mono_us));
        let deadline_us = now.mono_us + patience_us;
        // Workers wait for a primary as long as their job has time.
        let patient = matches!(ask, Ask::Commit(_) | Ask::Outcome(_));
        let input = Input::Ask { caller, partition, ask, deadline_us, patient };
        self.router.handle(now, input, out);
    }

    /// How many operations it has open that are not part of a job.
    pub(crate) fn operations(&self) -> usize {
        let direct =
            |purpose: &Purpose| matches!(purpose, Purpose::Operation(..) | Purpose::Snapshot(..));
        self.open.values().filter(|(purpose, _)| direct(purpose)).count()
    }

    /// What an answer means for the history, and what is learned from it.
    pub(crate) fn outcome(&mut self, key: &str, result: &Result<Tell, Fault>) -> Outcome {
        let outcome = match result {
            Ok(Tell::Record(record)) => {
                Outcome::Found { value: record.value.as_ref().map(text), version: record.version.0 }
            }
            Ok(Tell::Written(Written::Done { version, value: Some(sum) })) => {
                Outcome::Sum { sum: *sum, version: version.0 }
            }
            Ok(Tell::Written(Written::Done { version, value: None })) => {
                Outcome::Done { version: version.0 }
            }
            Ok(Tell::Written(Written::Differs { version, value })) => {
                Outcome::Differs { value: value.as_ref().map(text), version: version.0 }
            }
            Ok(_) => Outcome::Unknown,
            Err(fault) if fault.message.contains("may or may not") => Outcome::Unknown,
            Err(_) => Outcome::Refused,
        };
        if let Outcome::Found { value, version } | Outcome::Differs { value, version } = &outcome {
            self.seen.insert(key.to_owned(), (value.clone(), *version));
        }
        outcome
    }
}

/// Whether a request is a read at a snapshot, or not open any more, so that nobody can say.
pub(crate) fn wants_the_past<C>(router: &Router<C>, id: u64) -> bool {
    router.request(id).is_none_or(|request| {
        matches!(&request.ask, Ask::Read(Read { at: At::Snapshot(_), .. }) | Ask::Scan(_))
    })
}

fn snapshot(rng: &mut StdRng, key: String, latest_us: u64) -> Wish {
    let at = latest_us.saturating_sub(rng.random_range(0..1_500_000));
    let ask = Ask::Read(Read { key: make_key(&key), at: At::Snapshot(Timestamp(at)) });
    Wish { key, call: None, snapshot: Some(at), ask }
}

fn ask(rng: &mut StdRng, key: &str, call: &Call, strict: bool) -> Ask {
    let key = make_key(key);
    let (change, condition) = match call {
        Call::Read => {
            let at = if strict { At::Strict } else { At::Latest };
            return Ask::Read(Read { key, at });
        }
        Call::Write { value } => (Change::Put(blob(value)), Condition::Always),
        Call::Delete => (Change::Delete, Condition::Always),
        Call::CompareAndSet { expected, new } => {
            let expected = expected.as_deref().map(blob);
            (Change::Put(blob(new)), Condition::ValueIs(expected))
        }
        Call::CompareVersion { expected, new } => {
            (Change::Put(blob(new)), Condition::VersionIs(Timestamp(*expected)))
        }
        Call::Add { delta } => (Change::Add(*delta), Condition::Always),
    };
    let request = RequestId(rng.random());
    Ask::Write(Write { request, mutation: Mutation { key, change }, condition })
}

#[allow(clippy::expect_used, reason = "names made here")]
fn make_key(key: &str) -> Key {
    Key::new(key).expect("a valid key")
}

fn blob(text: &str) -> Blob {
    Blob::from(text)
}

pub(crate) fn text(blob: &Blob) -> String {
    String::from_utf8_lossy(blob.as_ref()).into_owned()
}
