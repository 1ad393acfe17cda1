//! Two nodes, what is on its way between them, and what may happen next.

use super::ask::{AWAY, HOME, commit, write};
use super::bounds::Bounds;
use super::judge;
use crate::explore::{Space, Stop};
use crate::fingerprint::of;
use crate::host::{Host, Shape, Turn};
use crate::message::Message;
use catena_storage::machine::Input;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longer than anybody waits before it asks or tells again.
pub(super) const BEAT_US: u64 = 600_000;
/// Longer than a home tries to decide.
const GIVE_UP_US: u64 = 3_100_000;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A message arrives, by its fingerprint.
    Deliver(u64),
    /// The same, and it will arrive again.
    Repeat(u64),
    /// A frame is durable.
    Sync(usize),
    /// An attempt asks.
    Ask(usize),
    Beat(usize),
    GiveUp,
    Crash(usize),
    Write,
}

/// What has happened of that which is bounded.
#[derive(Clone, Debug, Default)]
struct Spent {
    asks: [u8; 2],
    beats: [u8; 2],
    give_ups: u8,
    crashes: [u8; 2],
    repeats: u8,
    writes: u8,
}

/// A state of everything.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) hosts: [Arc<Host>; 2],
    pub(super) flight: BTreeMap<u64, Arc<Message>>,
    spent: Spent,
}

impl World {
    /// Both nodes serve and know of each other.
    pub(super) fn founded(bounds: &Bounds) -> Result<Self, String> {
        let host = |me| Host::founded(me, Shape::Partitions, bounds.bug).map(Arc::new);
        let hosts = [host(HOME)?, host(AWAY)?];
        let mut world = Self { hosts, flight: BTreeMap::new(), spent: Spent::default() };
        for at in [HOME, AWAY] {
            world.host(at).sync_all(&mut Turn::default())?;
            world.introduce(at)?;
        }
        Ok(world)
    }

    pub(super) fn host(&mut self, at: usize) -> &mut Host {
        Arc::make_mut(&mut self.hosts[at])
    }

    /// Whoever has started hears where the other one stands.
    fn introduce(&mut self, at: usize) -> Result<(), String> {
        let digest = self.hosts[HOME + AWAY - at].digest();
        self.host(at).turn(digest, 0).map(drop)
    }

    pub(super) fn put_on_its_way(&mut self, messages: Vec<Message>) {
        let messages = messages.into_iter();
        self.flight.extend(messages.map(|message| (message.fingerprint, Arc::new(message))));
    }

    fn act(&mut self, action: Action) -> Result<Option<(usize, Turn)>, String> {
        let spent = &mut self.spent;
        Ok(match action {
            Action::Deliver(message) => self.deliver(message)?,
            Action::Repeat(message) => {
                spent.repeats += 1;
                let kept = self.flight.get(&message).cloned();
                let delivered = self.deliver(message)?;
                self.flight.extend(kept.map(|kept| (message, kept)));
                delivered
            }
            Action::Sync(at) => self.host(at).sync()?.map(|turn| (at, turn)),
            Action::Ask(attempt) => {
                spent.asks[attempt] += 1;
                Some((HOME, self.host(HOME).turn(commit(attempt), 0)?))
            }
            Action::Beat(at) => {
                spent.beats[at] += 1;
                Some((at, self.host(at).turn(Input::Tick, BEAT_US)?))
            }
            Action::GiveUp => {
                spent.give_ups += 1;
                Some((HOME, self.host(HOME).turn(Input::Tick, GIVE_UP_US)?))
            }
            Action::Crash(at) => {
                spent.crashes[at] += 1;
                let turn = self.host(at).crash()?;
                self.introduce(at)?;
                Some((at, turn))
            }
            Action::Write => {
                spent.writes += 1;
                let write = write(spent.writes);
                Some((AWAY, self.host(AWAY).turn(write, 0)?))
            }
        })
    }

    fn deliver(&mut self, fingerprint: u64) -> Result<Option<(usize, Turn)>, String> {
        let Some(message) = self.flight.remove(&fingerprint) else { return Ok(None) };
        let to = message.to;
        let before = self.hosts[to].fingerprint;
        let turn = self.host(to).turn(message.input.clone(), 0)?;
        let same = self.hosts[to].fingerprint == before && turn.is_silent();
        Ok((!same).then_some((to, turn)))
    }
}

impl Space for World {
    type Action = Action;
    type Bounds = Bounds;

    fn fingerprint(&self) -> u64 {
        let Spent { asks, beats, give_ups, crashes, repeats, writes } = &self.spent;
        let spent = [give_ups, repeats, writes].into_iter().chain(asks).chain(beats).chain(crashes);
        let hosts = self.hosts.iter().map(|host| host.fingerprint);
        of(hosts.chain(spent.map(|n| u64::from(*n))).chain(self.flight.keys().copied()))
    }

    fn actions(&self, bounds: &Bounds) -> Vec<Action> {
        let spent = &self.spent;
        let messages = self.flight.keys().copied();
        let mut actions: Vec<Action> = messages.clone().map(Action::Deliver).collect();
        if spent.repeats < bounds.repeats {
            actions.extend(messages.map(Action::Repeat));
        }
        let mut may = |may: bool, action| actions.extend(may.then_some(action));
        for at in [HOME, AWAY] {
            may(self.hosts[at].seen.is_writing, Action::Sync(at));
            may(spent.asks[at] < bounds.asks[at], Action::Ask(at));
            may(spent.beats[at] < bounds.beats[at], Action::Beat(at));
            may(spent.crashes[at] < bounds.crashes[at], Action::Crash(at));
        }
        may(spent.give_ups < bounds.give_ups, Action::GiveUp);
        may(spent.writes < bounds.writes, Action::Write);
        actions
    }

    fn after(&self, action: Action, bounds: &Bounds) -> Result<Self, Stop> {
        let mut next = self.clone();
        let (at, mut turn) = next.act(action).map_err(Stop::Failed)?.ok_or(Stop::Same)?;
        if bounds.prompt_disk {
            next.host(at).sync_all(&mut turn).map_err(Stop::Failed)?;
        }
        let found = judge::judge(&next.hosts, &turn);
        let mut found = found.into_iter().filter_map(Result::err);
        if let Some(broken) = found.find(|broken| bounds.properties.contains(&broken.property)) {
            return Err(Stop::Broken(broken));
        }
        next.put_on_its_way(turn.messages);
        Ok(next)
    }

    fn goes_on(&self, _bounds: &Bounds) -> bool {
        true
    }

    fn tell(&self, action: Action) -> String {
        let message = match action {
            Action::Deliver(message) | Action::Repeat(message) => self.flight.get(&message),
            _ => None,
        };
        message.map_or_else(|| format!("{action:?}"), ToString::to_string)
    }

    fn left(&self) -> Option<u64> {
        Some(of(self.hosts.iter().map(|host| host.fingerprint)))
    }

    fn rest(&self, bounds: &Bounds) -> Result<(), Stop> {
        self.clone().come_to_rest(bounds)
    }
}
