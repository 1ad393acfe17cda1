//! A storage node on its disk: the real rules, and what of their effects stays on this machine.

use crate::fingerprint::{MONOTONIC_US, relative};
use crate::message::Message;
use catena_protocol::clock::Now;
use catena_protocol::codec::{decode, encode};
use catena_protocol::message::gossip::{Digest, Letter, Line, Part, Sender, Standing};
use catena_protocol::message::replicate::{LogEntry, LogRecord, Position, Vote};
use catena_protocol::message::store::Response;
use catena_protocol::placement::{Member, place};
use catena_protocol::{DiskId, NodeId};
use catena_storage::machine::{Bug, Effect, Entry, Input, Node, Settings};
use catena_storage::state::{MemoryState, StateWriter};
use std::collections::{BTreeMap, VecDeque};
use xxhash_rust::xxh3::xxh3_64;

/// How many there are where all have a replica of one partition.
pub(crate) const HOSTS: usize = 3;

/// Who keeps what. Each host has one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One partition, three replicas.
    Replicas,
    /// Two partitions, each on a node of its own.
    Partitions,
}

impl Shape {
    const fn partitions(self) -> u16 {
        match self {
            Self::Replicas => 1,
            Self::Partitions => 2,
        }
    }

    /// The nodes; of partitions the first where the first one is kept.
    #[allow(clippy::expect_used, reason = "names made here")]
    fn members(self) -> Vec<Member> {
        let member = |number: u8| Member {
            node: NodeId::new(format!("s{number}")).expect("a valid id"),
            disk: DiskId([number; 16]),
        };
        match self {
            Self::Replicas => (0..3).map(member).collect(),
            Self::Partitions => {
                let mut members: Vec<Member> = (0..2).map(member).collect();
                let ids: Vec<NodeId> = members.iter().map(|member| member.node.clone()).collect();
                let places = place(&ids, self.partitions(), 1);
                members.sort_by_key(|member| places[0] != [member.node.clone()]);
                members
            }
        }
    }
}

/// Wall clocks stand here when requests come. Standing clocks are the worst for versions, which
/// must grow without them.
pub(crate) const WALL_US: u64 = 1 << 40;
/// And here otherwise, so that answers do not have to wait for their version.
const LATER_US: u64 = WALL_US + 1_000_000;

/// A storage node.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    me: usize,
    shape: Shape,
    bug: Option<Bug>,
    node: Node<u64>,
    state: MemoryState,
    boot: u64,
    mono_us: u64,
    /// Durable.
    log: Vec<LogEntry>,
    /// On its way to the disk.
    writing: VecDeque<(u64, Vec<LogEntry>)>,
    /// The last vote that is durable.
    vote: Option<Vote>,
    pub(crate) seen: Seen,
    pub(crate) fingerprint: u64,
}

/// What can be seen of a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) leads: bool,
    pub(crate) serves: bool,
    pub(crate) epoch: u64,
    pub(crate) commit: u64,
    pub(crate) halted: Option<String>,
    pub(crate) log: Vec<(Position, u64)>,
    /// The records that are durable: epoch and hash of each.
    pub(crate) durable: Vec<(u64, u64)>,
    /// The highest epoch that it would know after a loss of power.
    pub(crate) durable_epoch: u64,
    pub(crate) is_writing: bool,
}

/// What one turn gave out.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) messages: Vec<Message>,
    pub(crate) replies: Vec<(u64, Response)>,
    /// Records on their way to the disk.
    pub(crate) records: Vec<LogRecord>,
}

impl Turn {
    /// Whether nobody else notices anything.
    pub(crate) fn is_silent(&self) -> bool {
        self.messages.is_empty() && self.replies.is_empty() && self.records.is_empty()
    }

    /// Whether a vote is refused.
    pub(crate) fn refuses(&self) -> bool {
        self.messages.iter().any(Message::refuses)
    }
}

fn settings(me: usize, shape: Shape, boot: u64, bug: Option<Bug>) -> Settings {
    let founders = shape.members();
    Settings {
        me: founders[me].clone(),
        boot,
        seed: 0,
        founders,
        partitions: shape.partitions(),
        replicas: if shape == Shape::Replicas { HOSTS } else { 1 },
        // Nothing is forgotten.
        retention_ms: u64::MAX / 1_000,
        request_memory_ms: u64::MAX / 1_000,
        apply_bytes: 0,
        bug,
        ..Settings::default()
    }
}

