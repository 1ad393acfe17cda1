//! Three nodes, what is on its way between them, and what may happen next.

use crate::bounds::Bounds;
use crate::explore::{Space, Stop};
use crate::fingerprint::of;
use crate::host::{HOSTS, Host, Seen, Shape, Turn, WALL_US};
use crate::message::Message;
use crate::property::Broken;
use crate::witness::Witness;
use bytes::Bytes;
use catena_protocol::message::read::{At, Read};
use catena_protocol::message::store::{Ask, Request};
use catena_protocol::message::write::{Change, Condition, Mutation, Write};
use catena_protocol::{Blob, Key, RequestId, Timestamp};
use catena_storage::machine::{BEAT_US, Input, PROMISE_US, QUORUM_US};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Snapshots that are read lie so far ahead of the clocks.
const AHEAD_US: u64 = 100_000;
/// Whoever hears nothing for so long loses patience, whatever it is.
const PATIENCE_US: u64 = QUORUM_US + 200_000;
/// After this a promise holds no longer, and patience holds still.
const UNPROMISED_US: u64 = PROMISE_US + 5_000;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A message arrives, by its fingerprint.
    Deliver(u64),
    /// A frame is durable.
    Sync(usize),
    TimeOut(usize),
    Beat(usize),
    Crash(usize),
    Write(usize),
    Read(usize),
    Retire(usize),
}

/// What has happened of that which is bounded.
#[derive(Clone, Debug, Default)]
struct Spent {
    writes: u8,
    reads: u8,
    time_outs: [u8; HOSTS],
    crashes: [u8; HOSTS],
    beats: u8,
    retirements: u8,
}

/// A state of everything.
#[derive(Clone, Debug)]
pub(crate) struct World {
    hosts: [Arc<Host>; HOSTS],
    flight: BTreeMap<u64, Arc<Message>>,
    witness: Arc<Witness>,
    witnessed: u64,
    spent: Spent,
}

impl Space for World {
    type Action = Action;
    type Bounds = Bounds;

    fn fingerprint(&self) -> u64 {
        let Spent { writes, reads, time_outs, crashes, beats, retirements } = &self.spent;
        let spent = [writes, reads, beats, retirements].into_iter().chain(time_outs).chain(crashes);
        let hosts = self.hosts.iter().map(|host| host.fingerprint);
        of(hosts
            .chain([self.witnessed])
            .chain(spent.map(|n| u64::from(*n)))
            .chain(self.flight.keys().copied()))
    }

    fn actions(&self, bounds: &Bounds) -> Vec<Action> {
        let mut actions: Vec<Action> = self.flight.keys().copied().map(Action::Deliver).collect();
        let spent = &self.spent;
        for host in 0..HOSTS {
            let seen = self.seen(host);
            let mut may = |may: bool, action| actions.extend(may.then_some(action));
            may(seen.is_writing, Action::Sync(host));
            may(spent.time_outs[host] < bounds.time_outs[host], Action::TimeOut(host));
            may(spent.crashes[host] < bounds.crashes[host], Action::Crash(host));
            may(seen.leads && spent.writes < bounds.writes, Action::Write(host));
            may(seen.leads && spent.reads < bounds.reads, Action::Read(host));
            may(seen.leads && spent.beats < bounds.beats, Action::Beat(host));
            may(seen.leads && spent.retirements < bounds.retirements, Action::Retire(host));
        }
        actions
    }

    fn after(&self, action: Action, bounds: &Bounds) -> Result<Self, Stop> {
        let mut next = self.clone();
        let (host, mut turn) = next.act(action).map_err(Stop::Failed)?.ok_or(Stop::Same)?;
        if bounds.prompt_disk {
            let host = Arc::make_mut(&mut next.hosts[host]);
            host.sync_all(&mut turn).map_err(Stop::Failed)?;
        }
        next.witness(host, &turn, bounds).map_err(Stop::Broken)?;
        for message in
            turn.messages.into_iter().filter(|message| bounds.gossip || !message.is_gossip())
        {
            next.flight.insert(message.fingerprint, Arc::new(message));
        }
        next.lose_void(bounds);
        Ok(next)
    }

    fn goes_on(&self, bounds: &Bounds) -> bool {
        self.hosts.iter().all(|host| host.seen.epoch <= bounds.epochs)
    }

    fn tell(&self, action: Action) -> String {
        let message = match action {
            Action::Deliver(message) => self.message(message),
            _ => None,
        };
        message.map_or_else(|| format!("{action:?}"), ToString::to_string)
    }
}

impl World {
    pub(crate) fn founded(bounds: &Bounds) -> Result<Self, String> {
        let host = |me| Host::founded(me, Shape::Replicas, bounds.bug).map(Arc::new);
        let witness = Witness::default();
        Ok(Self {
            hosts: [host(0)?, host(1)?, host(2)?],
            flight: BTreeMap::new(),
            witnessed: witness.fingerprint(),
            witness: Arc::new(witness),
            spent: Spent::default(),
        })
    }

