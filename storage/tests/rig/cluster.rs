//! Several nodes in one thread, with a network that delivers in order whatever it is not told to
//! lose. Syncs and messages happen when the test says so.

use super::{PARTITIONS, START_US, logged};
use catena_protocol::clock::Now;
use catena_protocol::message::gossip::{Digest, Item, Letter, Line, Push, Sender};
use catena_protocol::message::replicate::{Decision, LogEntry};
use catena_protocol::message::store::{Ask, Request, Tell};
use catena_protocol::placement::{Member, place};
use catena_protocol::{DiskId, NodeId};
use catena_storage::machine::{Effect, Entry, Event, Input, Node, Settings};
use catena_storage::state::{Changes, Mark, MemoryState, State, StateWriter};
use std::collections::{BTreeMap, VecDeque};

/// Time passes in steps of this.
const STEP_US: u64 = 10_000;
/// Whatever should happen happens within this.
const PATIENCE_US: u64 = 30_000_000;

/// Something on its way.
#[derive(Clone, Debug)]
pub enum Mail {
    Push(Push),
    Digest(Digest),
    Letter(Letter),
}

impl Mail {
    pub fn line(&self) -> Option<&Line> {
        match self {
            Self::Letter(letter) => letter.lines.first(),
            _ => None,
        }
    }
}

impl Mail {
    /// Takes in another message of the same kind. False: it is of another.
    fn join(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Push(push), Self::Push(other)) => push.runs.extend(other.runs.iter().cloned()),
            (Self::Letter(letter), Self::Letter(other)) => {
                letter.lines.extend(other.lines.iter().cloned());
            }
            _ => return false,
        }
        true
    }
}

fn bytes(entries: &[Entry]) -> usize {
    let length = |entry: &Entry| match entry {
        Entry::Record { bytes, .. } => bytes.0.len(),
        Entry::Vote(_) => 0,
    };
    entries.iter().map(length).sum()
}

/// One node with its disk.
pub struct Replica {
    pub settings: Settings,
    /// None: it is down.
    pub node: Option<Node<u64>>,
    pub state: MemoryState,
    /// What is durable of its log.
    pub log: Vec<LogEntry>,
    /// What it said last of itself.
    pub told: Option<Digest>,
    unsynced: VecDeque<(u64, Vec<LogEntry>)>,
    unapplied: VecDeque<(u64, Vec<Changes>)>,
    /// Nobody hears it and it hears nobody.
    pub cut: bool,
    /// Its disk takes its time.
    pub slow_disk: bool,
    /// Its state takes its time.
    pub slow_state: bool,
}

/// Picks messages from one node to another.
type Picks = Box<dyn Fn(usize, usize, &Mail) -> bool>;

pub struct Cluster {
    pub replicas: Vec<Replica>,
    pub now: Now,
    mail: VecDeque<(usize, usize, Mail)>,
    /// What never arrives.
    pub loses: Picks,
    /// What arrives with [`Cluster::arrive`].
    pub delays: Picks,
    /// What arrives at once, and with [`Cluster::arrive`] again.
    pub repeats: Picks,
    delayed: Vec<(usize, Mail)>,
    pub answers: BTreeMap<u64, Tell>,
    pub events: Vec<(usize, Event)>,
    /// Bytes of records in the largest frame of each node.
    pub largest_frames: [usize; 3],
    /// Messages with new records that each node has sent.
    pub pushes: [usize; 3],
    next: u64,
}

pub fn member(node: usize, disk: u8) -> Member {
    Member { node: NodeId::new(format!("n{node}")).unwrap(), disk: DiskId([disk; 16]) }
}

impl Cluster {
    /// Three nodes that have just been started.
    pub fn new() -> Self {
        Self::with(&Settings::default())
    }

