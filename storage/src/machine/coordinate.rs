//! The home's part in a commit of several partitions.
//!
//! ```text
//!   begin --> asking --all ready, at one time--> the outcome is logged: committed
//!               |  ^                              or the job fails: that is logged
//!               |  +-- somebody needs a later time: all are asked anew, at a later one
//!               +--> given up: nothing is logged. What is not in the log is not committed
//! ```
//!
//! What is asked is known here alone. When this primary is gone the transaction is gone with it,
//! unless its outcome is in the log: only a primary of its own epoch could have put it there, and
//! whoever leads after has everything of earlier epochs that will ever count. So nothing has to be
//! logged before anybody is asked, nor when a transaction is given up.

use super::costs::explained;
use super::effect::Verdict;
use super::share::Shares;
use super::turns::Queued;
use super::waiting::Waiting;
use super::{Bug, Effect, Node};
use crate::state::{State, StateError};
use catena_protocol::chain::Isolation;
use catena_protocol::clock::Now;
use catena_protocol::limit::CLOCK_OFFSET_US;
use catena_protocol::message::commit::{Commit, Costs, Decided, End};
use catena_protocol::message::gossip::Line;
use catena_protocol::message::prepare::{Prepare, Prepared, Readiness, Resolve, TxnId, Unsettled};
use catena_protocol::message::store::{Response, Tell};
use catena_protocol::{Code, Fault, JobId, Key, NodeId, Timestamp};
use std::collections::BTreeSet;

/// Whoever has not answered is asked again after this.
const AGAIN_US: u64 = 150_000;
/// Whoever does not lead any more is not asked again before this.
const MOVED_US: u64 = 20_000;
/// When a job is given up that cannot be decided about.
const PATIENCE_US: u64 = 3_000_000;
/// Most times that all are asked anew for a later time.
const ROUNDS: u32 = 12;

/// A job that is being decided about.
#[derive(Clone, Debug)]
pub(super) struct Coordination<C> {
    pub(super) txn: TxnId,
    /// Its effects are in `shares`.
    commit: Commit,
    shares: Shares,
    /// When it would take effect.
    at: Timestamp,
    /// Who is ready for that.
    ready: BTreeSet<u16>,
    rounds: u32,
    /// Questions to other nodes, and answers from there.
    asked: u32,
    answered: u32,
    round_us: u64,
    began_us: u64,
    /// When to do something again: to ask those who have not answered, or all for a later time.
    due_us: u64,
    /// The time that somebody needs, while the next round is put off.
    later: Option<Timestamp>,
    waiters: Vec<(C, u64)>,
}

impl<C> Node<C> {
    /// Begins to decide about a job that touches more than one place. Its caller joins it.
    pub(super) fn coordinate(
        &mut self,
        now: Now,
        home: u16,
        commit: Commit,
        shares: Shares,
    ) -> Verdict {
        let partition = &mut self.partitions[usize::from(home)];
        let open = partition.unsettled.len() + partition.coordinations.len();
        if open >= self.settings.intents {
            let message = format!(
                "{open} jobs of partition {home} are about to commit, or have and not all \
                 partitions have heard of it, no more are taken; nothing was changed; try again \
                 later"
            );
            return Verdict::Tell(Tell::Fault(Fault::new(Code::TooBusy, message)));
        }
        self.next_txn += 1;
        let (job, epoch, number) = (commit.job, partition.epoch, self.next_txn);
        let coordination = Coordination {
            txn: TxnId { job, epoch, number },
            commit,
            shares,
            at: Timestamp::ZERO,
            ready: BTreeSet::new(),
            rounds: 0,
            asked: 0,
            answered: 0,
            round_us: now.mono_us,
            began_us: now.mono_us,
            due_us: now.mono_us,
            later: Some(Timestamp::ZERO),
            waiters: Vec::new(),
        };
        partition.coordinations.insert(job, coordination);
        self.tend_us = self.tend_us.min(now.mono_us);
        Verdict::Join { job }
    }

    /// The attempt that is being decided about, if the job is.
    pub(super) fn deciding(&self, home: u16, commit: &Commit) -> Option<Verdict> {
        let partition = &self.partitions[usize::from(home)];
        let coordination = partition.coordinations.get(&commit.job);
        let queued = partition.queued.get(&commit.job);
        if coordination.is_none() && queued.is_none_or(|q| q.attempt != commit.attempt) {
            return None;
        }
        if coordination.is_none_or(|c| c.commit.attempt == commit.attempt) {
            return Some(match self.admit_wait() {
                Ok(()) => Verdict::Join { job: commit.job },
                Err(tell) => Verdict::Tell(tell),
            });
        }
        let wait_ms = AGAIN_US / 1_000;
        Some(Verdict::Tell(Tell::Decided(Decided::Busy { wait_ms })))
    }

