//! The rules of a node with everything around them held in the hand: when a frame is durable,
//! when a batch is applied, what time it is, when the power fails.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test uses some of it"
)]

pub mod cluster;

use catena_protocol::chain::Isolation;
use catena_protocol::clock::Now;
use catena_protocol::codec::decode;
use catena_protocol::message::commit::{Commit, End};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::read::{At, Read, Scan};
use catena_protocol::message::replicate::{LogEntry, LogRecord};
use catena_protocol::message::store::{Ask, Request, Tell};
use catena_protocol::message::write::{Change, Condition, Mutation, Write, Written};
use catena_protocol::{AttemptId, JobId, Key, Name, RequestId, Timestamp};
use catena_storage::machine::{Effect, Entry, Event, Input, Node, Settings};
use catena_storage::state::{Changes, MemoryState, StateWriter};
use std::collections::{BTreeMap, VecDeque};

pub const PARTITIONS: u16 = 4;
/// Some day in 2026.
pub const START_US: u64 = 1_790_000_000_000_000;

pub struct Rig {
    pub settings: Settings,
    pub node: Node<u64>,
    pub state: MemoryState,
    pub now: Now,
    /// Durable frames.
    pub log: Vec<Vec<LogEntry>>,
    pub unsynced: VecDeque<(u64, Vec<LogEntry>)>,
    pub unapplied: VecDeque<(u64, Vec<Changes>)>,
    pub answers: BTreeMap<u64, Tell>,
    pub events: Vec<Event>,
    next: u64,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(Settings { partitions: PARTITIONS, ..Settings::default() })
    }

    /// What is committed goes to the state at once.
    pub fn with(settings: Settings) -> Self {
        let settings = Settings { apply_bytes: 0, ..settings };
        let state = MemoryState::default();
        let mut rig = Self {
            node: Node::new(settings.clone(), &state).unwrap(),
            settings,
            state,
            now: Now { wall_us: START_US, mono_us: 0 },
            log: Vec::new(),
            unsynced: VecDeque::new(),
            unapplied: VecDeque::new(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            next: 1,
        };
        rig.begin();
        rig.settle();
        rig
    }

    fn begin(&mut self) {
        let mut out = Vec::new();
        self.node.begin(self.now, &mut out).unwrap();
        self.take(out);
    }

    fn take(&mut self, effects: Vec<Effect<u64>>) {
        for effect in effects {
            match effect {
                Effect::Append { frame, entries } => {
                    self.unsynced.push_back((frame, logged(entries)));
                }
                Effect::Apply { batch, changes } => self.unapplied.push_back((batch, changes)),
                Effect::Reply { to, response } => {
                    assert_eq!(to, response.id);
                    assert!(self.answers.insert(to, response.tell).is_none(), "answered twice");
                }
                Effect::Event(event) => self.events.push(event),
                other @ (Effect::Gossip(_) | Effect::Push { .. } | Effect::Send { .. }) => {
                    panic!("a node alone talks to nobody: {other:?}")
                }
            }
        }
    }

    pub fn input(&mut self, input: Input<u64>) {
        let mut out = Vec::new();
        self.node.handle(self.now, input, &self.state, &mut out).unwrap();
        self.take(out);
    }

    /// Sends requests in one turn.
    pub fn send_all(&mut self, asks: Vec<(u16, Ask)>) -> Vec<u64> {
        let first = self.next;
        self.next += asks.len() as u64;
        let requests = (first..).zip(asks);
        self.input(Input::Requests(
            requests.map(|(id, (partition, ask))| (id, Request { id, partition, ask })).collect(),
        ));
        (first..self.next).collect()
    }

    pub fn send(&mut self, (partition, ask): (u16, Ask)) -> u64 {
        self.send_all(vec![(partition, ask)])[0]
    }

    /// Sends a request, lets everything settle and returns the answer.
    pub fn ask(&mut self, ask: (u16, Ask)) -> Tell {
        let id = self.send(ask);
        self.settle();
        self.answers[&id].clone()
    }

    /// The oldest frame reaches the disk. Returns whether there was one.
    pub fn sync(&mut self) -> bool {
        let Some((frame, entries)) = self.unsynced.pop_front() else { return false };
        self.log.push(entries);
        self.input(Input::Synced { frame });
        true
    }

    /// The oldest batch reaches the state. Returns whether there was one.
    pub fn apply(&mut self) -> bool {
        let Some((batch, changes)) = self.unapplied.pop_front() else { return false };
        self.state.apply(&changes).unwrap();
        self.input(Input::Applied { batch });
        true
    }

    pub fn advance(&mut self, us: u64) {
        self.now.wall_us += us;
        self.now.mono_us += us;
        self.input(Input::Tick);
    }

    /// A turn that the node asks for at once. Returns whether it did.
    fn goes_on(&mut self) -> bool {
        let at_once = self.node.next_deadline().is_some_and(|at| at <= self.now.mono_us);
        if at_once {
            self.input(Input::Tick);
        }
        at_once
    }

    /// Everything under way comes to its end, and the wall clock passes every version.
    pub fn settle(&mut self) {
        while self.sync() || self.apply() || self.goes_on() {}
        // Of those that stand in line each gets its turn.
        for _ in 0..100 {
            if self.node.held() == 0 {
                break;
            }
            self.advance(2_000_000);
            while self.sync() || self.apply() || self.goes_on() {}
        }
        assert_eq!(self.node.held(), 0, "somebody is not answered");
        assert_eq!(self.node.pending_bytes(), 0, "something is not applied");
    }

    /// The process dies and starts again. What was not synced is lost; what was not applied is
    /// replayed.
    pub fn restart(&mut self) {
        self.unsynced.clear();
        self.unapplied.clear();
        self.node = Node::new(self.settings.clone(), &self.state).unwrap();
        for entries in self.log.clone() {
            self.node.restore(entries, &self.state).unwrap();
        }
        self.begin();
        while self.sync() || self.apply() {}
    }

    pub fn records(&self) -> impl Iterator<Item = &LogRecord> {
        self.log.iter().flatten().filter_map(record)
    }
}

