//! What a worker holds: steps by token, and chains by content.

use catena_protocol::ChainHash;
use catena_protocol::chain::Chain;
use catena_protocol::message::assign::Assignment;
use catena_protocol::message::handoff::Step;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names a held step. Never used twice, so that a late answer finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    slot: u32,
    generation: u32,
}

/// A step that is running or committing.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) assignment: Box<Assignment>,
    pub(super) index: u8,
    pub(super) chain: Arc<Chain>,
    timeout_us: Option<u64>,
}

impl Held {
    pub(super) const fn new(assignment: Box<Assignment>, index: u8, chain: Arc<Chain>) -> Self {
        Self { assignment, index, chain, timeout_us: None }
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    held: Option<Held>,
}

/// Steps by token; taking and finding one costs no search.
#[derive(Debug, Default)]
pub(super) struct Steps {
    slots: Vec<Slot>,
    free: Vec<u32>,
    timeouts: BTreeSet<(u64, Token)>,
}

impl Steps {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, held: Held) -> Token {
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[at as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.held = Some(held);
        Token { slot: at, generation: slot.generation }
    }

    fn slot(&mut self, token: Token) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(token.slot as usize)?;
        (slot.generation == token.generation).then_some(slot)
    }

    pub(super) fn get(&mut self, token: Token) -> Option<&mut Held> {
        self.slot(token)?.held.as_mut()
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<Held> {
        let held = self.slot(token)?.held.take()?;
        self.free.push(token.slot);
        if let Some(at) = held.timeout_us {
            self.timeouts.remove(&(at, token));
        }
        Some(held)
    }

    /// Sets the time at which a step has taken too long.
    pub(super) fn set_timeout(&mut self, token: Token, at_us: u64) {
        let Some(held) = self.get(token) else { return };
        let before = held.timeout_us.replace(at_us);
        if let Some(before) = before {
            self.timeouts.remove(&(before, token));
        }
        self.timeouts.insert((at_us, token));
    }

    pub(super) fn next_timeout(&self) -> Option<u64> {
        self.timeouts.first().map(|(at, _)| *at)
    }

    /// A step whose time is up; it stays held and has no timeout any more.
    pub(super) fn timed_out(&mut self, now_us: u64) -> Option<Token> {
        let (at, token) = *self.timeouts.first()?;
        if at > now_us {
            return None;
        }
        self.timeouts.remove(&(at, token));
        if let Some(held) = self.get(token) {
            held.timeout_us = None;
        }
        Some(token)
    }
}

/// Chains kept at most; the one that was used least recently goes first.
const MOST_CHAINS: usize = 1_024;

#[derive(Debug)]
struct Known {
    chain: Arc<Chain>,
    used: u64,
}

/// Steps whose chain is on its way.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) steps: Vec<Step>,
    pub(super) retry_us: u64,
    pub(super) asked: u8,
}

/// Chains by content, and the steps that wait for one.
#[derive(Debug, Default)]
pub(super) struct Chains {
    known: BTreeMap<ChainHash, Known>,
    uses: u64,
    pub(super) wanted: BTreeMap<ChainHash, Waiting>,
}

impl Chains {
    pub(super) fn get(&mut self, hash: &ChainHash) -> Option<Arc<Chain>> {
        let known = self.known.get_mut(hash)?;
        self.uses += 1;
        known.used = self.uses;
        Some(Arc::clone(&known.chain))
    }

    /// Keeps a chain; the hash of the one that had to go for it, if one had to.
    pub(super) fn insert(&mut self, hash: ChainHash, chain: Arc<Chain>) -> Option<ChainHash> {
        self.uses += 1;
        self.known.insert(hash, Known { chain, used: self.uses });
        if self.known.len() <= MOST_CHAINS {
            return None;
        }
        let oldest =
            self.known.iter().min_by_key(|(_, known)| known.used).map(|(hash, _)| *hash)?;
        self.known.remove(&oldest);
        Some(oldest)
    }

    pub(super) fn waiting(&self) -> usize {
        self.wanted.values().map(|waiting| waiting.steps.len()).sum()
    }

    pub(super) fn next_retry(&self) -> Option<u64> {
        self.wanted.values().map(|waiting| waiting.retry_us).min()
    }
}
