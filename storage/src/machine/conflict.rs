//! Whether a part of a job can take effect at a time.
//!
//! Serializable: nothing that it read or scanned may have changed since its snapshot, nor anything
//! that it replaces or deletes. Snapshot: only the latter. Additions collide with each other in
//! nothing: the order in which they happen does not show.
//!
//! And nobody may have read what it writes at its time or later; versions of a record come about in
//! the order of their times. Intents to add to one may come in any order, each at its own time.
//!
//! What is on its way to the disk counts too. A conflict may be told at once, for it changes
//! nothing.

use super::intent::Claim;
use super::write::not_an_integer;
use super::{Bug, Node};
use crate::state::{Content, KeyRange, NotAnInteger, State, StateError, Stored};
use catena_protocol::key::tag;
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::prepare::{Readiness, TxnId};
use catena_protocol::message::write::{Change, Mutation};
use catena_protocol::{JobId, Key, Timestamp};
use std::ops::{ControlFlow, RangeInclusive};

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) job: JobId,
    /// Its own intents are no obstacle.
    pub(super) txn: Option<TxnId>,
    /// When it would take effect.
    pub(super) at: Timestamp,
    /// When it read.
    pub(super) snapshot: Timestamp,
    pub(super) serializable: bool,
    /// What it does in this partition.
    pub(super) effects: &'a Effects,
}

impl Case<'_> {
    fn is_foreign(&self, claim: &Claim) -> bool {
        self.txn != Some(claim.txn)
    }
}

impl<C> Node<C> {
    /// What stands against it.
    pub(super) fn objection<S: State>(
        &self,
        number: u16,
        case: Case<'_>,
        state: &S,
    ) -> Result<Option<Readiness>, StateError> {
        let mut earliest = Timestamp::ZERO;
        for mutation in &case.effects.writes {
            match self.written_before(number, mutation, case, state)? {
                Ok(floor) => earliest = earliest.max(floor),
                Err(objection) => return Ok(Some(objection)),
            }
        }
        if let Some((key, version)) = self.read_before(number, case, state)? {
            return Ok(Some(Readiness::Conflict { key, version, queued: false }));
        }
        Ok((earliest >= case.at).then(|| Readiness::Later(earliest.next())))
    }

    /// Behind what a write has to come; or why it cannot.
    fn written_before<S: State>(
        &self,
        number: u16,
        mutation: &Mutation,
        case: Case<'_>,
        state: &S,
    ) -> Result<Result<Timestamp, Readiness>, StateError> {
        let at = &self.partitions[usize::from(number)];
        let Mutation { key, change } = mutation;
        let adds = matches!(change, Change::Add(_));
        let foreign = || at.intents.on(key).iter().filter(|claim| case.is_foreign(claim));
        let head = at.head(key, state)?;
        let version = head.as_ref().map_or(Timestamp::ZERO, |head| head.version);
        let conflict = |version| Readiness::Conflict { key: key.clone(), version, queued: false };
        if let Some(claim) = foreign().find(|claim| !adds || claim.adds.is_none()) {
            return Ok(Err(conflict(claim.at)));
        }
        let kept = at.lines.is_kept_from(self.now, key, case.job);
        if (version > case.snapshot || kept) && !adds {
            return Ok(Err(conflict(version)));
        }
        let deltas: Vec<i64> = foreign().filter_map(|claim| claim.adds).collect();
        if let Err(reason) = can_add(change, head.as_ref(), &deltas) {
            return Ok(Err(Readiness::Impossible(not_an_integer(key, reason))));
        }
        if at.held.has_writers(key) {
            return Ok(Ok(case.at));
        }
        // Of the intents only additions are left here. They take effect in the order of their times
        // whatever the order in which they came, so one may still come in below others: had each to
        // come above all, jobs that add to the same records in several places would chase each
        // other's times. Only the same time cannot be theirs both.
        let taken = foreign().any(|claim| claim.at == case.at);
        let claimed = if taken { case.at } else { Timestamp::ZERO };
        let read = if self.has(Bug::NoReadMarks) { Timestamp::ZERO } else { at.marks.of(key) };
        Ok(Ok(version.max(claimed).max(read).max(at.closed)))
    }

