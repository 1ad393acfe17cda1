//! **commit**: a job takes effect, once, whole or not at all.
//!
//! An outcome that is known is the answer. Otherwise the attempt is checked against everything
//! that came after its snapshot, and its outcome goes into the log of its home partition, its
//! writes with it. Where this node alone decides about everything that the job touches, that is
//! one frame, which is whole on disk or not there. Where it does not, the others are asked first
//! (`coordinate.rs`).
//!
//! A job that adds to something that is not an integer has failed: that is its outcome.

use super::conflict::Case;
use super::costs::explained;
use super::effect::Verdict;
use super::pending::Known;
use super::share::{Shares, shares};
use super::turns::Queued;
use super::write::{not_an_integer, value_too_large};
use super::{Bug, Effect, Event, Node};
use crate::state::{Content, State, StateError};
use catena_protocol::chain::Isolation;
use catena_protocol::clock::Now;
use catena_protocol::limit::{
    OUTCOME_RUN_MS, OUTCOME_SUBMIT_MS, PAYLOAD_BYTES, RETENTION_MARGIN_MS, SET_KEYS,
    WRITE_SET_BYTES,
};
use catena_protocol::message::commit::{Commit, Decided, End, Outcome};
use catena_protocol::message::prepare::{Readiness, TxnId, Unsettled};
use catena_protocol::message::replicate::Decision;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::{Change, Mutation};
use catena_protocol::{Code, Fault, Key, Timestamp};
use std::collections::BTreeSet;

/// Longest reason of a failure that is recorded, in bytes; the rest is cut off.
const REASON_BYTES: usize = 16 * 1024;

/// Writes in one partition, and what they make of their keys.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub(super) mutations: Vec<Mutation>,
    pub(super) rows: Vec<(Key, Content)>,
}

