//! Requests that wait: for the log to be committed, for certainty about who leads, for the clock.

use super::{Bug, Effect, Node};
use crate::state::{State, StateError};
use catena_protocol::clock::Now;
use catena_protocol::message::store::{Request, Response, Tell};
use catena_protocol::{NodeId, Timestamp};
use std::collections::BTreeMap;

/// What waits for an index of the log.
#[derive(Clone, Debug)]
pub(super) enum Waiting<C> {
    /// An answer; also for the wall clock to reach a version.
    Answer(C, Response, Timestamp),
    /// A request that is to be looked at again.
    Request(C, Request),
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
}

impl<C> Held<C> {
    pub(super) const fn new() -> Self {
        Self { by_index: BTreeMap::new(), unsure: Vec::new() }
    }

    fn at(&mut self, index: u64) -> &mut Vec<Waiting<C>> {
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
            self.held -= 1;
            match waiting {
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
        self.held -= unsure.len() + waiting.len();
        let mut tell =
            |to, id, tell| out.push(Effect::Reply { to, response: Response { id, tell } });
        for Unsure { caller, request, .. } in unsure {
            tell(caller, request.id, Tell::NotPrimary { primary: primary.cloned() });
        }
        for waiting in waiting {
            match waiting {
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
