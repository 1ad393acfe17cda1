//! Records on their way into the log.
//!
//! What is appended gathers in the open frame. One frame at a time is on its way to the disk; the
//! next is closed when that one is durable, so that one sync, and one message to each replica
//! set, carry everything that came in between, of all partitions.

use super::packed;
use super::pending::{Draft, TxnStep};
use super::role::Role;
use super::{Bug, Effect, Entry, Node};
use crate::state::{Content, Update};
use bytes::Bytes;
use catena_protocol::clock::Now;
use catena_protocol::codec::{self, Raw};
use catena_protocol::message::gossip::{Line, Push, Run};
use catena_protocol::message::replicate::{Decision, LogRecord, Vote};
use catena_protocol::message::write::Mutation;
use catena_protocol::{Key, NodeId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// A frame is closed when it holds so many bytes, whatever else is on its way.
const FRAME_BYTES: usize = 1024 * 1024;
/// A frame is closed when it holds so many records.
const FRAME_RECORDS: usize = 4_096;
/// What a record takes besides its keys and values, roughly.
const RECORD_BYTES: usize = 96;

/// Frames that are not durable yet.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    /// Handed out, oldest first.
    pub(super) sent: VecDeque<Frame>,
    /// Being filled.
    pub(super) open: Frame,
    entries: Vec<Entry>,
    bytes: usize,
}

/// One frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    pub(super) number: u64,
    /// What it brings to each partition.
    pub(super) touched: BTreeMap<u16, Touched>,
    /// Replicas whose primary is told when the frame is durable.
    pub(super) acks: BTreeSet<u16>,
    /// What is told to others when the frame is durable.
    pub(super) lines: Vec<(NodeId, Line)>,
    /// About how long it is.
    bytes: usize,
}

/// The records of one partition in a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touched {
    pub(super) first: u64,
    pub(super) last: u64,
    /// Epoch of the last.
    pub(super) epoch: u64,
}

impl Frame {
    fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { sent: VecDeque::new(), open: Frame::new(1), entries: Vec::new(), bytes: 0 }
    }

    /// Bytes that are not durable yet.
    pub(super) fn unsynced(&self) -> usize {
        self.bytes + self.sent.iter().map(|frame| frame.bytes).sum::<usize>()
    }

    fn add(&mut self, entry: Entry, bytes: usize) {
        self.entries.push(entry);
        self.bytes += bytes;
    }
}

impl<C> Node<C> {
    /// Appends one record as the primary, whose `rows` are what its writes make of their keys.
    /// Returns its index.
    pub(super) fn append(
        &mut self,
        partition: u16,
        version: Timestamp,
        decision: Decision,
        rows: Vec<(Key, Content)>,
    ) -> u64 {
        let at = &mut self.partitions[usize::from(partition)];
        let index = at.tail.last().index + 1;
        let record = LogRecord { partition, epoch: at.epoch, index, version, decision };
        if let Decision::Ceiling(ceiling) = record.decision {
            at.ceiling.ask(ceiling, index);
        }
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        codec::append(&record, &mut encoded);
        self.keep(&record, &encoded, rows);
        self.encoded = encoded;
        index
    }

    /// Puts a record behind the last one of its partition's log.
    pub(super) fn keep(&mut self, record: &LogRecord, encoded: &[u8], rows: Vec<(Key, Content)>) {
        let LogRecord { partition, epoch, index, .. } = *record;
        let at = &mut self.partitions[usize::from(partition)];
        let kept = at.tail.push(epoch, encoded);
        let draft = draft(record, &kept, rows);
        self.pending_bytes += draft.bytes;
        if let Some(voters) = &draft.voters {
            at.voters.change(index, voters.clone());
        }
        for step in &draft.txns {
            match step {
                TxnStep::Intent(intent) => at.intents.log(index, intent.clone()),
                TxnStep::Resolve { txn, committed } => at.intents.end(*txn, index, *committed),
                TxnStep::Unsettled(unsettled) => {
                    at.unsettled.begin(unsettled.txn, index, unsettled.clone());
                }
                TxnStep::Settled(txn) => at.unsettled.end(*txn, index),
            }
        }
        at.pending.push(draft);
        let bytes = kept.len();
        self.frames.add(Entry::Record { partition, index, bytes: Raw(kept) }, bytes);
        let touched = self.frames.open.touched.entry(partition);
        let touched = touched.or_insert(Touched { first: index, last: index, epoch });
        touched.first = touched.first.min(index);
        touched.last = index;
        touched.epoch = epoch;
    }

    /// Puts a vote into the log.
    pub(super) fn log_vote(&mut self, vote: Vote) {
        if self.has(Bug::VoteNotDurable) {
            return;
        }
        self.frames.add(Entry::Vote(vote), RECORD_BYTES);
    }

    /// Closes the open frame if it is full. Not to be called between records that belong together.
    pub(super) fn make_room(&mut self, out: &mut Vec<Effect<C>>) {
        if self.frames.bytes >= FRAME_BYTES || self.frames.entries.len() >= FRAME_RECORDS {
            self.close_frame(self.now, out);
        }
    }

