//! The workers as this scheduler sees them: alive or not, and how many steps it has on each.
//!
//! Unknown here: jobs. A place is taken for a step when it is planned and given back when the
//! attempt ends, whatever the worker says.

use super::operators::Operators;
use catena_protocol::NodeId;
use catena_protocol::limit::SILENCE_MS;
use catena_protocol::message::heartbeat::Offer;
use std::collections::BTreeMap;

/// Most workers that one scheduler knows; further ones get no work from it.
const KNOWN: usize = 4_096;
/// Most operators that one worker may offer; the rest is ignored.
const OFFERS: usize = 4_096;

/// What planning looks at, small so that many lie in one cache line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seats {
    /// Steps of ours that it has.
    pub(super) taken: u32,
    /// Steps of ours that it may have; zero while it must get nothing.
    pub(super) limit: u32,
}

/// Why a living worker gets nothing until its next heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// It said that it has no room.
    Full,
    /// The server said that it is not there.
    Gone,
}

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) node: NodeId,
    pub(super) boot: u64,
    pub(super) heard_ms: u64,
    pub(super) alive: bool,
    pub(super) draining: bool,
    pub(super) blocked: Option<Blocked>,
    pub(super) credit: u32,
    /// Since when every heartbeat said that it holds nothing.
    pub(super) idle_since_ms: Option<u64>,
    offers: Vec<Offer>,
}

/// What a worker says of itself.
#[derive(Debug)]
pub(super) struct Sign {
    pub(super) node: NodeId,
    pub(super) boot: u64,
    pub(super) draining: bool,
    pub(super) outstanding: u32,
    pub(super) credit: u32,
    pub(super) offers: Vec<Offer>,
}

/// All workers.
#[derive(Debug, Default)]
pub(super) struct Workers {
    seats: Vec<Seats>,
    table: Vec<Worker>,
    by_node: BTreeMap<NodeId, u16>,
    /// Where the search for the next equal worker begins, for steps that every worker can run.
    pub(super) turn: usize,
}

impl Workers {
    pub(super) fn find(&self, node: &NodeId) -> Option<u16> {
        self.by_node.get(node).copied()
    }

    pub(super) fn get(&self, worker: u16) -> Option<&Worker> {
        self.table.get(usize::from(worker))
    }

    pub(super) fn seats(&self, worker: u16) -> Seats {
        self.seats.get(usize::from(worker)).copied().unwrap_or_default()
    }

    pub(super) fn count(&self) -> u16 {
        self.table.len() as u16
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Worker, Seats)> {
        self.table.iter().zip(self.seats.iter().copied())
    }

    pub(super) fn take(&mut self, worker: u16) {
        if let Some(seats) = self.seats.get_mut(usize::from(worker)) {
            seats.taken += 1;
        }
    }

    pub(super) fn give_back(&mut self, plan: &mut Vec<u16>) {
        for worker in plan.drain(..) {
            if let Some(seats) = self.seats.get_mut(usize::from(worker)) {
                debug_assert!(seats.taken > 0, "a place is given back once");
                seats.taken = seats.taken.saturating_sub(1);
            }
        }
    }

    /// A worker lives. Returns it, and whether it is another process than before, so that
    /// everything it had is lost.
    pub(super) fn heard(
        &mut self,
        now_ms: u64,
        mut sign: Sign,
        operators: &mut Operators,
    ) -> Option<(u16, bool)> {
        sign.offers.truncate(OFFERS);
        let (at, restarted) = match self.find(&sign.node) {
            Some(at) => (at, self.get(at).is_some_and(|known| known.boot != sign.boot)),
            None => (self.place(now_ms, &sign, operators)?, false),
        };
        let worker = self.table.get_mut(usize::from(at))?;
        if !worker.alive || worker.offers != sign.offers {
            for offer in worker.offers.iter().filter(|old| {
                worker.alive && !sign.offers.iter().any(|offer| offer.name == old.name)
            }) {
                operators.withdrawn(&offer.name, at);
            }
            for offer in &sign.offers {
                operators.offered(offer, at);
            }
            worker.offers = sign.offers;
        }
        let idle = sign.outstanding == 0 && !restarted;
        worker.idle_since_ms = worker.idle_since_ms.filter(|_| idle).or(idle.then_some(now_ms));
        worker.boot = sign.boot;
        worker.heard_ms = now_ms;
        worker.alive = true;
        worker.draining = sign.draining;
        worker.blocked = None;
        worker.credit = sign.credit;
        self.set_limit(at);
        Some((at, restarted))
    }

    fn place(&mut self, now_ms: u64, sign: &Sign, operators: &mut Operators) -> Option<u16> {
        let fresh = Worker {
            node: sign.node.clone(),
            boot: sign.boot,
            heard_ms: now_ms,
            alive: false,
            draining: false,
            blocked: None,
            credit: 0,
            idle_since_ms: None,
            offers: Vec::new(),
        };
        if self.table.len() < KNOWN {
            let at = self.count();
            self.table.push(fresh);
            self.seats.push(Seats::default());
            self.by_node.insert(sign.node.clone(), at);
            return Some(at);
        }
        // The place of one that is long dead, as soon as no plan names it any more.
        let dead = |(worker, seats): (&Worker, &Seats)| !worker.alive && seats.taken == 0;
        let at = self.table.iter().zip(&self.seats).position(dead)?;
        let old = std::mem::replace(&mut self.table[at], fresh);
        self.by_node.remove(&old.node);
        self.by_node.insert(sign.node.clone(), at as u16);
        for offer in &old.offers {
            operators.withdrawn(&offer.name, at as u16);
        }
        Some(at as u16)
    }

    /// A worker gets nothing more until it is heard again.
    pub(super) fn block(&mut self, worker: u16, why: Blocked) {
        if let Some(known) = self.table.get_mut(usize::from(worker)) {
            known.blocked = Some(why);
            self.set_limit(worker);
        }
    }

    fn set_limit(&mut self, worker: u16) {
        let at = usize::from(worker);
        let (Some(known), Some(seats)) = (self.table.get(at), self.seats.get_mut(at)) else {
            return;
        };
        let usable = known.alive && !known.draining && known.blocked.is_none();
        seats.limit = if usable { known.credit } else { 0 };
    }

    /// Takes those for dead that were silent for too long, and returns them in
    /// order.
    pub(super) fn silent(&mut self, now_ms: u64, operators: &mut Operators) -> Vec<u16> {
        let mut dead = Vec::new();
        for at in 0..self.count() {
            let worker = &mut self.table[usize::from(at)];
            if worker.alive && now_ms.saturating_sub(worker.heard_ms) > SILENCE_MS {
                worker.alive = false;
                worker.idle_since_ms = None;
                for offer in &worker.offers {
                    operators.withdrawn(&offer.name, at);
                }
                self.set_limit(at);
                dead.push(at);
            }
        }
        dead
    }

    /// Whether it lives and says nothing about leaving.
    pub(super) fn is_usable(&self, worker: u16) -> bool {
        self.get(worker).is_some_and(|known| {
            known.alive && !known.draining && known.blocked != Some(Blocked::Gone)
        })
    }

    /// When the first worker will have been silent for too long.
    pub(super) fn next_silence_ms(&self) -> Option<u64> {
        let alive = self.table.iter().filter(|worker| worker.alive);
        alive.map(|worker| worker.heard_ms + SILENCE_MS + 1).min()
    }
}