/// Entries as they stand in the log.
pub fn logged(entries: Vec<Entry>) -> Vec<LogEntry> {
    let logged = |entry| match entry {
        Entry::Record { bytes, .. } => LogEntry::Record(decode(&bytes.0).unwrap()),
        Entry::Vote(vote) => LogEntry::Vote(vote),
    };
    entries.into_iter().map(logged).collect()
}

/// The record in an entry, if it is one.
pub fn record(entry: &LogEntry) -> Option<&LogRecord> {
    match entry {
        LogEntry::Record(record) => Some(record),
        LogEntry::Vote(_) => None,
    }
}

pub fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub fn request(number: u64) -> RequestId {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    RequestId(id)
}

pub fn write(number: u64, name: &str, change: Change, condition: Condition) -> (u16, Ask) {
    let key = key(name);
    let partition = key.partition(PARTITIONS);
    let mutation = Mutation { key, change };
    (partition, Ask::Write(Write { request: request(number), mutation, condition }))
}

pub fn put(number: u64, name: &str, value: &str) -> (u16, Ask) {
    write(number, name, Change::Put(value.into()), Condition::Always)
}

pub fn read(name: &str, at: At) -> (u16, Ask) {
    let key = key(name);
    (key.partition(PARTITIONS), Ask::Read(Read { key, at }))
}

pub fn scan(partition: u16, prefix: &str, at: At, limit: u32) -> (u16, Ask) {
    (partition, Ask::Scan(Scan { prefix: prefix.to_owned(), at, after: None, limit }))
}

/// A job submitted at some time.
pub fn job(number: u64, wall_us: u64) -> JobId {
    JobId::random((number % 7) as u16, wall_us, number.to_be_bytes())
}

pub fn commit(job: JobId, snapshot: Timestamp, effects: Effects) -> (u16, Ask) {
    let commit = Commit {
        job,
        attempt: AttemptId([1; 16]),
        chain: Name::new("test").unwrap(),
        snapshot,
        isolation: Isolation::Serializable,
        effects,
        end: End::Committed("done".into()),
        keep_ms: 0,
        explain: false,
    };
    (job.home() % PARTITIONS, Ask::Commit(commit))
}

/// The same with a change.
pub fn but(ask: (u16, Ask), change: impl FnOnce(&mut Commit)) -> (u16, Ask) {
    let (partition, Ask::Commit(mut commit)) = ask else { panic!("not a commit") };
    change(&mut commit);
    (partition, Ask::Commit(commit))
}

pub fn effects(reads: &[&str], scans: &[&str], writes: Vec<(&str, Change)>) -> Effects {
    Effects {
        reads: reads.iter().map(|name| key(name)).collect(),
        scans: scans.iter().map(|name| key(name)).collect(),
        writes: writes
            .into_iter()
            .map(|(name, change)| Mutation { key: key(name), change })
            .collect(),
    }
}

pub fn version(tell: &Tell) -> Timestamp {
    match tell {
        Tell::Written(Written::Done { version, .. }) => *version,
        other => panic!("not written: {other:?}"),
    }
}
