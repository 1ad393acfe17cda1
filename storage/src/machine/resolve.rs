//! **resolve**: everybody hears how a transaction ended.
//!
//! A home tells those that hold an intent again and again until each has said that it knows,
//! durably; only then does it forget. Whoever is left with an intent asks: at once when somebody
//! waits for it, now and then otherwise. Additions to one record take effect in the order of
//! their versions, so that each finds the sum that it adds to.

use super::{Bug, Effect, Node};
use crate::state::{State, StateError};
use catena_protocol::clock::Now;
use catena_protocol::message::gossip::Line;
use catena_protocol::message::prepare::{Part, Resolve, TxnId};
use catena_protocol::message::replicate::Decision;
use catena_protocol::{JobId, NodeId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Whoever has not said that it knows is told again after this.
const AGAIN_US: u64 = 200_000;
/// An intent whose end nobody has told of is asked about after this, again and again.
const LEFT_US: u64 = 500_000;
/// The same, when somebody waits for it.
const URGENT_US: u64 = 50_000;

/// What a home knows of a committed transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Settling {
    knows: BTreeSet<u16>,
    told_us: u64,
}

/// What a primary does about the ends of transactions.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    /// As a home: who has heard of what.
    settling: BTreeMap<TxnId, Settling>,
    /// As a home: everybody has heard of these.
    settled: BTreeSet<TxnId>,
    /// Committed, but what it adds to waits for somebody before it; and who is told when it is done.
    put_off: BTreeMap<TxnId, NodeId>,
    /// As a home: everybody is ready, but somebody else adds to the same before it.
    pub(super) awaiting: BTreeSet<JobId>,
    /// When an intent was last asked about, or made.
    asked_us: BTreeMap<TxnId, u64>,
}

impl<C> Node<C> {
    /// A transaction is committed: tells those that hold its intents, unless they know or have
    /// just been told.
    pub(super) fn spread(&mut self, now: Now, home: u16, txn: TxnId) {
        let hasty = self.has(Bug::SettleAtOnce);
        let partition = &mut self.partitions[usize::from(home)];
        let Some((began, unsettled)) = partition.unsettled.get(txn) else { return };
        if !partition.serves() || began > partition.pending.committed_index() {
            return;
        }
        let settling = partition.ends.settling.entry(txn).or_default();
        if settling.told_us != 0 && now.mono_us < settling.told_us + AGAIN_US {
            return;
        }
        settling.told_us = now.mono_us.max(1);
        if hasty {
            partition.ends.settled.insert(txn);
        }
        let rest = unsettled.partitions.iter().filter(|number| !settling.knows.contains(number));
        let at = Some(unsettled.at);
        let resolves: Vec<Resolve> =
            rest.map(|partition| Resolve { txn, partition: *partition, at }).collect();
        for resolve in resolves {
            if let Some(primary) = self.leader_of(resolve.partition) {
                self.tell(&primary, Line::Resolve(resolve));
            }
        }
    }

    /// Somebody says how a transaction ended.
    pub(super) fn resolve<S: State>(
        &mut self,
        now: Now,
        from: &NodeId,
        resolve: Resolve,
        state: &S,
    ) -> Result<(), StateError> {
        let Resolve { txn, partition: number, at } = resolve;
        let by_job = self.has(Bug::ResolveByJob);
        let Some(partition) = self.partitions.get_mut(usize::from(number)) else { return Ok(()) };
        if !partition.serves() {
            return Ok(());
        }
        let txn = match by_job {
            true => {
                partition.intents.logged().map(|i| i.txn).find(|t| t.job == txn.job).unwrap_or(txn)
            }
            false => txn,
        };
        match (partition.intents.get(txn), at) {
            (None | Some((0, _)), _) => self.know(number, txn, from),
            (Some(_), None) => self.log_resolve(now, number, txn, None, state)?,
            (Some((_, intent)), Some(at)) => {
                // Its home has counted on this one, and on no earlier one.
                let at = if by_job { intent.at } else { at };
                if intent.at != at
                    && !self.has(Bug::CommitAtNewTime)
                    && !self.has(Bug::CountOldAnswers)
                {
                    return Ok(());
                }
                if !self.is_first(number, txn) && !self.has(Bug::DeltasOutOfOrder) {
                    let ends = &mut self.partitions[usize::from(number)].ends;
                    ends.put_off.insert(txn, from.clone());
                    return Ok(());
                }
                self.log_resolve(now, number, txn, Some(at), state)?;
                self.know(number, txn, from);
            }
        }
        Ok(())
    }

    /// Says that the end of a transaction is known here, once that is durable.
    fn know(&mut self, number: u16, txn: TxnId, to: &NodeId) {
        let index = self.partitions[usize::from(number)].intents.ending(txn).unwrap_or(0);
        self.tell_once(number, index, to, Line::Resolved(Part { txn, partition: number }));
    }

    /// The intent takes effect, or is dropped.
    fn log_resolve<S: State>(
        &mut self,
        now: Now,
        number: u16,
        txn: TxnId,
        at: Option<Timestamp>,
        state: &S,
    ) -> Result<(), StateError> {
        let partition = &mut self.partitions[usize::from(number)];
        partition.ends.asked_us.remove(&txn);
        let Some((_, intent)) = partition.intents.get(txn) else { return Ok(()) };
        let mutations = if at.is_some() { intent.mutations.clone() } else { Vec::new() };
        let version = at.unwrap_or(Timestamp::ZERO);
        if let Some(at) = at {
            self.raise_ceiling(now, number, at);
        }
        // It was found possible whatever comes of those before it.
        let rows = self.rows_of(number, mutations, state)?.map(|share| share.rows);
        let decision = Decision::Resolve { txn, committed: at.is_some() };
        self.append(number, version, decision, rows.unwrap_or_default());
        if at.is_some() {
            self.unblocked.push_back((number, txn));
            self.leave_lines(now, number, txn.job, state)?;
        }
        Ok(())
    }

