//! A node starts: what the log has and the state has not is taken in, then it takes part.
//!
//! What is in its log need not be committed; it is once a primary says so. A node that decides
//! alone leads at once.

use super::append::Frames;
use super::apply::{Applying, Gathered};
use super::lead::Beats;
use super::partition::Partition;
use super::retention::Retention;
use super::role::Role;
use super::voters::Voters;
use super::{Bug, Effect, Event, Node, Settings};
use crate::state::{Content, NotAnInteger, State, StateError};
use catena_protocol::chance::Chance;
use catena_protocol::clock::{HybridClock, Now};
use catena_protocol::codec::encode;
use catena_protocol::message::replicate::{Decision, LogEntry, LogRecord, Vote};
use catena_protocol::message::write::{Change, Mutation};
use catena_protocol::placement::place;
use catena_protocol::{Key, NodeId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Log and state do not fit together. Nothing may be served from them.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The log names a partition that there is not.
    #[error("the log has a record of partition {partition}, but there are only {partitions}")]
    Partition {
        /// Which.
        partition: u16,
        /// How many there are.
        partitions: u16,
    },
    /// A record is missing.
    #[error(
        "the log of partition {partition} goes on at record {found} where {expected} is expected: records that were acknowledged are missing"
    )]
    Gap {
        /// Which.
        partition: u16,
        /// What should come.
        expected: u64,
        /// What comes.
        found: u64,
    },
    /// The state has what the log has lost.
    #[error(
        "the log of partition {partition} ends at record {last}, but the state already contains record {applied}: the log lost records that were acknowledged"
    )]
    LogTooShort {
        /// Which.
        partition: u16,
        /// Where the log ends.
        last: u64,
        /// What the state contains.
        applied: u64,
    },
    /// A record cannot be applied.
    #[error("record {index} of partition {partition} cannot be applied: {reason}")]
    Impossible {
        /// Which partition.
        partition: u16,
        /// Which record.
        index: u64,
        /// Why.
        reason: NotAnInteger,
    },
}