    pub(crate) fn seen(&self, host: usize) -> &Seen {
        &self.hosts[host].seen
    }

    pub(crate) fn message(&self, fingerprint: u64) -> Option<&Message> {
        self.flight.get(&fingerprint).map(Arc::as_ref)
    }

    /// What was on its way is lost, and what is bounded may happen as often again.
    pub(crate) fn begin_anew(&mut self) {
        self.flight.clear();
        self.spent = Spent::default();
    }

    fn act(&mut self, action: Action) -> Result<Option<(usize, Turn)>, String> {
        let (hosts, spent) = (&mut self.hosts, &mut self.spent);
        Ok(match action {
            Action::Deliver(fingerprint) => return self.deliver(fingerprint),
            Action::Sync(at) => Arc::make_mut(&mut hosts[at]).sync()?.map(|turn| (at, turn)),
            Action::TimeOut(at) => {
                spent.time_outs[at] += 1;
                Some((at, Arc::make_mut(&mut hosts[at]).turn(Input::Tick, PATIENCE_US)?))
            }
            Action::Beat(at) => {
                spent.beats += 1;
                Some((at, Arc::make_mut(&mut hosts[at]).turn(Input::Tick, BEAT_US)?))
            }
            Action::Crash(at) => {
                spent.crashes[at] += 1;
                Some((at, Arc::make_mut(&mut hosts[at]).crash()?))
            }
            Action::Write(at) => {
                spent.writes += 1;
                Some((at, Arc::make_mut(&mut hosts[at]).turn(write(spent.writes), 0)?))
            }
            Action::Read(at) => {
                spent.reads += 1;
                Some((at, Arc::make_mut(&mut hosts[at]).turn(read(), 0)?))
            }
            Action::Retire(at) => {
                spent.retirements += 1;
                Some((at, Arc::make_mut(&mut hosts[at]).retire()?))
            }
        })
    }

    fn deliver(&mut self, fingerprint: u64) -> Result<Option<(usize, Turn)>, String> {
        let Some(message) = self.flight.remove(&fingerprint) else { return Ok(None) };
        let to = message.to;
        let before = &self.hosts[to];
        let mut host = Host::clone(before);
        let mut turn = host.turn(message.input.clone(), 0)?;
        if message.asks() && turn.refuses() {
            // Perhaps only because of a promise. That is for leases; here it may have run out.
            let mut later = Host::clone(before);
            let turn_later = later.turn(message.input.clone(), UNPROMISED_US)?;
            if !turn_later.refuses() {
                (host, turn) = (later, turn_later);
            }
        }
        if host.fingerprint == before.fingerprint && turn.is_silent() {
            return Ok(None);
        }
        self.hosts[to] = Arc::new(host);
        Ok(Some((to, turn)))
    }

    fn witness(&mut self, host: usize, turn: &Turn, bounds: &Bounds) -> Result<(), Broken> {
        let seen = [self.seen(0), self.seen(1), self.seen(2)];
        let mut found = Vec::new();
        let mut learned = None;
        if self.witness.is_new(turn, seen[host]) {
            let mut witness = Witness::clone(&self.witness);
            found = witness.learn(host, turn, seen[host]);
            learned = Some(witness);
        }
        found.extend(learned.as_ref().unwrap_or(&self.witness).judge(host, seen));
        if let Some(witness) = learned {
            self.witnessed = witness.fingerprint();
            self.witness = Arc::new(witness);
        }
        let broken = found.into_iter().find(|broken| bounds.properties.contains(&broken.property));
        broken.map_or(Ok(()), Err)
    }

    /// Messages that can do nothing any more are as good as lost.
    fn lose_void(&mut self, bounds: &Bounds) {
        let (hosts, spent) = (&self.hosts, &self.spent);
        self.flight.retain(|_, message| {
            let to = message.to;
            let seen = &hosts[to].seen;
            // A loss of power takes back what was not durable.
            let falls = spent.crashes[to] < bounds.crashes[to];
            !message.is_void(if falls { seen.durable_epoch } else { seen.epoch })
        });
    }
}

fn request(caller: u64, ask: Ask) -> Input<u64> {
    Input::Requests(vec![(caller, Request { id: caller, partition: 0, ask })])
}

#[allow(clippy::expect_used, reason = "a constant")]
fn key() -> Key {
    Key::new("k").expect("a valid key")
}

/// Each write has its own request id, and its number as its caller.
fn write(number: u8) -> Input<u64> {
    let change = Change::Put(Blob(Bytes::copy_from_slice(&[number])));
    let mutation = Mutation { key: key(), change };
    let write = Write { request: RequestId([number; 16]), mutation, condition: Condition::Always };
    request(u64::from(number), Ask::Write(write))
}

/// A read has its snapshot as its caller.
fn read() -> Input<u64> {
    let at = WALL_US + AHEAD_US;
    request(at, Ask::Read(Read { key: key(), at: At::Snapshot(Timestamp(at)) }))
}