    /// Somebody waits for what is decided.
    pub(super) fn join(&mut self, home: u16, job: &JobId, caller: C, id: u64) {
        let partition = &mut self.partitions[usize::from(home)];
        if let Some(queued) = partition.queued.get_mut(job) {
            queued.waiters.push((caller, id));
            self.held += 1;
        } else if let Some(coordination) = partition.coordinations.get_mut(job) {
            coordination.waiters.push((caller, id));
            self.held += 1;
        }
    }

    /// Does what is due for the jobs that are being decided about.
    pub(super) fn tend(&mut self, now: Now, out: &mut Vec<Effect<C>>) {
        if now.mono_us < self.tend_us {
            return;
        }
        let mut due = Vec::new();
        for partition in &self.partitions {
            let of_it = partition.coordinations.iter().filter(|(_, c)| c.due_us <= now.mono_us);
            due.extend(of_it.map(|(job, _)| (partition.number, *job)));
        }
        for (home, job) in due {
            self.tend_one(now, home, &job, out);
        }
        let all = self.partitions.iter().flat_map(|partition| partition.coordinations.values());
        self.tend_us = all.map(|coordination| coordination.due_us).min().unwrap_or(u64::MAX);
    }

    fn tend_one(&mut self, now: Now, home: u16, job: &JobId, out: &mut Vec<Effect<C>>) {
        let Some(coordination) = self.of(home, job) else { return };
        if now.mono_us >= coordination.began_us + PATIENCE_US {
            let missing = coordination.shares.keys().find(|n| !coordination.ready.contains(n));
            let fault = undecided(home, missing.copied().unwrap_or(home));
            return self.give_up(home, job, &Tell::Fault(fault), out);
        }
        match coordination.later.take() {
            Some(min) => self.next_round(now, home, job, min, out),
            None => self.ask_rest(now, home, job),
        }
    }

    fn of(&mut self, home: u16, job: &JobId) -> Option<&mut Coordination<C>> {
        self.partitions[usize::from(home)].coordinations.get_mut(job)
    }

    /// Asks everybody for a time at or after `min`. Each time that was too early the next lies
    /// further ahead: by what a round has taken.
    fn next_round(
        &mut self,
        now: Now,
        home: u16,
        job: &JobId,
        min: Timestamp,
        out: &mut Vec<Effect<C>>,
    ) {
        let present = self.clock.tick(now.wall_us);
        let Some(coordination) = self.of(home, job) else { return };
        let took_us = now.mono_us - coordination.round_us;
        let lead_us = match coordination.rounds {
            0 | 1 => 0,
            _ => took_us.min(CLOCK_OFFSET_US / 2),
        };
        // Ahead of the wall clock, not of what the last one was ahead.
        let at = present.max(min).max(Timestamp(now.wall_us + lead_us));
        coordination.at = at;
        coordination.rounds += 1;
        coordination.round_us = now.mono_us;
        coordination.ready.clear();
        if coordination.rounds > ROUNDS {
            let message = "others were always faster; nothing was changed; try again".to_owned();
            return self.give_up(home, job, &Tell::Fault(Fault::new(Code::TooBusy, message)), out);
        }
        if let Err(error) = self.clock.observe(at, now.wall_us) {
            let message =
                format!("{error}; nothing was changed; compare the clocks of the machines");
            let fault = Fault::new(Code::Unavailable, message);
            return self.give_up(home, job, &Tell::Fault(fault), out);
        }
        self.ask_rest(now, home, job);
    }

    /// Asks those who have not answered.
    fn ask_rest(&mut self, now: Now, home: u16, job: &JobId) {
        let Some(coordination) = self.of(home, job) else { return };
        coordination.due_us = now.mono_us + AGAIN_US;
        let due_us = coordination.due_us;
        let asks: Vec<Prepare> = coordination.asks().collect();
        self.tend_us = self.tend_us.min(due_us);
        let mut asked = 0;
        for prepare in asks {
            if let Some(primary) = self.leader_of(prepare.partition) {
                asked += u32::from(primary != self.settings.me.node);
                self.tell(&primary, Line::Prepare(prepare));
            }
        }
        if let Some(coordination) = self.of(home, job) {
            coordination.asked += asked;
        }
    }

