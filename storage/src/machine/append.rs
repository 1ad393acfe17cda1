//! Records on their way into the log, and the answers that wait for them.

use super::pending::Draft;
use super::{Effect, Node};
use crate::state::Content;
use catena_protocol::message::replicate::{Decision, LogRecord};
use catena_protocol::message::store::{Request, Response};
use catena_protocol::{Key, Timestamp};
use std::collections::VecDeque;

/// A frame is closed when it holds so many bytes.
const FRAME_BYTES: usize = 1024 * 1024;
/// A frame is closed when it holds so many records.
const FRAME_RECORDS: usize = 4_096;
/// What a record takes besides its keys and values, roughly.
const RECORD_BYTES: usize = 96;

/// Frames that are not durable yet.
#[derive(Debug)]
pub(super) struct Frames<C> {
    /// Handed out, oldest first.
    pub(super) sent: VecDeque<Frame<C>>,
    /// Being filled.
    pub(super) open: Frame<C>,
    /// What it holds.
    records: Vec<LogRecord>,
    bytes: usize,
}

/// One frame.
#[derive(Debug)]
pub(super) struct Frame<C> {
    pub(super) number: u64,
    /// The last index that it brings to each partition.
    pub(super) last: Vec<(u16, u64)>,
    /// What waits for it.
    pub(super) waiting: Vec<Waiting<C>>,
}

/// What waits for a frame.
#[derive(Debug)]
pub(super) enum Waiting<C> {
    /// An answer; also for the wall clock to reach a version.
    Answer(C, Response, Timestamp),
    /// A request that is to be looked at again.
    Request(C, Request),
}

impl<C> Frame<C> {
    const fn new(number: u64) -> Self {
        Self { number, last: Vec::new(), waiting: Vec::new() }
    }
}

impl<C> Frames<C> {
    pub(super) const fn new() -> Self {
        Self { sent: VecDeque::new(), open: Frame::new(1), records: Vec::new(), bytes: 0 }
    }

    fn waiting_for(&mut self, frame: u64) -> &mut Vec<Waiting<C>> {
        let first = self.sent.front().map_or(frame, |sent| sent.number);
        let at = usize::try_from(frame.saturating_sub(first)).unwrap_or(usize::MAX);
        match self.sent.get_mut(at) {
            Some(sent) if sent.number == frame => &mut sent.waiting,
            _ => &mut self.open.waiting,
        }
    }
}

impl<C> Node<C> {
    /// Appends one record, whose `rows` are what its writes make of their keys. Returns its frame.
    pub(super) fn append(
        &mut self,
        partition: u16,
        version: Timestamp,
        decision: Decision,
        rows: Vec<(Key, Content)>,
    ) -> u64 {
        let frame = self.frames.open.number;
        let at = &mut self.partitions[usize::from(partition)];
        let record =
            LogRecord { partition, epoch: at.epoch, index: at.last + 1, version, decision };
        let draft = draft(&record, frame, rows);
        at.last = record.index;
        if let Some(ceiling) = draft.ceiling {
            at.ceiling.ask(ceiling, frame);
        }
        self.pending_bytes += draft.bytes;
        self.frames.bytes += draft.bytes;
        at.pending.push(draft);
        self.frames.records.push(record);
        let last = &mut self.frames.open.last;
        match last.iter_mut().find(|(of, _)| *of == partition) {
            Some((_, index)) => *index = at.last,
            None => last.push((partition, at.last)),
        }
        frame
    }

    /// Closes the open frame if it is full. Not to be called between records that belong together.
    pub(super) fn make_room(&mut self, out: &mut Vec<Effect<C>>) {
        if self.frames.bytes >= FRAME_BYTES || self.frames.records.len() >= FRAME_RECORDS {
            self.close_frame(out);
        }
    }

    /// Hands out what was appended.
    pub(super) fn close_frame(&mut self, out: &mut Vec<Effect<C>>) {
        if self.frames.records.is_empty() {
            return;
        }
        let number = self.frames.open.number;
        let full = std::mem::replace(&mut self.frames.open, Frame::new(number + 1));
        self.frames.sent.push_back(full);
        self.frames.bytes = 0;
        let records = std::mem::take(&mut self.frames.records);
        out.push(Effect::Append { frame: number, records });
    }

    /// Keeps an answer until its frame is durable and the wall clock has reached `version`.
    pub(super) fn hold(&mut self, frame: u64, to: C, response: Response, version: Timestamp) {
        self.held += 1;
        self.frames.waiting_for(frame).push(Waiting::Answer(to, response, version));
    }

    /// Keeps a request until a frame is durable.
    pub(super) fn hold_request(&mut self, frame: u64, from: C, request: Request) {
        self.held += 1;
        self.frames.waiting_for(frame).push(Waiting::Request(from, request));
    }
}

/// What a record does, for the time until the state contains it.
pub(super) fn draft(record: &LogRecord, frame: u64, rows: Vec<(Key, Content)>) -> Draft {
    let mut draft = Draft {
        index: record.index,
        frame,
        version: record.version,
        epoch: record.epoch,
        bytes: RECORD_BYTES,
        rows,
        request: None,
        outcome: None,
        ceiling: None,
    };
    match &record.decision {
        Decision::Epoch => {}
        Decision::Write { request, written, mutation } => {
            draft.request = Some((*request, written.clone()));
            draft.bytes += mutation.as_ref().map_or(0, |mutation| mutation.bytes());
        }
        Decision::Outcome { outcome, mutations } => {
            draft.bytes += super::outcome::bytes(outcome);
            draft.outcome = Some(outcome.clone());
            draft.bytes += mutations.iter().map(|mutation| mutation.bytes() + 32).sum::<usize>();
        }
        Decision::Effects { mutations } => {
            draft.bytes += mutations.iter().map(|mutation| mutation.bytes() + 32).sum::<usize>();
        }
        Decision::Ceiling(ceiling) => draft.ceiling = Some(*ceiling),
    }
    draft
}
