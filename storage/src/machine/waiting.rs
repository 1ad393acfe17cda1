//! Requests that wait: for the log to be committed, for certainty about who leads, for the clock.

use super::blocked::{Blocked, Patience, writes};
use super::{Bug, Effect, Node};
use crate::state::{State, StateError};
use catena_protocol::clock::Now;
use catena_protocol::message::gossip::Line;
use catena_protocol::message::prepare::TxnId;
use catena_protocol::message::store::{Request, Response, Tell};
use catena_protocol::{Key, NodeId, Timestamp};
use std::collections::BTreeMap;

/// What waits for an index of the log.
#[derive(Clone, Debug)]
pub(super) enum Waiting<C> {
    /// An answer; also for the wall clock to reach a version.
    Answer(C, Response, Timestamp),
    /// A request that is to be looked at again.
    Request(C, Request),
    /// Something that another storage node is told. No caller waits for it.
    Line(NodeId, Line),
}

impl<C> Waiting<C> {
    const fn has_caller(&self) -> bool {
        !matches!(self, Self::Line(..))
    }
}

/// A read that waits for certainty.
#[derive(Clone, Debug)]
pub(super) struct Unsure<C> {
    /// A majority must have heard this beat or a later one; none: the lease is enough.
    pub(super) beat: Option<u64>,
    pub(super) caller: C,
    pub(super) request: Request,
}

/// The requests that one partition holds.
#[derive(Clone, Debug)]
pub(super) struct Held<C> {
    by_index: BTreeMap<u64, Vec<Waiting<C>>>,
    pub(super) unsure: Vec<Unsure<C>>,
    /// What waits for the end of a transaction.
    blocked: BTreeMap<TxnId, Vec<Blocked<C>>>,
    /// How many direct writes among these there are for each key.
    writers: BTreeMap<Key, usize>,
}

impl<C> Held<C> {
    pub(super) const fn new() -> Self {
        Self {
            by_index: BTreeMap::new(),
            unsure: Vec::new(),
            blocked: BTreeMap::new(),
            writers: BTreeMap::new(),
        }
    }

    pub(super) fn block(&mut self, txn: TxnId, blocked: Blocked<C>) {
        if let Some(key) = writes(&blocked.request) {
            *self.writers.entry(key.clone()).or_default() += 1;
        }
        self.blocked.entry(txn).or_default().push(blocked);
    }

    /// Takes what waited for a transaction.
    pub(super) fn unblock(&mut self, txn: TxnId) -> Vec<Blocked<C>> {
        let ready = self.blocked.remove(&txn).unwrap_or_default();
        ready.iter().for_each(|blocked| self.forget_writer(&blocked.request));
        ready
    }

    /// Takes what has waited for long enough.
    pub(super) fn expired(&mut self, so: impl Fn(&Patience) -> bool) -> Vec<(TxnId, Blocked<C>)> {
        let mut expired = Vec::new();
        for (txn, waiting) in &mut self.blocked {
            let late = waiting.extract_if(.., |blocked| so(&blocked.patience));
            expired.extend(late.map(|blocked| (*txn, blocked)));
        }
        self.blocked.retain(|_, waiting| !waiting.is_empty());
        expired.iter().for_each(|(_, blocked)| self.forget_writer(&blocked.request));
        expired
    }

    fn forget_writer(&mut self, request: &Request) {
        if let Some(key) = writes(request)
            && let Some(count) = self.writers.get_mut(key)
        {
            *count -= 1;
            if *count == 0 {
                self.writers.remove(key);
            }
        }
    }

    /// Whether somebody waits to write a key directly.
    pub(super) fn has_writers(&self, key: &Key) -> bool {
        self.writers.contains_key(key)
    }

    /// What was to be told to nodes is told by whoever leads next, when it is asked.
    pub(super) fn forget_lines(&mut self) {
        self.by_index.values_mut().for_each(|waiting| waiting.retain(Waiting::has_caller));
    }

    pub(super) fn at(&mut self, index: u64) -> &mut Vec<Waiting<C>> {
        self.by_index.entry(index).or_default()
    }