    pub fn with(settings: &Settings) -> Self {
        let founders: Vec<Member> = (0..3).map(|node| member(node, 1)).collect();
        let replica = |node: usize| {
            let settings = Settings {
                me: founders[node].clone(),
                founders: founders.clone(),
                partitions: PARTITIONS,
                boot: 0,
                seed: node as u64,
                apply_bytes: 0,
                ..settings.clone()
            };
            Replica {
                settings,
                node: None,
                state: MemoryState::default(),
                log: Vec::new(),
                told: None,
                unsynced: VecDeque::new(),
                unapplied: VecDeque::new(),
                cut: false,
                slow_disk: false,
                slow_state: false,
            }
        };
        let mut cluster = Self {
            replicas: (0..3).map(replica).collect(),
            now: Now { wall_us: START_US, mono_us: 1_000_000 },
            mail: VecDeque::new(),
            loses: Box::new(|_, _, _| false),
            delays: Box::new(|_, _, _| false),
            repeats: Box::new(|_, _, _| false),
            delayed: Vec::new(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            largest_frames: [0; 3],
            pushes: [0; 3],
            next: 1,
        };
        (0..3).for_each(|node| cluster.start(node));
        cluster
    }

    /// The process dies: what its disk had not got is lost.
    pub fn kill(&mut self, node: usize) {
        let replica = &mut self.replicas[node];
        replica.node = None;
        replica.unsynced.clear();
        replica.unapplied.clear();
    }

    pub fn start(&mut self, node: usize) {
        let replica = &mut self.replicas[node];
        replica.settings.boot += 1;
        let mut restored = Node::new(replica.settings.clone(), &replica.state).unwrap();
        restored.restore(replica.log.clone(), &replica.state).unwrap();
        let mut out = Vec::new();
        restored.begin(self.now, &mut out).unwrap();
        replica.node = Some(restored);
        self.take(node, out);
    }

    /// It gets an empty disk.
    pub fn wipe(&mut self, node: usize, disk: u8) {
        self.kill(node);
        let replica = &mut self.replicas[node];
        replica.settings.me = member(node, disk);
        replica.state = MemoryState::default();
        replica.log.clear();
    }

    fn take(&mut self, from: usize, effects: Vec<Effect<u64>>) {
        for effect in effects {
            let replica = &mut self.replicas[from];
            match effect {
                Effect::Append { frame, entries } => {
                    let largest = &mut self.largest_frames[from];
                    *largest = bytes(&entries).max(*largest);
                    replica.unsynced.push_back((frame, logged(entries)));
                }
                Effect::Apply { batch, changes } => {
                    replica.unapplied.push_back((batch, changes));
                }
                Effect::Reply { to, response } => {
                    assert!(self.answers.insert(to, response.tell).is_none(), "answered twice");
                }
                Effect::Event(event) => self.events.push((from, event)),
                Effect::Gossip(digest) => {
                    replica.told = Some(digest.clone());
                    self.post(from, &[0, 1, 2], &Mail::Digest(digest));
                }
                Effect::Push { set, push } => {
                    self.pushes[from] += 1;
                    let nodes = &replica.node.as_ref().unwrap().sets()[set];
                    let to: Vec<usize> = nodes.iter().map(number).collect();
                    self.post(from, &to, &Mail::Push(push));
                }
                Effect::Send { to, line } => {
                    let Settings { me, boot, .. } = &replica.settings;
                    let sender = Sender { member: me.clone(), boot: *boot, beat: 0 };
                    let letter = Letter { from: sender, lines: vec![line] };
                    self.post(from, &[number(&to)], &Mail::Letter(letter));
                }
            }
        }
    }

    fn post(&mut self, from: usize, to: &[usize], mail: &Mail) {
        let others = to.iter().filter(|to| **to != from);
        self.mail.extend(others.map(|to| (from, *to, mail.clone())));
    }

    fn input(&mut self, node: usize, input: Input<u64>) {
        let replica = &mut self.replicas[node];
        let Some(running) = &mut replica.node else { return };
        let mut out = Vec::new();
        running.handle(self.now, input, &replica.state, &mut out).unwrap();
        self.take(node, out);
    }

    /// The oldest message arrives, or is lost. Returns whether there was one.
    pub fn deliver(&mut self) -> bool {
        let Some((from, to, mail)) = self.mail.pop_front() else { return false };
        let cut = self.replicas[from].cut || self.replicas[to].cut;
        if cut || (self.loses)(from, to, &mail) {
            return true;
        }
        if (self.repeats)(from, to, &mail) {
            self.delayed.push((to, mail.clone()));
        }
        if (self.delays)(from, to, &mail) {
            self.delayed.push((to, mail));
        } else {
            self.hand_in(to, mail);
        }
        true
    }

    /// What was delayed arrives, and nothing is delayed any more. Returns how much it was.
    pub fn arrive(&mut self) -> usize {
        self.delays = Box::new(|_, _, _| false);
        self.repeats = Box::new(|_, _, _| false);
        let delayed = std::mem::take(&mut self.delayed);
        let count = delayed.len();
        for (to, mail) in delayed {
            self.hand_in(to, mail);
        }
        count
    }

    /// What was delayed last arrives first.
    pub fn reverse_delayed(&mut self) {
        self.delayed.reverse();
    }

    fn hand_in(&mut self, to: usize, mail: Mail) {
        let input = match mail {
            Mail::Push(push) => Input::Push(push),
            Mail::Digest(digest) => Input::Digest(digest),
            Mail::Letter(letter) => Input::Letter(letter),
        };
        self.input(to, input);
    }

    /// Frames of a node that are on their way to its disk.
    pub fn frames(&self, node: usize) -> usize {
        self.replicas[node].unsynced.len()
    }

    /// The oldest frame of a node reaches its disk. Returns whether there was one.
    pub fn sync(&mut self, node: usize) -> bool {
        let replica = &mut self.replicas[node];
        let Some((frame, entries)) = replica.unsynced.pop_front() else { return false };
        replica.log.extend(entries);
        self.input(node, Input::Synced { frame });
        true
    }

    /// The oldest batch of a node reaches its state. Returns whether there was one.
    pub fn apply(&mut self, node: usize) -> bool {
        let replica = &mut self.replicas[node];
        let Some((batch, changes)) = replica.unapplied.pop_front() else { return false };
        replica.state.apply(&changes).unwrap();
        self.input(node, Input::Applied { batch });
        true
    }

    fn work(&mut self) -> bool {
        let mut worked = false;
        for node in 0..3 {
            worked |= !self.replicas[node].slow_disk && self.sync(node);
            worked |= !self.replicas[node].slow_state && self.apply(node);
        }
        worked
    }

    /// What is under way from one node to another arrives as one message of each kind.
    pub fn put_together(&mut self) {
        let mut together: Vec<(usize, usize, Mail)> = Vec::new();
        for (from, to, mail) in self.mail.drain(..) {
            let mut same = together.iter_mut().filter(|(a, b, _)| (*a, *b) == (from, to));
            let joined = same.any(|(.., first)| first.join(&mail));
            if !joined {
                together.push((from, to, mail));
            }
        }
        self.mail.extend(together);
    }

    /// Everything under way arrives.
    pub fn settle(&mut self) {
        while self.deliver() || self.work() {}
    }

    /// The next moment, with nothing delivered.
    pub fn tick(&mut self) {
        self.now.wall_us += STEP_US;
        self.now.mono_us += STEP_US;
        (0..3).for_each(|node| self.input(node, Input::Tick));
    }

    pub fn advance(&mut self, us: u64) {
        for _ in 0..us / STEP_US {
            self.tick();
            self.settle();
        }
    }

    /// Lets time pass until something is so.
    pub fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let end_us = self.now.mono_us + PATIENCE_US;
        while !so(self) {
            assert!(self.now.mono_us < end_us, "never: {what}; {:?}", self.events);
            self.advance(STEP_US);
        }
    }