impl<C> Node<C> {
    /// A node whose state is `state`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn new<S: State>(settings: Settings, state: &S) -> Result<Self, StateError> {
        let settings = Settings { partitions: settings.partitions.max(1), ..settings };
        let ids: Vec<NodeId> = settings.founders.iter().map(|member| member.node.clone()).collect();
        let places = place(&ids, settings.partitions, settings.replicas.max(1));
        let sets = sets_with(&settings.me.node, &places);
        let mut partitions = Vec::with_capacity(usize::from(settings.partitions));
        let mut latest = Timestamp::ZERO;
        for (number, places) in (0..settings.partitions).zip(places) {
            let mark = state.mark(number)?;
            latest = latest.max(mark.newest).max(mark.ceiling);
            let set = sets.iter().position(|set| *set == sorted(&places)).unwrap_or(usize::MAX);
            let founders = settings.founders.iter().filter(|m| places.contains(&m.node));
            let voters = Voters::new(founders.cloned().collect(), mark.voters.clone());
            let mut partition = Partition::new(number, places, set, voters, mark);
            if !settings.has(Bug::ForgetIntents) {
                partition.load_txns(state)?;
            }
            partitions.push(partition);
        }
        let me = &settings.me;
        let hosts = |p: &Partition<C>| p.places.contains(&me.node) || p.voters.now().contains(me);
        let hosted = partitions.iter().filter(|partition| hosts(partition)).count();
        Ok(Self {
            clock: HybridClock::starting_at(latest),
            now: Now::default(),
            chance: Chance::new(settings.seed),
            settings,
            encoded: Vec::new(),
            horizon: state.horizon()?,
            partitions,
            hosted,
            sets,
            others: BTreeMap::new(),
            frames: Frames::new(),
            beats: Beats::default(),
            beat_us: 0,
            beat_soon: false,
            committed: BTreeSet::new(),
            gathered: Gathered::default(),
            applying: Applying::default(),
            early: BTreeMap::new(),
            held: 0,
            pending_bytes: 0,
            retention: Retention::new(),
            deadline_us: None,
            sure: false,
            resumed: None,
            leaders: BTreeMap::new(),
            outgoing: VecDeque::new(),
            unblocked: VecDeque::new(),
            spreading: VecDeque::new(),
            next_txn: 0,
            tend_us: u64::MAX,
            retiring: false,
        })
    }

    /// Takes in what the log has, in order.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore<S: State>(
        &mut self,
        entries: Vec<LogEntry>,
        state: &S,
    ) -> Result<(), RestoreError> {
        for entry in entries {
            match entry {
                LogEntry::Record(record) => self.restore_record(record, state)?,
                LogEntry::Vote(vote) => self.restore_vote(vote)?,
            }
        }
        // Nothing of this has to be written again.
        self.frames = Frames::new();
        Ok(())
    }

    fn restore_vote(&mut self, vote: Vote) -> Result<(), RestoreError> {
        let Vote { partition: number, epoch, candidate } = vote;
        let partitions = self.settings.partitions;
        let Some(partition) = self.partitions.get_mut(usize::from(number)) else {
            return Err(RestoreError::Partition { partition: number, partitions });
        };
        if epoch >= partition.epoch {
            partition.epoch = epoch;
            partition.voted = Some(candidate);
        }
        Ok(())
    }

    fn restore_record<S: State>(
        &mut self,
        record: LogRecord,
        state: &S,
    ) -> Result<(), RestoreError> {
        let (number, index) = (record.partition, record.index);
        let partitions = self.settings.partitions;
        let keeps_suffix = self.has(Bug::StaleSuffix);
        let Some(partition) = self.partitions.get_mut(usize::from(number)) else {
            return Err(RestoreError::Partition { partition: number, partitions });
        };
        partition.logged = index;
        partition.ahead = partition.ahead.max(index);
        if record.epoch > partition.epoch {
            partition.epoch = record.epoch;
            partition.voted = None;
        }
        if partition.copying.is_some() {
            return Ok(());
        }
        let applied = partition.mark.applied.index;
        if index <= applied && keeps_suffix {
            return Ok(());
        }
        // Another primary decided otherwise from here on. The state may contain that already: what
        // stood behind it is cut off all the same.
        self.cut_behind(number, (index - 1).max(applied));
        let last = self.partitions[usize::from(number)].tail.last();
        // Epochs never fall along a log: this was cut off when a copy was taken over, or by
        // records that the state contains.
        let partition = &mut self.partitions[usize::from(number)];
        let stale = partition.stale.replace(index);
        if index <= applied || (record.epoch < last.epoch && !keeps_suffix) {
            return Ok(());
        }
        if index > last.index + 1 && stale == Some(index - 1) {
            // It stood behind what was passed over; what took its place comes later.
            return Ok(());
        }
        partition.stale = None;
        if index > last.index + 1 {
            let expected = last.index + 1;
            return Err(RestoreError::Gap { partition: number, expected, found: index });
        }
        self.adopt(&record, &encode(&record), state)?
            .map_err(|reason| RestoreError::Impossible { partition: number, index, reason })?;
        self.partitions[usize::from(number)].synced = index;
        Ok(())
    }

    /// Nothing that was found behind `index` so far counts.
    fn cut_behind(&mut self, number: u16, index: u64) {
        let partition = &mut self.partitions[usize::from(number)];
        partition.tail.truncate(index);
        partition.synced = partition.synced.min(index);
        partition.voters.truncate(index);
        partition.truncate_txns(index);
        let freed = partition.pending.truncate(index);
        self.pending_bytes = self.pending_bytes.saturating_sub(freed);
    }

    /// Puts a record that somebody else decided behind the last one.
    pub(super) fn adopt<S: State>(
        &mut self,
        record: &LogRecord,
        encoded: &[u8],
        state: &S,
    ) -> Result<Result<(), NotAnInteger>, StateError> {
        let partition = &self.partitions[usize::from(record.partition)];
        let rows = match rows(partition, record, state)? {
            Ok(rows) => rows,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Decision::Resolve { txn, committed: true } = &record.decision
            && partition.intents.get(*txn).is_none()
        {
            self.partitions[usize::from(record.partition)].patched = record.index;
        }
        self.keep(record, encoded, rows);
        Ok(Ok(()))
    }

    /// Everything is restored: the node takes part.
    ///
    /// # Errors
    /// [`RestoreError::LogTooShort`].
    pub fn begin(&mut self, now: Now, out: &mut Vec<Effect<C>>) -> Result<(), RestoreError> {
        for partition in &self.partitions {
            let (last, applied) = (partition.logged, partition.mark.applied.index);
            if last != 0 && last < applied && partition.copying.is_none() && !partition.is_copied()
            {
                return Err(RestoreError::LogTooShort {
                    partition: partition.number,
                    last,
                    applied,
                });
            }
        }
        self.now = now;
        let me = self.settings.me.clone();
        for number in 0..self.settings.partitions {
            let partition = &mut self.partitions[usize::from(number)];
            let votes = partition.voters.now().contains(&me);
            if !votes && !partition.places.contains(&me.node) {
                continue;
            }
            partition.heard_us = now.mono_us;
            let epoch = partition.epoch;
            if let Some(why) = partition.mark.halted.clone() {
                partition.role = Role::Halted(why.clone());
                out.push(Effect::Event(Event::Halts { partition: number, why }));
                continue;
            }
            if partition.voters.now() == [me.clone()] {
                partition.epoch += 1;
                partition.voted = Some(me.clone());
                self.lead(now, number, out);
            } else {
                self.follow(now, number, epoch, None, out);
            }
        }
        self.close_frame(now, out);
        self.beat_us = now.mono_us;
        self.retention.begin(now);
        self.set_deadline(now);
        Ok(())
    }
}