    /// Somebody answered.
    pub(super) fn prepared<S: State>(
        &mut self,
        now: Now,
        from: &NodeId,
        prepared: Prepared,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let Prepared { txn, partition, at, readiness } = prepared;
        let (home, job) = (self.home_of(txn), txn.job);
        let any_time = self.has(Bug::CountOldAnswers);
        let elsewhere = *from != self.settings.me.node;
        let Some(coordination) = self.of(home, &job) else { return Ok(()) };
        coordination.answered += u32::from(elsewhere);
        if coordination.txn != txn || (coordination.at != at && !any_time) {
            return Ok(());
        }
        match readiness {
            Readiness::Ready => {
                coordination.ready.insert(partition);
                return self.conclude_if_ready(now, home, &job, state);
            }
            Readiness::Later(min) => self.put_off(now, home, &job, min, out),
            Readiness::NotPrimary { primary } => {
                self.moved(now, home, &job, (from, partition, primary));
            }
            Readiness::Conflict { key, version, queued: true } => {
                self.count_conflict(home, &key, out);
                self.wait_in_line(now, home, &job, (key, version));
            }
            Readiness::Conflict { key, version, queued: false } => {
                self.count_conflict(home, &key, out);
                let tell = Tell::Decided(Decided::Conflict { key, version });
                self.give_up(home, &job, &tell, out);
            }
            Readiness::TooOld { horizon } => {
                self.give_up(home, &job, &Tell::SnapshotTooOld { horizon }, out);
            }
            Readiness::Refused(fault) => self.give_up(home, &job, &Tell::Fault(fault), out),
            Readiness::Impossible(fault) => self.fail(now, home, &job, fault),
        }
        Ok(())
    }

    /// Somebody needs a later time. The first time all are asked at once, then not before those
    /// that were first had time to end.
    fn put_off(
        &mut self,
        now: Now,
        home: u16,
        job: &JobId,
        min: Timestamp,
        out: &mut Vec<Effect<C>>,
    ) {
        let Some(coordination) = self.of(home, job) else { return };
        if coordination.rounds < 2 {
            return self.next_round(now, home, job, min, out);
        }
        let wait_us = 1_000 << coordination.rounds.min(7);
        let due_us = coordination.round_us.max(now.mono_us) + wait_us;
        coordination.later = Some(min.max(coordination.later.unwrap_or_default()));
        coordination.due_us = due_us;
        self.tend_us = self.tend_us.min(due_us);
    }

    /// A partition is led by somebody else.
    fn moved(
        &mut self,
        now: Now,
        home: u16,
        job: &JobId,
        (from, number, primary): (&NodeId, u16, Option<NodeId>),
    ) {
        self.not_led_by(number, from, primary);
        let due_us = now.mono_us + MOVED_US;
        if let Some(coordination) = self.of(home, job) {
            coordination.due_us = coordination.due_us.min(due_us);
            self.tend_us = self.tend_us.min(due_us);
        }
    }

    /// Logs the outcome once everybody is ready. What the job adds to has to wait for those who
    /// add to the same before it.
    pub(super) fn conclude_if_ready<S: State>(
        &mut self,
        now: Now,
        home: u16,
        job: &JobId,
        state: &S,
    ) -> Result<(), StateError> {
        let Some(coordination) = self.of(home, job) else { return Ok(()) };
        let txn = coordination.txn;
        let all = coordination.shares.keys().all(|number| coordination.ready.contains(number));
        if !all || coordination.later.is_some() {
            return Ok(());
        }
        if !self.is_first(home, txn) {
            self.partitions[usize::from(home)].ends.awaiting.insert(*job);
            return Ok(());
        }
        let Some(mut coordination) = self.end_coordination(home, job) else { return Ok(()) };
        let costs = self.costs_of(home, &coordination);
        let own = coordination.shares.remove(&home).unwrap_or_default();
        let unsettled =
            Unsettled { txn, at: coordination.at, partitions: coordination.writes_in() };
        match self.rows_of(home, own.writes, state)? {
            Ok(share) => {
                let at = match self.has(Bug::CommitAtNewTime) {
                    true => self.clock.tick(now.wall_us),
                    false => coordination.at,
                };
                let unsettled = Unsettled { at, ..unsettled };
                let unsettled = (!unsettled.partitions.is_empty()).then_some(unsettled);
                let Coordination { commit, waiters, .. } = coordination;
                let (index, tell) = self.log_outcome(now, home, at, (commit, share), unsettled);
                self.leave_lines(now, home, *job, state)?;
                self.promise(home, index, at, &explained(tell, costs), waiters);
            }
            Err(fault) => self.log_failure(now, home, coordination, fault),
        }
        Ok(())
    }

    fn costs_of(&self, home: u16, coordination: &Coordination<C>) -> Option<Costs> {
        let Coordination { rounds, asked, answered, .. } = *coordination;
        let all = || Costs { rounds, asked, answered, ..self.costs(home, &coordination.shares) };
        coordination.commit.explain.then(all)
    }

    /// The job has failed, and that is its outcome.
    fn fail(&mut self, now: Now, home: u16, job: &JobId, fault: Fault) {
        if let Some(coordination) = self.end_coordination(home, job) {
            self.log_failure(now, home, coordination, fault);
        }
    }