    /// Whether nobody before it still has to add to what a transaction adds to.
    pub(super) fn is_first(&self, number: u16, txn: TxnId) -> bool {
        let intents = &self.partitions[usize::from(number)].intents;
        let Some((_, intent)) = intents.get(txn) else { return true };
        let first = |key| intents.on(key).first().is_none_or(|claim| claim.txn == txn);
        intent.mutations.iter().all(|mutation| first(&mutation.key))
    }

    /// A transaction has ended here: looks after those who waited for that.
    pub(super) fn unblock<S: State>(
        &mut self,
        now: Now,
        number: u16,
        txn: TxnId,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        self.resume(now, number, txn, state, out)?;
        let partition = &self.partitions[usize::from(number)];
        let next: Vec<TxnId> = partition.ends.put_off.keys().copied().collect();
        for txn in next.into_iter().filter(|txn| self.is_first(number, *txn)).collect::<Vec<_>>() {
            let partition = &mut self.partitions[usize::from(number)];
            let Some(to) = partition.ends.put_off.remove(&txn) else { continue };
            let at = partition.intents.get(txn).map(|(_, intent)| intent.at);
            self.log_resolve(now, number, txn, at, state)?;
            self.know(number, txn, &to);
        }
        let ends = &mut self.partitions[usize::from(number)].ends;
        for job in std::mem::take(&mut ends.awaiting) {
            self.conclude_if_ready(now, number, &job, state)?;
        }
        Ok(())
    }

    /// Somebody knows how a transaction of this home ended.
    pub(super) fn resolved(&mut self, part: Part) {
        let Part { txn, partition: number } = part;
        let home = &mut self.partitions[usize::from(txn.job.home() % self.settings.partitions)];
        let Some((_, unsettled)) = home.unsettled.get(txn) else { return };
        let settling = home.ends.settling.entry(txn).or_default();
        settling.knows.insert(number);
        if unsettled.partitions.iter().all(|number| settling.knows.contains(number)) {
            home.ends.settling.remove(&txn);
            home.ends.settled.insert(txn);
        }
    }

    /// What is due about the ends of transactions, at each beat.
    pub(super) fn look_after_ends(&mut self, now: Now, number: u16) {
        let partition = &mut self.partitions[usize::from(number)];
        if !partition.serves() {
            return;
        }
        let settled = std::mem::take(&mut partition.ends.settled);
        let open: Vec<TxnId> = partition
            .unsettled
            .iter()
            .map(|(txn, ..)| txn)
            .filter(|txn| !settled.contains(txn))
            .collect();
        if !settled.is_empty() {
            let settled = settled.into_iter().collect();
            self.append(number, Timestamp::ZERO, Decision::Settled(settled), Vec::new());
        }
        open.into_iter().for_each(|txn| self.spread(now, number, txn));
        let intents = &self.partitions[usize::from(number)].intents;
        let left: Vec<TxnId> = intents.logged().map(|intent| intent.txn).collect();
        left.into_iter().for_each(|txn| self.inquire(now, number, txn, LEFT_US));
    }

    /// Somebody waits for the end of a transaction.
    pub(super) fn inquire_soon(&mut self, now: Now, number: u16, txn: TxnId) {
        self.inquire(now, number, txn, URGENT_US);
    }

    fn inquire(&mut self, now: Now, number: u16, txn: TxnId, after_us: u64) {
        if self.home_of(txn) == number || self.has(Bug::NeverInquire) {
            return;
        }
        let partition = &mut self.partitions[usize::from(number)];
        if partition.ends.put_off.contains_key(&txn) {
            return;
        }
        let urgent = after_us == URGENT_US;
        let asked_us = partition.ends.asked_us.entry(txn).or_insert(match urgent {
            true => 0,
            false => now.mono_us,
        });
        if now.mono_us < asked_us.saturating_add(after_us) {
            return;
        }
        *asked_us = now.mono_us;
        if let Some(primary) = self.leader_of(self.home_of(txn)) {
            self.tell(&primary, Line::Inquire(Part { txn, partition: number }));
        }
    }

    /// Somebody wants to know how a transaction of this home ended.
    pub(super) fn inquired(&mut self, from: &NodeId, part: Part) {
        let Part { txn, partition: number } = part;
        let home = self.home_of(txn);
        let partition = &self.partitions[usize::from(home)];
        let told = |at| Line::Resolve(Resolve { txn, partition: number, at });
        let hasty = self.has(Bug::InquiredTooEarly) && partition.leads();
        if !partition.serves() && !hasty {
            return;
        }
        if let Some((index, unsettled)) = partition.unsettled.get(txn) {
            let line = told(Some(unsettled.at));
            return self.tell_once(home, index, from, line);
        }
        let deciding = partition.coordinations.get(&txn.job).is_some_and(|c| c.txn == txn);
        if txn.epoch > partition.epoch || (deciding && !self.has(Bug::AbortUndecided)) {
            return;
        }
        // Not in the log, and nobody can put it there any more.
        self.tell(from, told(None));
    }

    /// A primary begins, or ceases: what it knew of ends it has to find out anew.
    pub(super) fn forget_ends(&mut self, number: u16) {
        let partition = &mut self.partitions[usize::from(number)];
        partition.ends = Ends::default();
        partition.held.forget_lines();
    }
}