impl Host {
    pub(crate) fn founded(me: usize, shape: Shape, bug: Option<Bug>) -> Result<Self, String> {
        let state = MemoryState::default();
        let node =
            Node::new(settings(me, shape, 0, bug), &state).map_err(|error| error.to_string())?;
        let mut host = Self {
            me,
            shape,
            bug,
            node,
            state,
            boot: 0,
            mono_us: MONOTONIC_US,
            log: Vec::new(),
            writing: VecDeque::new(),
            vote: None,
            seen: Seen::default(),
            fingerprint: 0,
        };
        host.crash()?;
        Ok(host)
    }

    /// Power is lost and comes back: what is not durable is gone, of the state all.
    pub(crate) fn crash(&mut self) -> Result<Turn, String> {
        self.boot += 1;
        self.writing.clear();
        self.state = MemoryState::default();
        let settings = settings(self.me, self.shape, self.boot, self.bug);
        let started = Node::new(settings, &self.state).map_err(|error| error.to_string());
        self.node = started?;
        let restored = self.node.restore(self.log.clone(), &self.state);
        restored.map_err(|error| error.to_string())?;
        let mut effects = Vec::new();
        self.node.begin(self.now(LATER_US), &mut effects).map_err(|error| error.to_string())?;
        let mut turn = Turn::default();
        self.carry_out(effects, &mut turn)?;
        self.look();
        Ok(turn)
    }

    /// Everything that was appended is durable.
    pub(crate) fn sync_all(&mut self, turn: &mut Turn) -> Result<(), String> {
        while let Some(more) = self.sync()? {
            turn.messages.extend(more.messages);
            turn.replies.extend(more.replies);
            turn.records.extend(more.records);
        }
        Ok(())
    }

    /// The oldest frame is durable.
    pub(crate) fn sync(&mut self) -> Result<Option<Turn>, String> {
        let Some((frame, entries)) = self.writing.pop_front() else { return Ok(None) };
        for entry in &entries {
            self.keep(entry);
        }
        self.log.extend(entries);
        self.turn(Input::Synced { frame }, 0).map(Some)
    }

    fn keep(&mut self, entry: &LogEntry) {
        let epoch = match entry {
            LogEntry::Vote(vote) => {
                self.vote = Some(vote.clone());
                vote.epoch
            }
            LogEntry::Record(record) => {
                let before = usize::try_from(record.index - 1).unwrap_or(usize::MAX);
                self.seen.durable.truncate(before);
                self.seen.durable.push((record.epoch, xxh3_64(&encode(record))));
                record.epoch
            }
        };
        self.seen.durable_epoch = self.seen.durable_epoch.max(epoch);
    }

    /// What is durable. Where nobody else has a replica nothing of it is ever cut off.
    pub(crate) fn durable(&self) -> impl Iterator<Item = &LogRecord> {
        self.log.iter().filter_map(|entry| match entry {
            LogEntry::Record(record) => Some(record),
            LogEntry::Vote(_) => None,
        })
    }

    /// Transactions that have not ended.
    pub(crate) fn open_txns(&self) -> usize {
        self.node.views().map(|view| view.open_txns).sum()
    }

    /// Where its replica stands, as others are told.
    pub(crate) fn digest(&self) -> Input<u64> {
        let replicas = self.node.views().map(|view| Standing {
            partition: view.partition,
            epoch: view.epoch,
            part: view.part,
            last: view.last,
            commit: view.commit,
            closed: view.closed,
            hash: view.hash.unwrap_or_default(),
        });
        Input::Digest(Digest { from: self.sender(), replicas: replicas.collect() })
    }

    /// Answers that wait for their version alone are given: the wall clock is far ahead.
    pub(crate) fn turn_at_last(&mut self, input: Input<u64>) -> Result<Turn, String> {
        let mut turn = Turn::default();
        self.handle(input, LATER_US + LATER_US - WALL_US, &mut turn)?;
        self.look();
        Ok(turn)
    }

    /// One input, so much later than the last one.
    pub(crate) fn turn(&mut self, input: Input<u64>, later_us: u64) -> Result<Turn, String> {
        self.mono_us += later_us;
        let asked = matches!(input, Input::Requests(_));
        let mut turn = Turn::default();
        self.handle(input, if asked { WALL_US } else { LATER_US }, &mut turn)?;
        self.look();
        Ok(turn)
    }

