//! **commit**: a job takes effect, once, whole or not at all.
//!
//! An outcome that is known is the answer. Otherwise the attempt is checked against everything
//! that came after its snapshot, and its outcome goes into the log of its home partition, its
//! writes with it. Writes in other partitions are records of those, with the same version in the
//! same frame, which is whole on disk or not there: this holds as long as one node alone decides
//! about them all. Where it does not, such a job is refused for the time being.
//!
//! A job that adds to something that is not an integer has failed: that is its outcome.

use super::Node;
use super::conflict::partitions_under;
use super::effect::Verdict;
use super::pending::Known;
use super::write::{not_an_integer, value_too_large};
use crate::state::{Content, State, StateError};
use catena_protocol::chain::Isolation;
use catena_protocol::clock::Now;
use catena_protocol::limit::{
    OUTCOME_RUN_MS, OUTCOME_SUBMIT_MS, PAYLOAD_BYTES, RETENTION_MARGIN_MS, SET_KEYS,
    WRITE_SET_BYTES,
};
use catena_protocol::message::commit::{Commit, Decided, End, Outcome};
use catena_protocol::message::replicate::Decision;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::{Change, Mutation};
use catena_protocol::{Code, Fault, Key, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Longest reason of a failure that is recorded, in bytes; the rest is cut off.
const REASON_BYTES: usize = 16 * 1024;

/// Writes of a job in one partition, and what they make of their keys.
#[derive(Debug, Default)]
struct Share {
    mutations: Vec<Mutation>,
    rows: Vec<(Key, Content)>,
}

type Shares = BTreeMap<u16, Share>;

impl<C> Node<C> {
    pub(super) fn commit<S: State>(
        &mut self,
        now: Now,
        home: u16,
        mut commit: Commit,
        state: &S,
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
        if let Err(tell) = self.admit_commit(now, home, &commit) {
            return Ok(Verdict::Tell(tell));
        }
        let mut shares = Shares::new();
        if matches!(commit.end, End::Committed(_)) && commit.isolation != Isolation::Latest {
            if let Some((key, version)) = self.conflict(&commit, state)? {
                return Ok(Verdict::Tell(Tell::Decided(Decided::Conflict { key, version })));
            }
            let writes = std::mem::take(&mut commit.effects.writes);
            match self.shares(writes, state)? {
                Ok(found) => shares = found,
                Err(fault) => commit.end = End::Failed(fault),
            }
        }
        Ok(self.conclude(now, home, commit, shares))
    }

    fn admit_commit(&mut self, now: Now, home: u16, commit: &Commit) -> Result<(), Tell> {
        check(commit).map_err(Tell::Fault)?;
        self.one_place(home, commit)?;
        self.admit_write(now)?;
        let keep_ms = kept_ms(commit);
        let now_ms = self.clock.read(now.wall_us).0 / 1000;
        let age_ms = commit.job.submitted_ms().map_or(0, |at| now_ms.saturating_sub(at));
        if age_ms > keep_ms {
            return Err(Tell::Fault(Fault::new(
                Code::Deadline,
                format!(
                    "the job was submitted {age_ms} ms ago and outcomes of its kind are kept for \
                     {keep_ms} ms, so it may have ended before; nothing was recorded; submit it anew"
                ),
            )));
        }
        if matches!(commit.end, End::Committed(_)) && commit.isolation != Isolation::Latest {
            self.open_snapshot(now, commit.snapshot)?;
        }
        Ok(())
    }

    /// Several partitions take effect together where this node alone decides about all of them:
    /// then one frame is the whole.
    fn one_place(&self, home: u16, commit: &Commit) -> Result<(), Tell> {
        if !matches!(commit.end, End::Committed(_)) {
            return Ok(());
        }
        let mut touched = self.touched(commit);
        match touched.find(|number| *number != home && !self.decides_alone(*number)) {
            None => Ok(()),
            Some(other) => Err(Tell::Fault(Fault::new(
                Code::Unavailable,
                format!(
                    "the job touches partition {other} besides its home {home}, and these are \
                     replicated; such a job cannot commit yet: nothing was changed; keep what it \
                     touches under one {{tag}}, with that as its routing key"
                ),
            ))),
        }
    }

    fn touched<'a>(&self, commit: &'a Commit) -> impl Iterator<Item = u16> + 'a {
        let partitions = self.settings.partitions;
        let effects = &commit.effects;
        let read = commit.isolation == Isolation::Serializable;
        let reads = effects.reads.iter().filter(move |_| read);
        let keys = effects.writes.iter().map(|write| &write.key).chain(reads);
        let scans = effects.scans.iter().filter(move |_| read);
        let scanned = scans.flat_map(move |prefix| partitions_under(prefix.as_str(), partitions));
        keys.map(move |key| key.partition(partitions)).chain(scanned)
    }

    fn decides_alone(&self, number: u16) -> bool {
        let partition = &self.partitions[usize::from(number)];
        partition.serves() && partition.voters.now().len() == 1
    }

    /// The writes of a job by partition; or why one of them cannot be done.
    fn shares<S: State>(
        &self,
        writes: Vec<Mutation>,
        state: &S,
    ) -> Result<Result<Shares, Fault>, StateError> {
        let mut shares = Shares::new();
        for mutation in writes {
            let partition = mutation.key.partition(self.settings.partitions);
            let head = match &mutation.change {
                Change::Add(_) => {
                    self.partitions[usize::from(partition)].head(&mutation.key, state)?
                }
                Change::Put(_) | Change::Delete => None,
            };
            match Content::after(&mutation.change, head.as_ref().map(|h| &h.content)) {
                Ok(content) => {
                    let share = shares.entry(partition).or_default();
                    share.rows.push((mutation.key.clone(), content));
                    share.mutations.push(mutation);
                }
                Err(reason) => return Ok(Err(not_an_integer(&mutation.key, reason))),
            }
        }
        Ok(Ok(shares))
    }

    /// Records how the job ended, and its writes, all in one frame.
    fn conclude(&mut self, now: Now, home: u16, commit: Commit, mut shares: Shares) -> Verdict {
        let version = self.clock.tick(now.wall_us);
        let since_ms = commit.job.submitted_ms().unwrap_or(0).max(version.0 / 1000);
        let keep_ms = kept_ms(&commit) + RETENTION_MARGIN_MS;
        let outcome = Outcome {
            job: commit.job,
            attempt: commit.attempt,
            chain: commit.chain,
            version,
            end: shortened(commit.end),
            expires: Timestamp(since_ms.saturating_mul(1000)).plus_ms(keep_ms),
        };
        let own = shares.remove(&home).unwrap_or_default();
        self.raise_ceiling(now, home, version);
        let decision = Decision::Outcome { outcome: outcome.clone(), mutations: own.mutations };
        let index = self.append(home, version, decision, own.rows);
        for (partition, share) in shares {
            self.raise_ceiling(now, partition, version);
            let decision = Decision::Effects { mutations: share.mutations };
            self.append(partition, version, decision, share.rows);
        }
        Verdict::Once { index, version, tell: Tell::Decided(Decided::Outcome(outcome)) }
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
