//! Whose turn it is: jobs that lost on a record stand in line for it, the oldest first.
//!
//! ```text
//! job loses on a key --> stands in line there; its caller hears of the conflict when it is the
//!                        first: then nobody else may replace the record until it has come back,
//!                        or has had its time
//! ```
//!
//! So a job that lost is not beaten again by younger ones, and a thousand jobs that rewrite one
//! record each run about twice. Age is the same everywhere: of two jobs that meet on several
//! records the same one is first on each. Lines are in memory only; what is lost with them is an
//! order, and whoever waits for its turn is told of the conflict after a while anyway.

use super::{Bug, Effect, Node};
use crate::state::{State, StateError};
use catena_protocol::clock::Now;
use catena_protocol::message::commit::Decided;
use catena_protocol::message::gossip::Line;
use catena_protocol::message::prepare::{Turn, TxnId};
use catena_protocol::message::store::{Response, Tell};
use catena_protocol::{AttemptId, JobId, Key, NodeId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How long a record is kept free for whoever is first in line.
const TURN_US: u64 = 400_000;
/// Whoever has not got its turn for so long is told of the conflict all the same, and stands in
/// its place in line when it comes back: a long line costs one more run for each of these times.
const PATIENCE_US: u64 = 4_000_000;

/// Older jobs come first.
type Age = (u64, JobId);

#[derive(Clone, Debug)]
struct Place {
    txn: TxnId,
    /// The node that coordinates.
    home: NodeId,
    /// Until when it is its turn, once it was told.
    until_us: Option<u64>,
}

/// The lines of one partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    by_key: BTreeMap<Key, BTreeMap<Age, Place>>,
    keys: BTreeMap<JobId, BTreeSet<Key>>,
}

/// A job whose caller waits for its turn.
#[derive(Clone, Debug)]
pub(super) struct Queued<C> {
    pub(super) txn: TxnId,
    pub(super) attempt: AttemptId,
    pub(super) key: Key,
    pub(super) version: Timestamp,
    pub(super) waiters: Vec<(C, u64)>,
    until_us: u64,
}

impl<C> Queued<C> {
    pub(super) fn new(
        now: Now,
        txn: TxnId,
        attempt: AttemptId,
        (key, version): (Key, Timestamp),
        waiters: Vec<(C, u64)>,
    ) -> Self {
        let until_us = now.mono_us + PATIENCE_US;
        Self { txn, attempt, key, version, waiters, until_us }
    }
}

fn age(job: JobId) -> Age {
    (job.submitted_ms().unwrap_or(u64::MAX), job)
}

impl Lines {
    fn join(&mut self, key: &Key, txn: TxnId, home: &NodeId) {
        let place = Place { txn, home: home.clone(), until_us: None };
        self.by_key.entry(key.clone()).or_default().insert(age(txn.job), place);
        self.keys.entry(txn.job).or_default().insert(key.clone());
    }

