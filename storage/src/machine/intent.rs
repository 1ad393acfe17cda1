//! The intents of one partition: writes of transactions that are not decided yet.
//!
//! Those of other homes stand in the log. Those of transactions whose home this is do not: they
//! hold their keys while the others are asked, and whether the home's primary still knows them
//! is what decides about them.

use super::ledger::Ledger;
use catena_protocol::message::prepare::{Intent, TxnId};
use catena_protocol::message::write::{Change, Mutation};
use catena_protocol::{Key, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// A transaction is about to write a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) txn: TxnId,
    pub(super) at: Timestamp,
    /// It only adds.
    pub(super) adds: Option<i64>,
}

/// The intents of one partition.
#[derive(Clone, Debug)]
pub(super) struct Intents {
    logged: Ledger<Intent>,
    /// Of transactions whose home this is.
    own: BTreeMap<TxnId, Intent>,
    /// Who is about to write a key, earliest version first.
    claims: BTreeMap<Key, Vec<Claim>>,
    times: BTreeSet<(Timestamp, TxnId)>,
}

impl Intents {
    pub(super) const fn new() -> Self {
        Self {
            logged: Ledger::new(),
            own: BTreeMap::new(),
            claims: BTreeMap::new(),
            times: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.logged.len() + self.own.len()
    }

    /// A record of the log says what a transaction will write.
    pub(super) fn log(&mut self, index: u64, intent: Intent) {
        self.unclaim(intent.txn);
        self.claim(&intent);
        self.logged.begin(intent.txn, index, intent);
    }

    /// The same of a transaction whose home this is.
    pub(super) fn keep(&mut self, intent: Intent) {
        self.unclaim(intent.txn);
        self.claim(&intent);
        self.own.insert(intent.txn, intent);
    }

    /// A record of the log ends an intent. If it took effect, what it wrote stands in its place
    /// at once; if it did not, it is in the way until that is committed: whoever says so may have
    /// been asked by a primary that does not lead any more.
    pub(super) fn end(&mut self, txn: TxnId, index: u64, committed: bool) {
        if committed {
            self.unclaim(txn);
        }
        self.logged.end(txn, index);
    }

    /// A transaction whose home this is has ended.
    pub(super) fn release(&mut self, txn: TxnId) -> Option<Intent> {
        self.unclaim(txn);
        self.own.remove(&txn)
    }

    /// This node does not lead any more.
    pub(super) fn release_all(&mut self) -> Vec<TxnId> {
        let own: Vec<TxnId> = self.own.keys().copied().collect();
        own.iter().for_each(|txn| drop(self.release(*txn)));
        own
    }

    pub(super) fn settle(&mut self, index: u64) {
        for intent in self.logged.settle(index) {
            self.remove_claims(&intent);
        }
    }

    pub(super) fn truncate(&mut self, index: u64) {
        self.logged.truncate(index);
        self.claims.clear();
        self.times.clear();
        let live: Vec<Intent> = self
            .logged
            .iter()
            .map(|(_, _, intent)| intent)
            .chain(self.own.values())
            .cloned()
            .collect();
        live.iter().for_each(|intent| self.claim(intent));
    }

    /// The intent of a transaction, and the index of its record; 0: it has none.
    pub(super) fn get(&self, txn: TxnId) -> Option<(u64, &Intent)> {
        self.own.get(&txn).map(|intent| (0, intent)).or_else(|| self.logged.get(txn))
    }

    /// The record that ends the intent of a transaction, if it is not committed yet.
    pub(super) fn ending(&self, txn: TxnId) -> Option<u64> {
        self.logged.ending(txn)
    }

    /// The intents in the log.
    pub(super) fn logged(&self) -> impl Iterator<Item = &Intent> {
        self.logged.iter().map(|(_, _, intent)| intent)
    }

    /// The lowest version that an intent may still get.
    pub(super) fn lowest(&self) -> Option<Timestamp> {
        self.times.first().map(|(at, _)| *at)
    }

    /// Who is about to write a key.
    pub(super) fn on(&self, key: &Key) -> &[Claim] {
        self.claims.get(key).map_or(&[], Vec::as_slice)
    }

    /// Who is about to write a key with a prefix, and which.
    pub(super) fn under<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Claim)> {
        let start = Key::new(prefix).map_or(Bound::Unbounded, Bound::Included);
        self.claims
            .range((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.as_str().starts_with(prefix))
            .flat_map(|(key, claims)| claims.iter().map(move |claim| (key, claim)))
    }

    fn claim(&mut self, intent: &Intent) {
        self.times.insert((intent.at, intent.txn));
        for mutation in &intent.mutations {
            let adds = match mutation.change {
                Change::Add(delta) => Some(delta),
                Change::Put(_) | Change::Delete => None,
            };
            let claims = self.claims.entry(mutation.key.clone()).or_default();
            let place = claims.partition_point(|claim| claim.at <= intent.at);
            claims.insert(place, Claim { txn: intent.txn, at: intent.at, adds });
        }
    }

    fn unclaim(&mut self, txn: TxnId) {
        if let Some(intent) = self.get(txn).map(|(_, intent)| intent.clone()) {
            self.remove_claims(&intent);
        }
    }

    fn remove_claims(&mut self, intent: &Intent) {
        self.times.remove(&(intent.at, intent.txn));
        for Mutation { key, .. } in &intent.mutations {
            if let Some(claims) = self.claims.get_mut(key) {
                claims.retain(|claim| (claim.txn, claim.at) != (intent.txn, intent.at));
                if claims.is_empty() {
                    self.claims.remove(key);
                }
            }
        }
    }
}
