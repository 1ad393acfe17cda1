//! Random requests, syncs, crashes and time against a plain model: the history that the log tells.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where this fails")]

mod rig;

use catena_protocol::message::commit::{Decided, End};
use catena_protocol::message::read::At;
use catena_protocol::message::replicate::Decision;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::{Change, Condition, Mutation, Written};
use catena_protocol::{Blob, Key, Timestamp};
use catena_storage::machine::Settings;
use catena_storage::state::{Changes, Forget, State, StateWriter};
use proptest::collection::vec;
use proptest::prelude::*;
use rig::{Rig, commit, effects, job, key, read, record, scan, write};
use std::collections::BTreeMap;

/// Longer than any run.
const FOREVER_MS: u64 = 3_600_000;
const KEYS: [&str; 5] = ["{a}1", "{a}2", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Op {
    Write { key: usize, change: Change, condition: Cond },
    Again { back: u64 },
    Read { key: usize, back_us: Option<u64> },
    Scan { prefix: &'static str, back_us: Option<u64> },
    Commit { job: u64, back_us: u64, reads: Vec<usize>, scan: bool, writes: Vec<(usize, Change)> },
    Sync,
    Apply,
    Advance(u64),
    Crash,
}

#[derive(Clone, Debug)]
enum Cond {
    Always,
    ValueIs(Option<Blob>),
    SeenVersion,
    NoVersion,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0..4_u8).prop_map(|n| Change::Put(n.to_string().into())),
        1 => Just(Change::Delete),
        2 => (-3..4_i64).prop_map(Change::Add),
        1 => Just(Change::Put("text".into())),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..KEYS.len();
    let cond = prop_oneof![
        3 => Just(Cond::Always),
        2 => (0..4_u8).prop_map(|n| Cond::ValueIs(Some(n.to_string().into()))),
        1 => Just(Cond::ValueIs(None)),
        2 => Just(Cond::SeenVersion),
        1 => Just(Cond::NoVersion),
    ];
    let back = prop_oneof![Just(0), 1..300_000_u64];
    let prefix = prop_oneof![Just("{a}"), Just(""), Just("b"), Just("{a}2")];
    prop_oneof![
        6 => (key.clone(), change(), cond)
            .prop_map(|(key, change, condition)| Op::Write { key, change, condition }),
        1 => (1..20_u64).prop_map(|back| Op::Again { back }),
        4 => (key.clone(), prop::option::of(back.clone()))
            .prop_map(|(key, back_us)| Op::Read { key, back_us }),
        2 => (prefix, prop::option::of(back.clone()))
            .prop_map(|(prefix, back_us)| Op::Scan { prefix, back_us }),
        4 => (0..40_u64, back, vec(key.clone(), 0..3), any::<bool>(), vec((key, change()), 0..3))
            .prop_map(|(job, back_us, reads, scan, mut writes)| {
                writes.sort_by_key(|(key, _)| *key);
                writes.dedup_by_key(|(key, _)| *key);
                Op::Commit { job, back_us, reads, scan, writes }
            }),
        5 => Just(Op::Sync),
        4 => Just(Op::Apply),
        3 => (1..200_000_u64).prop_map(Op::Advance),
        1 => Just(Op::Crash),
    ]
}

/// One key's versions, oldest first.
type Versions = Vec<(Timestamp, Option<Blob>)>;

#[derive(Default)]
struct History(BTreeMap<Key, Versions>);

impl History {
    fn at(&self, key: &Key, at: Timestamp) -> (Timestamp, Option<Blob>) {
        let versions = self.0.get(key).map_or(&[][..], Vec::as_slice);
        let found = versions.iter().rev().find(|(version, _)| *version <= at);
        found.cloned().unwrap_or_default()
    }

    fn head(&self, key: &Key) -> (Timestamp, Option<Blob>) {
        self.at(key, Timestamp::MAX)
    }

    fn put(&mut self, version: Timestamp, mutation: &Mutation) {
        let (before, value) = self.head(&mutation.key);
        assert!(before < version, "versions of {} must grow", mutation.key);
        let value = match &mutation.change {
            Change::Put(value) => Some(value.clone()),
            Change::Delete => None,
            Change::Add(delta) => {
                let old: i64 =
                    value.map_or(0, |v| std::str::from_utf8(v.as_ref()).unwrap().parse().unwrap());
                Some((old + delta).to_string().into())
            }
        };
        self.0.entry(mutation.key.clone()).or_default().push((version, value));
    }
}

struct Run {
    rig: Rig,
    sent: BTreeMap<u64, (u16, Ask)>,
    writes: Vec<u64>,
    next_write: u64,
    latest_seen: BTreeMap<Key, Timestamp>,
    crashed: Vec<u64>,
}

impl Run {
    fn new(retention_ms: u64) -> Self {
        let settings =
            Settings { partitions: rig::PARTITIONS, retention_ms, ..Settings::default() };
        Self {
            rig: Rig::with(settings),
            sent: BTreeMap::new(),
            writes: Vec::new(),
            next_write: 1,
            latest_seen: BTreeMap::new(),
            crashed: Vec::new(),
        }
    }

    fn back(&self, us: u64) -> Timestamp {
        Timestamp(self.rig.now.wall_us - us.min(self.rig.now.wall_us - rig::START_US))
    }

    fn at(&self, back_us: Option<u64>) -> At {
        back_us.map_or(At::Latest, |us| At::Snapshot(self.back(us)))
    }

    fn send(&mut self, ask: (u16, Ask)) -> u64 {
        let id = self.rig.send(ask.clone());
        self.sent.insert(id, ask);
        id
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Write { key: at, change, condition } => {
                let seen = self.latest_seen.get(&key(KEYS[at])).copied().unwrap_or_default();
                let condition = match condition {
                    Cond::Always => Condition::Always,
                    Cond::ValueIs(value) => Condition::ValueIs(value),
                    Cond::SeenVersion => Condition::VersionIs(seen),
                    Cond::NoVersion => Condition::VersionIs(Timestamp::ZERO),
                };
                let ask = write(self.next_write, KEYS[at], change, condition);
                self.next_write += 1;
                let id = self.send(ask);
                self.writes.push(id);
            }
            Op::Again { back } => {
                let back = usize::try_from(back).unwrap();
                if let Some(at) = self.writes.len().checked_sub(back) {
                    let ask = self.sent[&self.writes[at]].clone();
                    let id = self.send(ask);
                    self.writes.push(id);
                }
            }
            Op::Read { key, back_us } => {
                let at = self.at(back_us);
                self.send(read(KEYS[key], at));
            }
            Op::Scan { prefix, back_us } => {
                let partition = key("{a}1").partition(rig::PARTITIONS);
                let at = self.at(back_us);
                self.send(scan(partition, prefix, at, 100));
            }
            Op::Commit { job: number, back_us, reads, scan, writes } => {
                let reads: Vec<&str> = reads.iter().map(|at| KEYS[*at]).collect();
                let scans: &[&str] = if scan { &["{a}"] } else { &[] };
                let writes = writes.into_iter().map(|(at, change)| (KEYS[at], change)).collect();
                let effects = effects(&reads, scans, writes);
                let ask = commit(job(number, rig::START_US), self.back(back_us), effects);
                self.send(ask);
            }
            Op::Sync => drop(self.rig.sync()),
            Op::Apply => drop(self.rig.apply()),
            Op::Advance(us) => self.rig.advance(us),
            Op::Crash => {
                self.crashed
                    .extend(self.sent.keys().filter(|id| !self.rig.answers.contains_key(id)));
                self.rig.restart();
            }
        }
        self.look();
    }

    /// What every reader has seen stays seen.
    fn look(&mut self) {
        for (id, tell) in &self.rig.answers {
            if let (Some((_, Ask::Write(write))), Tell::Written(Written::Done { version, .. })) =
                (self.sent.get(id), tell)
            {
                assert!(version.0 <= self.rig.now.wall_us, "told before its time");
                let seen = self.latest_seen.entry(write.mutation.key.clone()).or_default();
                *seen = (*seen).max(*version);
            }
        }
    }

    fn check(mut self) {
        self.rig.settle();
        self.look();
        for id in self.sent.keys() {
            assert!(
                self.rig.answers.contains_key(id) || self.crashed.contains(id),
                "{id} was never answered"
            );
        }
        let history = self.fold();
        self.check_reads(&history);
        self.check_same_answers();
        // What is forgotten does not come back in the same order.
        if self.rig.settings.retention_ms >= FOREVER_MS {
            self.check_replay();
        }
    }

    /// Goes through the log in order and checks every decision against all before it.
    fn fold(&self) -> History {
        let mut history = History::default();
        let mut decided: BTreeMap<_, (Key, Condition, Change)> = BTreeMap::new();
        for (_, ask) in self.sent.values() {
            if let Ask::Write(write) = ask {
                let asked = (
                    write.mutation.key.clone(),
                    write.condition.clone(),
                    write.mutation.change.clone(),
                );
                decided.insert(write.request, asked);
            }
        }
        let mut jobs = BTreeMap::new();
        for frame in &self.rig.log {
            let mut told_jobs = Vec::new();
            for record in frame.iter().filter_map(record) {
                match &record.decision {
                    Decision::Epoch | Decision::Ceiling(_) | Decision::Voters(_) => {}
                    Decision::Intent(_) | Decision::Resolve { .. } | Decision::Settled(_) => {
                        panic!("a node alone asks nobody: {record:?}")
                    }
                    Decision::Write { request, mutation, written } => {
                        let (key, condition, change) =
                            decided.remove(request).expect("a request is decided once");
                        let (version, value) = history.head(&key);
                        let holds = match &condition {
                            Condition::Always => true,
                            Condition::ValueIs(expected) => *expected == value,
                            Condition::VersionIs(expected) => {
                                *expected == version
                                    || (value.is_none() && *expected == Timestamp::ZERO)
                            }
                        };
                        // The version of what is long deleted may be forgotten, or not yet.
                        let either = value.is_none()
                            && matches!(condition, Condition::VersionIs(of) if of == version);
                        assert!(
                            either || holds == mutation.is_some(),
                            "{key} {value:?} {record:?}"
                        );
                        match mutation {
                            Some(mutation) => {
                                assert_eq!(mutation.change, change);
                                history.put(record.version, mutation);
                            }
                            None => {
                                let found = |version| Written::Differs { version, value: None };
                                let forgotten =
                                    value.is_none() && *written == found(Timestamp::ZERO);
                                assert!(forgotten || *written == found(version), "{record:?}");
                            }
                        }
                    }
                    Decision::Outcome { outcome, mutations, .. } => {
                        assert!(
                            jobs.insert(outcome.job, outcome.clone()).is_none(),
                            "two outcomes"
                        );
                        self.check_commit(&history, outcome.job, &outcome.end, record.version);
                        mutations.iter().for_each(|m| history.put(record.version, m));
                        told_jobs.push(record.version);
                    }
                    Decision::Effects { mutations } => {
                        assert!(told_jobs.contains(&record.version), "effects without outcome");
                        mutations.iter().for_each(|m| history.put(record.version, m));
                    }
                }
            }
        }
        history
    }

    /// A committed job had seen the newest of everything that it read.
    fn check_commit(
        &self,
        history: &History,
        job: catena_protocol::JobId,
        end: &End,
        at: Timestamp,
    ) {
        if !matches!(end, End::Committed(_)) {
            return;
        }
        let fits = self.sent.values().any(|(_, ask)| {
            let Ask::Commit(commit) = ask else { return false };
            let read = commit.effects.reads.iter();
            let replaced = commit.effects.writes.iter();
            let replaced = replaced.filter(|m| !matches!(m.change, Change::Add(_))).map(|m| &m.key);
            let scanned = history.0.keys().filter(|key| {
                commit.effects.scans.iter().any(|prefix| key.as_str().starts_with(prefix.as_str()))
            });
            commit.job == job
                && commit.snapshot < at
                && read
                    .chain(replaced)
                    .chain(scanned)
                    .all(|key| history.head(key).0 <= commit.snapshot)
        });
        assert!(fits, "{job} committed over a conflict");
    }

    fn check_reads(&self, history: &History) {
        for (id, tell) in &self.rig.answers {
            match (self.sent.get(id).map(|(_, ask)| ask), tell) {
                (Some(Ask::Read(read)), Tell::Record(record)) => match read.at {
                    At::Snapshot(at) => {
                        let (version, value) = history.at(&read.key, at);
                        let forgotten = value.is_none() && record.version == Timestamp::ZERO;
                        assert!(forgotten || record.version == version, "{read:?}");
                        assert_eq!(record.value, value, "{read:?}");
                    }
                    At::Latest | At::Strict => {
                        let found = history.at(&read.key, record.version);
                        assert_eq!(found, (record.version, record.value.clone()), "{read:?}");
                    }
                },
                (Some(Ask::Scan(scan)), Tell::Records { found, next: None }) => {
                    let At::Snapshot(at) = scan.at else { continue };
                    let partition = key("{a}1").partition(rig::PARTITIONS);
                    let expected: Vec<_> = history
                        .0
                        .keys()
                        .filter(|key| key.as_str().starts_with(&scan.prefix))
                        .filter(|key| key.partition(rig::PARTITIONS) == partition)
                        .filter_map(|key| {
                            let (version, value) = history.at(key, at);
                            value.map(|value| (key.clone(), version, value))
                        })
                        .collect();
                    let found: Vec<_> = found
                        .iter()
                        .map(|f| (f.key.clone(), f.record.version, f.record.value.clone().unwrap()))
                        .collect();
                    assert_eq!(found, expected, "{scan:?}");
                }
                _ => {}
            }
        }
    }

    /// A request that was sent again got the same answer again; so did a job.
    fn check_same_answers(&self) {
        let mut told: BTreeMap<_, &Tell> = BTreeMap::new();
        let mut ends: BTreeMap<_, &Tell> = BTreeMap::new();
        for (id, tell) in &self.rig.answers {
            match (self.sent.get(id).map(|(_, ask)| ask), tell) {
                (Some(Ask::Write(write)), Tell::Written(_)) => {
                    assert_eq!(*told.entry(write.request).or_insert(tell), tell, "{write:?}");
                }
                (Some(Ask::Commit(commit)), Tell::Decided(Decided::Outcome(_))) => {
                    assert_eq!(*ends.entry(commit.job).or_insert(tell), tell, "{commit:?}");
                }
                _ => {}
            }
        }
    }

    /// The log alone makes the same state.
    fn check_replay(self) {
        let state = self.rig.state.clone();
        let mut other = Rig::with(self.rig.settings.clone());
        other.state = Default::default();
        other.log.clone_from(&self.rig.log);
        other.now = self.rig.now;
        let length = other.log.len();
        other.restart();
        other.log.truncate(length);
        // The new epoch that begins is not part of the comparison.
        let mut again = self.rig;
        again.log.truncate(length);
        again.restart();
        // When the horizon was last told is not part of it either.
        let horizon = again.state.horizon().unwrap().max(other.state.horizon().unwrap());
        for state in [&mut again.state, &mut other.state] {
            let forget = Some(Forget { versions: horizon, ..Forget::default() });
            state.apply(&[Changes { forget, ..Changes::default() }]).unwrap();
        }
        assert_eq!(again.state, other.state);
        assert_eq!(again.state.versions(), state.versions());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_history_is_right(ops in vec(op(), 1..120)) {
        let mut run = Run::new(FOREVER_MS);
        for op in ops {
            run.step(op);
        }
        run.check();
    }

    #[test]
    fn every_history_is_right_while_the_past_is_forgotten(ops in vec(op(), 1..120)) {
        let mut run = Run::new(100);
        for op in ops {
            run.step(op);
        }
        run.check();
    }
}