impl<C> Node<C> {
    pub(super) fn commit<S: State>(
        &mut self,
        now: Now,
        home: u16,
        mut commit: Commit,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<Verdict, StateError> {
        match self.known_outcome(home, &commit.job, state)? {
            Some(Known::Soon(index)) => return Ok(self.wait(index, Ask::Commit(commit))),
            Some(Known::Committed(outcome)) => {
                let version = outcome.version;
                let tell = Tell::Decided(Decided::Outcome(outcome));
                return Ok(Verdict::Seen { version, tell });
            }
            None => {}
        }
        if let Some(verdict) = self.deciding(home, &commit) {
            return Ok(verdict);
        }
        if let Err(tell) = self.admit_commit(now, &commit) {
            return Ok(Verdict::Tell(tell));
        }
        let shares = shares(&mut commit, self.settings.partitions);
        if self.decides_at_once(home, &shares) {
            self.commit_at_once(now, home, commit, shares, state, out)
        } else {
            Ok(self.coordinate(now, home, commit, shares))
        }
    }

    fn admit_commit(&mut self, now: Now, commit: &Commit) -> Result<(), Tell> {
        check(commit).map_err(Tell::Fault)?;
        self.admit_write(now)?;
        let keep_ms = kept_ms(commit);
        let now_ms = self.clock.read(now.wall_us).0 / 1000;
        // An id that stands for a key does not say its age. The attempt is as old as its snapshot.
        let begun_ms = (commit.snapshot != Timestamp::ZERO).then_some(commit.snapshot.0 / 1_000);
        let since_ms = commit.job.submitted_ms().or(begun_ms);
        let age_ms = since_ms.map_or(0, |at| now_ms.saturating_sub(at));
        if age_ms > keep_ms {
            return Err(Tell::Fault(Fault::new(
                Code::Deadline,
                format!(
                    "the job was begun {age_ms} ms ago and outcomes of its kind are kept for \
                     {keep_ms} ms, so it may have ended before; nothing was recorded; submit it anew"
                ),
            )));
        }
        if matches!(commit.end, End::Committed(_)) && commit.isolation != Isolation::Latest {
            self.open_snapshot(now, commit.snapshot)?;
        }
        Ok(())
    }

    /// Whether nobody else has a say, and nobody is about to write the same.
    fn decides_at_once(&self, home: u16, shares: &Shares) -> bool {
        shares.iter().all(|(number, effects)| {
            let intents = &self.partitions[usize::from(*number)].intents;
            (*number == home || self.decides_alone(*number))
                && effects.writes.iter().all(|write| intents.on(&write.key).is_empty())
        })
    }

    fn decides_alone(&self, number: u16) -> bool {
        let partition = &self.partitions[usize::from(number)];
        partition.serves() && partition.voters.now().len() == 1
    }

    fn commit_at_once<S: State>(
        &mut self,
        now: Now,
        home: u16,
        mut commit: Commit,
        shares: Shares,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<Verdict, StateError> {
        let at = self.clock.tick(now.wall_us);
        let costs = commit.explain.then(|| self.costs(home, &shares));
        let serializable = commit.isolation == Isolation::Serializable;
        for (number, effects) in &shares {
            let case = Case {
                job: commit.job,
                txn: None,
                at,
                snapshot: commit.snapshot,
                serializable,
                effects,
            };
            match self.objection(*number, case, state)? {
                Some(Readiness::Conflict { key, version, .. }) => {
                    self.count_conflict(home, &key, out);
                    return self.lose(now, home, *number, &commit, (key, version), state);
                }
                Some(Readiness::Impossible(fault)) => {
                    commit.end = End::Failed(fault);
                    break;
                }
                // Its time is later than everything that was ever seen here.
                _ => self.mark_reads(*number, case),
            }
        }
        let mut own = Share::default();
        let mut others = Vec::new();
        let counts = matches!(commit.end, End::Committed(_));
        for (number, effects) in shares.into_iter().filter(|_| counts) {
            match self.rows_of(number, effects.writes, state)? {
                Ok(share) if number == home => own = share,
                Ok(share) => others.push((number, share)),
                Err(fault) => commit.end = End::Failed(fault),
            }
        }
        if !matches!(commit.end, End::Committed(_)) {
            own = Share::default();
            others.clear();
        }
        let job = commit.job;
        let touched: Vec<u16> = others.iter().map(|(number, _)| *number).chain([home]).collect();
        let (index, tell) = self.log_outcome(now, home, at, (commit, own), None);
        let tell = explained(tell, costs);
        for (number, share) in others.into_iter().filter(|(_, share)| !share.rows.is_empty()) {
            self.raise_ceiling(now, number, at);
            self.append(number, at, Decision::Effects { mutations: share.mutations }, share.rows);
        }
        for number in touched {
            self.leave_lines(now, number, job, state)?;
        }
        Ok(Verdict::Once { index, version: at, tell })
    }

    /// A job that lost hears of it when it is its turn.
    fn lose<S: State>(
        &mut self,
        now: Now,
        home: u16,
        number: u16,
        commit: &Commit,
        (key, version): (Key, Timestamp),
        state: &S,
    ) -> Result<Verdict, StateError> {
        let job = commit.job;
        self.next_txn += 1;
        let epoch = self.partitions[usize::from(home)].epoch;
        let txn = TxnId { job, epoch, number: self.next_txn };
        let me = self.settings.me.node.clone();
        if !self.stand_in_line(now, number, &key, (txn, &me), state)? {
            return Ok(Verdict::Tell(Tell::Decided(Decided::Conflict { key, version })));
        }
        self.queue(home, Queued::new(now, txn, commit.attempt, (key, version), Vec::new()));
        Ok(Verdict::Join { job })
    }

    /// What writes make of their keys; or why one of them cannot be done.
    pub(super) fn rows_of<S: State>(
        &self,
        number: u16,
        mutations: Vec<Mutation>,
        state: &S,
    ) -> Result<Result<Share, Fault>, StateError> {
        let mut rows = Vec::with_capacity(mutations.len());
        for Mutation { key, change } in &mutations {
            let head = match change {
                Change::Add(_) => self.partitions[usize::from(number)].head(key, state)?,
                Change::Put(_) | Change::Delete => None,
            };
            match Content::after(change, head.as_ref().map(|head| &head.content)) {
                Ok(content) => rows.push((key.clone(), content)),
                Err(reason) => return Ok(Err(not_an_integer(key, reason))),
            }
        }
        Ok(Ok(Share { mutations, rows }))
    }

    /// Records how the job ended, with its writes in its home. Returns the index with which that
    /// is committed, and what is told then.
    pub(super) fn log_outcome(
        &mut self,
        now: Now,
        home: u16,
        version: Timestamp,
        (commit, share): (Commit, Share),
        unsettled: Option<Unsettled>,
    ) -> (u64, Tell) {
        let since_ms = commit.job.submitted_ms().unwrap_or(0).max(version.0 / 1000);
        let keep_ms = match self.has(Bug::ForgetOutcome) {
            true => 0,
            false => kept_ms(&commit) + RETENTION_MARGIN_MS,
        };
        let outcome = Outcome {
            job: commit.job,
            attempt: commit.attempt,
            chain: commit.chain,
            version,
            end: shortened(commit.end),
            expires: Timestamp(since_ms.saturating_mul(1000)).plus_ms(keep_ms),
        };
        self.raise_ceiling(now, home, version);
        let Share { mutations, rows } = share;
        let decision = Decision::Outcome { outcome: outcome.clone(), mutations, unsettled };
        let index = self.append(home, version, decision, rows);
        (index, Tell::Decided(Decided::Outcome(outcome)))
    }

    /// A job has lost against another one.
    pub(super) fn count_conflict(&self, home: u16, key: &Key, out: &mut Vec<Effect<C>>) {
        let prefix = super::prefix::prefix(key);
        out.push(Effect::Event(Event::Conflicts { partition: home, prefix }));
    }
}
/// How long the outcome is kept: never shorter than jobs are delivered again.
fn kept_ms(commit: &Commit) -> u64 {
    commit.keep_ms.clamp(OUTCOME_RUN_MS, OUTCOME_SUBMIT_MS)
}

/// What can be said about a commit without looking at the store.
fn check(commit: &Commit) -> Result<(), Fault> {
    if let End::Committed(result) = &commit.end {
        let effects = &commit.effects;
        limit("bytes in the result", result.len(), PAYLOAD_BYTES)?;
        limit("keys and prefixes read", effects.reads.len() + effects.scans.len(), SET_KEYS)?;
        limit("keys written", effects.writes.len(), SET_KEYS)?;
        limit("bytes written", effects.write_bytes(), WRITE_SET_BYTES)?;
        for mutation in &effects.writes {
            if let Change::Put(value) = &mutation.change
                && value.len() > catena_protocol::limit::VALUE_BYTES
            {
                return Err(value_too_large(&mutation.key, value.len()));
            }
        }
        let keys: BTreeSet<&Key> = effects.writes.iter().map(|write| &write.key).collect();
        if keys.len() != effects.writes.len() {
            return Err(Fault::bad_request("a key is written twice; nothing was changed"));
        }
        if commit.isolation == Isolation::Latest && !effects.writes.is_empty() {
            return Err(Fault::bad_request(
                "a chain with isolation `latest` writes directly, not with its commit; nothing was changed",
            ));
        }
    }
    Ok(())
}

fn limit(what: &str, found: usize, most: usize) -> Result<(), Fault> {
    if found <= most {
        return Ok(());
    }
    let message = format!("{found} {what}; at most {most} are allowed; nothing was changed");
    Err(Fault::new(Code::TooLarge, message))
}

fn shortened(end: End) -> End {
    let shorten = |mut fault: Fault| {
        let mut end = fault.message.len().min(REASON_BYTES);
        while !fault.message.is_char_boundary(end) {
            end -= 1;
        }
        fault.message.truncate(end);
        fault
    };
    match end {
        End::Failed(fault) => End::Failed(shorten(fault)),
        End::Dead(fault) => End::Dead(shorten(fault)),
        End::Committed(_) | End::Cancelled => end,
    }
}