    /// The first change of something that was read.
    fn read_before<S: State>(
        &self,
        number: u16,
        case: Case<'_>,
        state: &S,
    ) -> Result<Option<(Key, Timestamp)>, StateError> {
        let home = case.txn.is_none_or(|txn| self.home_of(txn) == number);
        if !case.serializable || (!home && self.has(Bug::TrustForeignReads)) {
            return Ok(None);
        }
        let at = &self.partitions[usize::from(number)];
        let blocks = |claim: &&Claim| case.is_foreign(claim) && claim.at <= case.at;
        for key in &case.effects.reads {
            let head = at.head(key, state)?.map(|stored| stored.version);
            let claimed = at.intents.on(key).iter().find(blocks).map(|claim| claim.at);
            if let Some(version) = head.filter(|version| *version > case.snapshot).or(claimed) {
                return Ok(Some((key.clone(), version)));
            }
        }
        let scans = if self.has(Bug::TrustScans) { &[][..] } else { &case.effects.scans };
        for prefix in scans {
            let claimed = at.intents.under(prefix.as_str()).find(|(_, claim)| blocks(claim));
            if let Some((key, claim)) = claimed {
                return Ok(Some((key.clone(), claim.at)));
            }
            if let Some(found) = self.changed_under(number, prefix, case.snapshot, state)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn changed_under<S: State>(
        &self,
        number: u16,
        prefix: &Key,
        since: Timestamp,
        state: &S,
    ) -> Result<Option<(Key, Timestamp)>, StateError> {
        let prefix = prefix.as_str();
        let partition = &self.partitions[usize::from(number)];
        if let Some(found) = partition.pending.changed_in(prefix, since) {
            return Ok(Some(found));
        }
        // What the state has is older than most snapshots.
        if partition.applied.newest <= since {
            return Ok(None);
        }
        let mut found = None;
        let range = KeyRange { prefix, after: None };
        state.scan(number, range, Timestamp::MAX, &mut |key, stored| {
            let version = stored.map(|stored| stored.version);
            found = version.filter(|version| *version > since).map(|version| (key, version));
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    /// Remembers what was read, so that nobody changes it at or before that any more.
    pub(super) fn mark_reads(&mut self, number: u16, case: Case<'_>) {
        if !case.serializable || self.settings.founders.len() < 2 {
            return;
        }
        let marks = &mut self.partitions[usize::from(number)].marks;
        case.effects.reads.iter().for_each(|key| marks.read(key, case.at));
        case.effects.scans.iter().for_each(|prefix| marks.scanned(prefix.as_str(), case.at));
    }
}

/// Whether a change can be made, whichever of the additions before it come true.
fn can_add(change: &Change, head: Option<&Stored>, deltas: &[i64]) -> Result<(), NotAnInteger> {
    let Change::Add(delta) = change else { return Ok(()) };
    let content = head.map(|stored| &stored.content);
    for sign in [1, -1] {
        let same = deltas.iter().filter(|other| other.signum() == sign);
        let sum = same
            .chain((delta.signum() == sign).then_some(delta))
            .try_fold(0_i64, |sum, more| sum.checked_add(*more).ok_or(NotAnInteger::Overflow))?;
        Content::after(&Change::Add(sum), content)?;
    }
    Content::after(change, content).map(drop)
}

/// Where the keys with a prefix live. Without a whole tag that is everywhere.
pub(super) fn partitions_under(prefix: &str, partitions: u16) -> RangeInclusive<u16> {
    let tagged = tag(prefix).len() < prefix.len();
    let home = catena_protocol::partition(prefix, partitions);
    if tagged { home..=home } else { 0..=partitions - 1 }
}