    /// Hands out what was appended, if nothing is on its way to the disk.
    pub(super) fn close_frame_in_turn(&mut self, now: Now, out: &mut Vec<Effect<C>>) {
        if self.frames.sent.is_empty() {
            self.close_frame(now, out);
        }
    }

    /// Hands out what was appended.
    pub(super) fn close_frame(&mut self, now: Now, out: &mut Vec<Effect<C>>) {
        if self.frames.entries.is_empty() {
            // Nothing has to become durable for these.
            let acks = std::mem::take(&mut self.frames.open.acks);
            let lines = std::mem::take(&mut self.frames.open.lines);
            self.tell_synced(acks, lines, out);
            return;
        }
        let number = self.frames.open.number;
        let mut frame = std::mem::replace(&mut self.frames.open, Frame::new(number + 1));
        frame.bytes = std::mem::take(&mut self.frames.bytes);
        let entries = std::mem::take(&mut self.frames.entries);
        self.push_frame(now, &frame, out);
        if self.has(Bug::AckBeforeSync) {
            self.count_unsynced(&frame, out);
        }
        self.frames.sent.push_back(frame);
        out.push(Effect::Append { frame: number, entries });
    }

    /// Sends the new records of the partitions that this node leads to their replicas.
    fn push_frame(&mut self, now: Now, frame: &Frame, out: &mut Vec<Effect<C>>) {
        let mut sets: BTreeMap<usize, Vec<Run>> = BTreeMap::new();
        for (number, touched) in &frame.touched {
            let partition = &self.partitions[usize::from(*number)];
            if matches!(partition.role, Role::Primary(_)) && partition.places.len() > 1 {
                let set = partition.set;
                sets.entry(set).or_default().extend(self.runs(now, *number, *touched));
            }
        }
        for (set, runs) in sets {
            for runs in messages(runs, self.settings.message_bytes) {
                let from = self.sender(now);
                out.push(Effect::Push { set, push: Push { from, runs } });
            }
        }
    }

    /// The records of one partition, in pieces that fit into a message.
    fn runs(&mut self, now: Now, number: u16, touched: Touched) -> Vec<Run> {
        let closed = self.close(now, number);
        let partition = &self.partitions[usize::from(number)];
        let tail = &partition.tail;
        let commit = partition.pending.committed_index();
        let mut runs = Vec::new();
        let mut after = touched.first - 1;
        while after < touched.last {
            let records = tail.records(after, touched.last, self.settings.message_bytes);
            let Some(before) = tail.position(after) else { break };
            let hash = tail.hash_at(after).unwrap_or_default();
            after += records.len() as u64;
            runs.push(Run {
                partition: number,
                epoch: partition.epoch,
                before,
                hash,
                commit,
                closed,
                records,
            });
        }
        runs
    }
}

/// Runs put together into messages.
fn messages(runs: Vec<Run>, most: usize) -> Vec<Vec<Run>> {
    let mut messages: Vec<Vec<Run>> = Vec::new();
    let mut bytes = usize::MAX;
    for run in runs {
        let more: usize = run.records.iter().map(|raw| raw.0.len()).sum();
        match messages.last_mut() {
            Some(last) if bytes + more <= most => {
                bytes += more;
                last.push(run);
            }
            _ => {
                bytes = more;
                messages.push(vec![run]);
            }
        }
    }
    messages
}

/// What a record, encoded as `encoded`, does, for the time until the state contains it.
fn draft(record: &LogRecord, encoded: &Bytes, mut rows: Vec<(Key, Content)>) -> Draft {
    for (_, content) in &mut rows {
        if let Content::Value(value) = content
            && let Some(shared) = packed::shared(encoded, value.as_ref())
        {
            *value = shared.into();
        }
    }
    let mut bytes = RECORD_BYTES;
    let mut update = Update { version: record.version, rows, ..Update::default() };
    let (mut txns, mut ceiling, mut voters) = (Vec::new(), None, None);
    let of = |mutations: &[Mutation]| mutations.iter().map(|one| one.bytes() + 32).sum::<usize>();
    match &record.decision {
        Decision::Epoch => {}
        Decision::Write { request, written, mutation } => {
            update.request = Some((*request, written.clone()));
            bytes += mutation.as_ref().map_or(0, Mutation::bytes);
        }
        Decision::Outcome { outcome, mutations, unsettled } => {
            txns.extend(unsettled.clone().map(TxnStep::Unsettled));
            bytes += super::outcome::bytes(outcome) + of(mutations);
            update.outcome = Some(Box::new(outcome.clone()));
        }
        Decision::Effects { mutations } => bytes += of(mutations),
        Decision::Ceiling(asked) => ceiling = Some(*asked),
        Decision::Voters(members) => voters = Some(members.clone()),
        Decision::Intent(intent) => {
            bytes += of(&intent.mutations);
            txns.push(TxnStep::Intent(intent.clone()));
        }
        Decision::Resolve { txn, committed } => {
            txns.push(TxnStep::Resolve { txn: *txn, committed: *committed });
        }
        Decision::Settled(settled) => txns.extend(settled.iter().copied().map(TxnStep::Settled)),
    }
    let LogRecord { index, epoch, .. } = *record;
    Draft { index, epoch, bytes, update: Arc::new(update), txns, ceiling, voters }
}