    /// Takes what waited for an index up to this one.
    pub(super) fn until(&mut self, index: u64) -> Vec<Waiting<C>> {
        let mut ready = Vec::new();
        while let Some(entry) = self.by_index.first_entry() {
            if *entry.key() > index {
                break;
            }
            ready.extend(entry.remove());
        }
        ready
    }
}

impl<C> Node<C> {
    /// Keeps an answer until the log is committed up to `index` and the wall clock has reached
    /// `version`.
    pub(super) fn hold(
        &mut self,
        partition: u16,
        index: u64,
        to: C,
        response: Response,
        version: Timestamp,
    ) {
        self.held += 1;
        let held = &mut self.partitions[usize::from(partition)].held;
        held.at(index).push(Waiting::Answer(to, response, version));
    }

    /// Keeps a request until the log is committed up to `index`.
    pub(super) fn hold_request(&mut self, partition: u16, index: u64, from: C, request: Request) {
        self.held += 1;
        let held = &mut self.partitions[usize::from(partition)].held;
        held.at(index).push(Waiting::Request(from, request));
    }

    /// The log is committed further: answers what waited for that.
    pub(super) fn answer_waiting<S: State>(
        &mut self,
        now: Now,
        ready: Vec<Waiting<C>>,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        for waiting in ready {
            self.held -= usize::from(waiting.has_caller());
            match waiting {
                Waiting::Line(to, line) => self.tell(&to, line),
                Waiting::Answer(to, response, version) => {
                    self.answer(now, to, response, version, out);
                }
                Waiting::Request(from, request) => {
                    self.make_room(out);
                    self.request(now, from, request, state, out)?;
                }
            }
        }
        Ok(())
    }

    /// Nothing more is decided here: whoever waits has to ask elsewhere.
    pub(super) fn turn_away(
        &mut self,
        number: u16,
        primary: Option<&NodeId>,
        out: &mut Vec<Effect<C>>,
    ) {
        let held = &mut self.partitions[usize::from(number)].held;
        let unsure = std::mem::take(&mut held.unsure);
        let waiting = held.until(u64::MAX);
        let blocked: Vec<Blocked<C>> =
            std::mem::take(&mut held.blocked).into_values().flatten().collect();
        held.writers.clear();
        let callers = waiting.iter().filter(|waiting| waiting.has_caller()).count();
        self.held -= unsure.len() + callers + blocked.len();
        let mut tell =
            |to, id, tell| out.push(Effect::Reply { to, response: Response { id, tell } });
        for Unsure { caller, request, .. } in unsure {
            tell(caller, request.id, Tell::NotPrimary { primary: primary.cloned() });
        }
        for Blocked { caller, request, .. } in blocked {
            tell(caller, request.id, Tell::NotPrimary { primary: primary.cloned() });
        }
        for waiting in waiting {
            match waiting {
                Waiting::Line(..) => {}
                Waiting::Answer(to, response, _) => {
                    tell(to, response.id, Tell::Deposed { primary: primary.cloned() });
                }
                Waiting::Request(to, request) => {
                    tell(to, request.id, Tell::NotPrimary { primary: primary.cloned() });
                }
            }
        }
    }

    pub(super) fn answer(
        &mut self,
        now: Now,
        to: C,
        response: Response,
        version: Timestamp,
        out: &mut Vec<Effect<C>>,
    ) {
        if version.0 <= now.wall_us || self.has(Bug::AnswerEarly) {
            out.push(Effect::Reply { to, response });
        } else {
            self.held += 1;
            self.early.entry(version).or_default().push((to, response));
        }
    }

    /// Gives the answers whose version the wall clock has reached.
    pub(super) fn release_early(&mut self, now: Now, out: &mut Vec<Effect<C>>) {
        while let Some(entry) = self.early.first_entry() {
            if entry.key().0 > now.wall_us {
                return;
            }
            for (to, response) in entry.remove() {
                self.held -= 1;
                out.push(Effect::Reply { to, response });
            }
        }
    }
}