    fn log_failure(&mut self, now: Now, home: u16, ended: Coordination<C>, fault: Fault) {
        self.drop_intents(&ended);
        let Coordination { commit, waiters, .. } = ended;
        let commit = Commit { end: End::Failed(fault), ..commit };
        let at = self.clock.tick(now.wall_us);
        let (index, tell) = self.log_outcome(now, home, at, (commit, Default::default()), None);
        self.promise(home, index, at, &tell, waiters);
    }

    /// The same answer for all who wait, once the log is committed up to `index`.
    fn promise(
        &mut self,
        home: u16,
        index: u64,
        version: Timestamp,
        tell: &Tell,
        waiters: Vec<(C, u64)>,
    ) {
        for (caller, id) in waiters {
            let response = Response { id, tell: tell.clone() };
            self.partitions[usize::from(home)]
                .held
                .at(index)
                .push(Waiting::Answer(caller, response, version));
        }
    }

    /// Nothing comes of a transaction; nothing was changed.
    fn give_up(&mut self, home: u16, job: &JobId, tell: &Tell, out: &mut Vec<Effect<C>>) {
        let Some(ended) = self.end_coordination(home, job) else { return };
        self.drop_intents(&ended);
        self.held -= ended.waiters.len();
        for (to, id) in ended.waiters {
            out.push(Effect::Reply { to, response: Response { id, tell: tell.clone() } });
        }
    }

    /// Nothing comes of a transaction; its callers hear of it when it is the job's turn.
    fn wait_in_line(&mut self, now: Now, home: u16, job: &JobId, lost: (Key, Timestamp)) {
        let Some(ended) = self.end_coordination(home, job) else { return };
        self.drop_intents(&ended);
        let Coordination { txn, commit, waiters, .. } = ended;
        let queued = Queued::new(now, txn, commit.attempt, lost, waiters);
        self.queue(home, queued);
    }

    /// Keeps the callers of a job that lost until it is its turn.
    pub(super) fn queue(&mut self, home: u16, mut queued: Queued<C>) {
        let all = &mut self.partitions[usize::from(home)].queued;
        if let Some(before) = all.remove(&queued.txn.job) {
            queued.waiters.extend(before.waiters);
        }
        all.insert(queued.txn.job, queued);
    }

    /// Who may have an intent need not wait until it asks.
    fn drop_intents(&mut self, ended: &Coordination<C>) {
        for partition in ended.writes_in() {
            if let Some(primary) = self.leader_of(partition) {
                let resolve = Resolve { txn: ended.txn, partition, at: None };
                self.tell(&primary, Line::Resolve(resolve));
            }
        }
    }

    fn end_coordination(&mut self, home: u16, job: &JobId) -> Option<Coordination<C>> {
        let partition = &mut self.partitions[usize::from(home)];
        let ended = partition.coordinations.remove(job)?;
        partition.intents.release(ended.txn);
        self.unblocked.push_back((home, ended.txn));
        Some(ended)
    }

    /// This node does not lead any more: what it was asked about it cannot decide.
    pub(super) fn drop_coordinations(&mut self, home: u16, out: &mut Vec<Effect<C>>) {
        let partition = &mut self.partitions[usize::from(home)];
        let primary = partition.primary().map(|member| member.node.clone());
        let dropped = std::mem::take(&mut partition.coordinations);
        partition.intents.release_all();
        for (to, id) in dropped.into_values().flat_map(|coordination| coordination.waiters) {
            self.held -= 1;
            let tell = Tell::NotPrimary { primary: primary.clone() };
            out.push(Effect::Reply { to, response: Response { id, tell } });
        }
    }
}

impl<C> Coordination<C> {
    /// What those are asked who have not answered.
    fn asks(&self) -> impl Iterator<Item = Prepare> {
        let rest = self.shares.iter().filter(|(number, _)| !self.ready.contains(number));
        rest.map(|(number, effects)| Prepare {
            txn: self.txn,
            partition: *number,
            at: self.at,
            snapshot: self.commit.snapshot,
            serializable: self.commit.isolation == Isolation::Serializable,
            effects: effects.clone(),
        })
    }

    /// The other partitions that it writes in.
    fn writes_in(&self) -> Vec<u16> {
        let writes = self.shares.iter().filter(|(_, share)| !share.writes.is_empty());
        writes.map(|(number, _)| *number).collect()
    }
}

fn undecided(home: u16, missing: u16) -> Fault {
    let message = match home == missing {
        true => format!("partition {home} could not be written in time"),
        false => format!("partition {missing}, which the job touches, did not answer in time"),
    };
    Fault::new(Code::Unavailable, format!("{message}; nothing was changed; try again"))
}