    /// Goes on in the smallest steps until something is so.
    pub fn step_until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let end_us = self.now.mono_us + PATIENCE_US;
        while !so(self) {
            assert!(self.now.mono_us < end_us, "never: {what}; {:?}", self.events);
            if !self.deliver() && !self.work() {
                self.tick();
            }
        }
    }

    /// Who leads a partition and answers for it, as far as those are right who can be heard.
    pub fn primary(&self, partition: u16) -> Option<usize> {
        let heard = (0..3).filter(|node| !self.replicas[*node].cut);
        let leads: Vec<usize> = heard.filter(|node| self.leads(*node, partition)).collect();
        assert!(leads.len() < 2, "{leads:?} lead partition {partition}");
        leads.first().copied()
    }

    pub fn leads(&self, node: usize, partition: u16) -> bool {
        let running = self.replicas[node].node.as_ref();
        running.is_some_and(|running| running.led().any(|(led, _)| led == partition))
    }

    /// Waits until somebody leads a partition. Returns who, and the two others.
    pub fn elected(&mut self, partition: u16) -> (usize, [usize; 2]) {
        self.until("a primary", |cluster| cluster.primary(partition).is_some());
        let primary = self.primary(partition).unwrap();
        (primary, [(primary + 1) % 3, (primary + 2) % 3])
    }

    /// One in which each partition is led by who should lead it.
    pub fn led() -> Self {
        let mut cluster = Self::new();
        cluster.advance(6_000_000);
        (0..PARTITIONS).for_each(|number| {
            cluster.elected(number);
        });
        cluster
    }

    /// Who should lead a partition.
    pub fn preferred(partition: u16) -> usize {
        let nodes: Vec<NodeId> = (0..3).map(|node| member(node, 1).node).collect();
        number(&place(&nodes, PARTITIONS, 3)[usize::from(partition)][0])
    }

    pub fn send(&mut self, node: usize, ask: (u16, Ask)) -> u64 {
        self.send_all(node, vec![ask])[0]
    }

    /// Sends requests in one turn.
    pub fn send_all(&mut self, node: usize, asks: Vec<(u16, Ask)>) -> Vec<u64> {
        let first = self.next;
        self.next += asks.len() as u64;
        let requests = (first..).zip(asks);
        let requests =
            requests.map(|(id, (partition, ask))| (id, Request { id, partition, ask })).collect();
        self.input(node, Input::Requests(requests));
        (first..self.next).collect()
    }

    /// Sends a request to a node and waits for the answer.
    pub fn ask(&mut self, node: usize, ask: (u16, Ask)) -> Tell {
        let id = self.send(node, ask);
        self.settle();
        self.until("an answer", |cluster| cluster.answers.contains_key(&id));
        self.answers[&id].clone()
    }

    pub fn mark(&self, node: usize, partition: u16) -> Mark {
        self.replicas[node].state.mark(partition).unwrap()
    }

    /// All that a replica's state holds.
    pub fn held(&self, node: usize, partition: u16) -> Vec<Item> {
        self.replicas[node].state.export(partition, None, usize::MAX).unwrap().0
    }

    /// Whether two replicas have the same log and the same state.
    pub fn agree(&self, one: usize, other: usize, partition: u16) -> bool {
        let mark = |node| {
            let Mark { applied, hash, copying, .. } = self.mark(node, partition);
            (applied, hash, copying)
        };
        mark(one) == mark(other) && self.held(one, partition) == self.held(other, partition)
    }

    /// How a node's log changed the voters of a partition.
    pub fn voters(&self, node: usize, partition: u16) -> Vec<Vec<Member>> {
        let records = self.replicas[node].log.iter().filter_map(super::record);
        let changes = records.filter(|record| record.partition == partition);
        let voters = changes.filter_map(|record| match &record.decision {
            Decision::Voters(voters) => Some(voters.clone()),
            _ => None,
        });
        voters.collect()
    }
}

fn number(node: &NodeId) -> usize {
    node.as_str()[1..].parse().unwrap()
}