    /// A job stands in line no more. Returns where it stood.
    fn leave(&mut self, job: JobId) -> BTreeSet<Key> {
        let keys = self.keys.remove(&job).unwrap_or_default();
        for key in &keys {
            if let Some(line) = self.by_key.get_mut(key) {
                line.remove(&age(job));
                if line.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        keys
    }

    /// Whether it is somebody else's turn to write a key.
    pub(super) fn is_kept_from(&self, now: Now, key: &Key, job: JobId) -> bool {
        let first = self.by_key.get(key).and_then(|line| line.first_key_value());
        first.is_some_and(|((_, other), place)| {
            *other != job && place.until_us.is_some_and(|until_us| until_us > now.mono_us)
        })
    }

    /// Who is to be told that it is its turn now.
    fn call(&mut self, now: Now, key: &Key) -> Option<(TxnId, NodeId)> {
        let mut first = self.by_key.get_mut(key)?.first_entry()?;
        let place = first.get_mut();
        if place.until_us.is_some() {
            return None;
        }
        place.until_us = Some(now.mono_us + TURN_US);
        Some((place.txn, place.home.clone()))
    }

    /// Jobs that had their turn and did not use it.
    fn late(&self, now: Now) -> Vec<JobId> {
        let firsts = self.by_key.values().filter_map(|line| line.first_key_value());
        let late = |place: &Place| place.until_us.is_some_and(|until_us| until_us <= now.mono_us);
        firsts.filter(|(_, place)| late(place)).map(|((_, job), _)| *job).collect()
    }

    fn len(&self) -> usize {
        self.keys.len()
    }
}

impl<C> Node<C> {
    /// A job has lost on a key and stands in line for it, if there is room.
    pub(super) fn stand_in_line<S: State>(
        &mut self,
        now: Now,
        number: u16,
        key: &Key,
        (txn, home): (TxnId, &NodeId),
        state: &S,
    ) -> Result<bool, StateError> {
        let most = self.settings.intents;
        let lines = &mut self.partitions[usize::from(number)].lines;
        if lines.len() >= most || self.settings.has(Bug::NobodyInLine) {
            return Ok(false);
        }
        lines.join(key, txn, home);
        self.call_next(now, number, key, state)?;
        Ok(true)
    }

    fn call_next<S: State>(
        &mut self,
        now: Now,
        number: u16,
        key: &Key,
        state: &S,
    ) -> Result<(), StateError> {
        let partition = &mut self.partitions[usize::from(number)];
        let Some((txn, home)) = partition.lines.call(now, key) else { return Ok(()) };
        let head = partition.head(key, state)?;
        let version = head.map_or(Timestamp::ZERO, |stored| stored.version);
        self.tell(&home, Line::Turn(Turn { txn, partition: number, version }));
        Ok(())
    }

    /// A job is through: whoever comes behind it is next.
    pub(super) fn leave_lines<S: State>(
        &mut self,
        now: Now,
        number: u16,
        job: JobId,
        state: &S,
    ) -> Result<(), StateError> {
        for key in self.partitions[usize::from(number)].lines.leave(job) {
            self.call_next(now, number, &key, state)?;
        }
        Ok(())
    }

    /// It is the turn of a job of this home: its caller hears of the conflict and comes again.
    pub(super) fn turn(&mut self, turn: Turn, out: &mut Vec<Effect<C>>) {
        let Turn { txn, version, .. } = turn;
        let home = self.home_of(txn);
        let queued = &mut self.partitions[usize::from(home)].queued;
        if queued.get(&txn.job).is_some_and(|queued| queued.txn == txn)
            && let Some(mut queued) = queued.remove(&txn.job)
        {
            queued.version = queued.version.max(version);
            self.tell_conflict(queued, out);
        }
    }

    fn tell_conflict(&mut self, queued: Queued<C>, out: &mut Vec<Effect<C>>) {
        let Queued { key, version, waiters, .. } = queued;
        let tell = Tell::Decided(Decided::Conflict { key, version });
        self.held -= waiters.len();
        for (to, id) in waiters {
            out.push(Effect::Reply { to, response: Response { id, tell: tell.clone() } });
        }
    }

    /// What is due about lines, at each beat.
    pub(super) fn look_after_lines<S: State>(
        &mut self,
        now: Now,
        number: u16,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        for job in self.partitions[usize::from(number)].lines.late(now) {
            self.leave_lines(now, number, job, state)?;
        }
        let queued = &mut self.partitions[usize::from(number)].queued;
        let is_late = |queued: &&Queued<C>| queued.until_us <= now.mono_us;
        let late: Vec<JobId> =
            queued.values().filter(is_late).map(|queued| queued.txn.job).collect();
        let late: Vec<_> = late.iter().filter_map(|job| queued.remove(job)).collect();
        late.into_iter().for_each(|queued| self.tell_conflict(queued, out));
        Ok(())
    }

    /// This node does not lead any more.
    pub(super) fn drop_lines(&mut self, number: u16, out: &mut Vec<Effect<C>>) {
        let partition = &mut self.partitions[usize::from(number)];
        partition.lines = Lines::default();
        let queued = std::mem::take(&mut partition.queued);
        queued.into_values().for_each(|queued| self.tell_conflict(queued, out));
    }
}