    /// A node that leads hands over and takes nothing over any more.
    pub(crate) fn retire(&mut self) -> Result<Turn, String> {
        let mut effects = Vec::new();
        self.node.retire(self.now(LATER_US), &mut effects);
        let mut turn = Turn::default();
        self.carry_out(effects, &mut turn)?;
        self.look();
        Ok(turn)
    }

    const fn now(&self, wall_us: u64) -> Now {
        Now { wall_us, mono_us: self.mono_us }
    }

    fn handle(&mut self, input: Input<u64>, wall_us: u64, turn: &mut Turn) -> Result<(), String> {
        let mut effects = Vec::new();
        let handled = self.node.handle(self.now(wall_us), input, &self.state, &mut effects);
        handled.map_err(|error| error.to_string())?;
        self.carry_out(effects, turn)
    }

    fn carry_out(&mut self, effects: Vec<Effect<u64>>, turn: &mut Turn) -> Result<(), String> {
        let mut lines: BTreeMap<NodeId, Vec<Line>> = BTreeMap::new();
        let mut applied = None;
        for effect in effects {
            match effect {
                Effect::Append { frame, entries } => self.append(frame, entries, turn)?,
                Effect::Apply { batch, changes } => {
                    self.state.apply(&changes).map_err(|error| error.to_string())?;
                    applied = Some(batch);
                }
                Effect::Reply { to, response } => turn.replies.push((to, response)),
                Effect::Gossip(digest) => {
                    // Others look only at what primaries say.
                    if digest.replicas.iter().any(|replica| replica.part == Part::Primary) {
                        self.send_all(Input::Digest(digest), turn);
                    }
                }
                Effect::Push { push, .. } => self.send_all(Input::Push(push), turn),
                Effect::Send { to, line } => lines.entry(to).or_default().push(line),
                Effect::Event(_) => {}
            }
        }
        for (to, lines) in lines {
            let from = self.sender();
            let to = self.shape.members().iter().position(|member| member.node == to);
            let letter = Input::Letter(Letter { from, lines });
            turn.messages.extend(to.map(|to| Message::new(to, letter)));
        }
        match applied {
            Some(batch) => self.handle(Input::Applied { batch }, LATER_US, turn),
            None => Ok(()),
        }
    }

    fn append(&mut self, frame: u64, entries: Vec<Entry>, turn: &mut Turn) -> Result<(), String> {
        let mut written = Vec::new();
        for entry in entries {
            written.push(match entry {
                Entry::Vote(vote) => LogEntry::Vote(vote),
                Entry::Record { bytes, .. } => {
                    let record: LogRecord = decode(&bytes.0).map_err(|error| error.to_string())?;
                    turn.records.push(record.clone());
                    LogEntry::Record(record)
                }
            });
        }
        self.writing.push_back((frame, written));
        Ok(())
    }

    fn sender(&self) -> Sender {
        let member = self.shape.members().swap_remove(self.me);
        Sender { member, boot: self.boot, beat: 0 }
    }

    /// Tells all that have a replica of the same. Who keeps its partition alone need not be told
    /// where it stands.
    fn send_all(&self, input: Input<u64>, turn: &mut Turn) {
        let others = (0..HOSTS).filter(|other| *other != self.me && self.shape == Shape::Replicas);
        turn.messages.extend(others.map(|other| Message::new(other, input.clone())));
    }

    fn look(&mut self) {
        let Some(view) = self.node.views().next() else { return };
        let Seen { durable, durable_epoch, .. } = std::mem::take(&mut self.seen);
        self.seen = Seen {
            leads: view.part == Part::Primary,
            serves: view.serves,
            epoch: view.epoch,
            commit: view.commit,
            halted: self.node.halted(0).map(str::to_owned),
            log: self.node.log(0).collect(),
            durable,
            durable_epoch,
            is_writing: !self.writing.is_empty(),
        };
        // All that a start finds: the records, and the vote of the highest epoch.
        let disk = (&self.seen.durable, &self.vote, &self.writing);
        self.fingerprint = relative(self.mono_us, |mut out| {
            self.node.fingerprint(&mut out)?;
            write!(out, "{disk:?}")
        });
    }
}