/// What the writes of a record make of their keys.
fn rows<C, S: State>(
    partition: &Partition<C>,
    record: &LogRecord,
    state: &S,
) -> Result<Result<Vec<(Key, Content)>, NotAnInteger>, StateError> {
    let mut rows = Vec::new();
    for Mutation { key, change } in mutations(partition, &record.decision) {
        let head = match change {
            Change::Add(_) => {
                match already(partition, key, record, state)? {
                    Already::There(found) => {
                        rows.push((key.clone(), found));
                        continue;
                    }
                    Already::Forgotten => continue,
                    Already::No => {}
                }
                partition.newest(partition.pending.head(key), key, before(record.version), state)?
            }
            Change::Put(_) | Change::Delete => None,
        };
        match Content::after(change, head.as_ref().map(|stored| &stored.content)) {
            Ok(content) => rows.push((key.clone(), content)),
            // The primary could add it: what it was added to is forgotten, with a deletion.
            Err(_) if record.index <= partition.ahead => {}
            Err(reason) => return Ok(Err(reason)),
        }
    }
    Ok(Ok(rows))
}

/// What the state has of a record already.
enum Already {
    No,
    There(Content),
    /// It had it, and something newer since.
    Forgotten,
}

/// The state may hold more than what it is known to have got to, after a copy, or after a crash.
/// What that was built upon may be forgotten by now. If a deletion was forgotten with it, nothing
/// tells: the sum comes out wrong until that deletion is taken in again, and as the deletion is not
/// behind the horizon, nobody can read it.
fn already<C, S: State>(
    partition: &Partition<C>,
    key: &Key,
    record: &LogRecord,
    state: &S,
) -> Result<Already, StateError> {
    if record.index > partition.ahead {
        return Ok(Already::No);
    }
    let version = record.version;
    match state.newest(partition.number, key, version)? {
        Some(stored) if stored.version == version => return Ok(Already::There(stored.content)),
        _ => {}
    }
    let newest = state.newest(partition.number, key, Timestamp::MAX)?;
    let is_behind = newest.is_some_and(|stored| stored.version > version);
    Ok(if is_behind { Already::Forgotten } else { Already::No })
}

const fn before(version: Timestamp) -> Timestamp {
    Timestamp(version.0.saturating_sub(1))
}

fn mutations<'a, C>(partition: &'a Partition<C>, decision: &'a Decision) -> &'a [Mutation] {
    match decision {
        // Without its intent, what it wrote is in the state already: a copy was taken over.
        Decision::Resolve { txn, committed: true } => {
            partition.intents.get(*txn).map_or(&[], |(_, intent)| &intent.mutations)
        }
        Decision::Write { mutation, .. } => mutation.as_slice(),
        Decision::Outcome { mutations, .. } | Decision::Effects { mutations } => mutations,
        Decision::Epoch
        | Decision::Ceiling(_)
        | Decision::Voters(_)
        | Decision::Intent(_)
        | Decision::Resolve { .. }
        | Decision::Settled(_) => &[],
    }
}

fn sorted(nodes: &[NodeId]) -> Vec<NodeId> {
    let mut nodes = nodes.to_vec();
    nodes.sort();
    nodes
}

/// The different sets of replicas that a node is in.
fn sets_with(node: &NodeId, places: &[Vec<NodeId>]) -> Vec<Vec<NodeId>> {
    let with = places.iter().filter(|places| places.contains(node));
    let sets: BTreeSet<Vec<NodeId>> = with.map(|places| sorted(places)).collect();
    sets.into_iter().collect()
}
