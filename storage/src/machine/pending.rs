//! The end of a partition's log: records that were appended but are not in the state yet.
//!
//! ```text
//!   applied        committed              last
//!      |   on a        |   on their way     |
//!      |   majority    |   there            |
//! ```
//!
//! Reads look here first, and see only what is committed; writes build upon everything.

use crate::state::{Changes, Stored, TxnChange, Update};
use catena_protocol::message::commit::Outcome;
use catena_protocol::message::prepare::{Intent, TxnId, Unsettled};
use catena_protocol::message::write::Written;
use catena_protocol::{JobId, Key, Member, RequestId, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// What one log record does.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) index: u64,
    pub(super) epoch: u64,
    pub(super) bytes: usize,
    pub(super) update: Arc<Update>,
    pub(super) txns: Vec<TxnStep>,
    pub(super) ceiling: Option<Timestamp>,
    pub(super) voters: Option<Vec<Member>>,
}

/// What a log record does to a transaction.
#[derive(Clone, Debug)]
pub(super) enum TxnStep {
    Intent(Intent),
    Resolve { txn: TxnId, committed: bool },
    Unsettled(Unsettled),
    Settled(TxnId),
}

impl TxnStep {
    const fn is_commit(&self) -> bool {
        matches!(self, Self::Resolve { committed: true, .. })
    }
}

impl From<&TxnStep> for TxnChange {
    fn from(step: &TxnStep) -> Self {
        match step {
            TxnStep::Intent(intent) => Self::Intent(intent.clone()),
            TxnStep::Resolve { txn, .. } => Self::Resolved(*txn),
            TxnStep::Unsettled(unsettled) => Self::Unsettled(unsettled.clone()),
            TxnStep::Settled(txn) => Self::Settled(*txn),
        }
    }
}

impl Draft {
    pub(super) fn version(&self) -> Timestamp {
        self.update.version
    }
}

/// One version of a record.
#[derive(Clone, Debug)]
struct Version {
    index: u64,
    /// It counts already, whatever becomes of the record: its home has committed it.
    counts: bool,
    update: Arc<Update>,
    /// Which row of it.
    row: usize,
}

impl Version {
    fn time(&self) -> Timestamp {
        self.update.version
    }

    fn stored(&self) -> Stored {
        let (_, content) = &self.update.rows[self.row];
        Stored { version: self.time(), content: content.clone() }
    }
}

/// Something that is known, or is about to be.
#[derive(Debug)]
pub(super) enum Known<T> {
    /// It is committed.
    Committed(T),
    /// It will be when the log is committed up to this index.
    Soon(u64),
}

/// The end of a partition's log.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    committed: u64,
    drafts: VecDeque<Draft>,
    keys: BTreeMap<Key, VecDeque<Version>>,
    requests: BTreeMap<RequestId, (u64, Arc<Update>)>,
    jobs: BTreeMap<JobId, (u64, Arc<Update>)>,
}

impl Pending {
    pub(super) const fn new(applied: u64) -> Self {
        Self {
            committed: applied,
            drafts: VecDeque::new(),
            keys: BTreeMap::new(),
            requests: BTreeMap::new(),
            jobs: BTreeMap::new(),
        }
    }

    /// The log begins anew behind a copy of the state.
    pub(super) fn restart(&mut self, applied: u64) {
        *self = Self::new(applied);
    }

    pub(super) const fn committed_index(&self) -> u64 {
        self.committed
    }

    /// Index of the first record here, if there is one.
    pub(super) fn first_index(&self) -> Option<u64> {
        self.drafts.front().map(|draft| draft.index)
    }

    /// Adds the record that follows.
    pub(super) fn push(&mut self, draft: Draft) {
        let index = draft.index;
        let update = &draft.update;
        let counts = draft.txns.iter().any(TxnStep::is_commit);
        for (row, (key, _)) in update.rows.iter().enumerate() {
            let version = Version { index, counts, update: Arc::clone(update), row };
            match self.keys.get_mut(key) {
                Some(versions) => versions.push_back(version),
                None => drop(self.keys.insert(key.clone(), VecDeque::from([version]))),
            }
        }
        if let Some((request, _)) = &update.request {
            self.requests.insert(*request, (index, Arc::clone(update)));
        }
        if let Some(outcome) = &update.outcome {
            self.jobs.insert(outcome.job, (index, Arc::clone(update)));
        }
        self.drafts.push_back(draft);
    }

    /// Everything up to `index` is committed: adds to `changes` what that means for the state.
    /// Returns how many bytes these are.
    pub(super) fn commit(&mut self, partition: u16, index: u64, changes: &mut Changes) -> usize {
        let mut bytes = 0;
        let first = self.drafts.front().map_or(index + 1, |draft| draft.index);
        let done = usize::try_from((self.committed + 1).saturating_sub(first)).unwrap_or(0);
        for draft in self.drafts.iter().skip(done).take_while(|draft| draft.index <= index) {
            bytes += draft.bytes;
            if !draft.update.is_empty() {
                changes.updates.push((partition, Arc::clone(&draft.update)));
            }
            changes.txns.extend(draft.txns.iter().map(|step| (partition, step.into())));
        }
        self.committed = self.committed.max(index);
        bytes
    }

    /// The records behind `after` up to `index`.
    pub(super) fn between(&self, after: u64, index: u64) -> impl Iterator<Item = &Draft> {
        let first = self.drafts.front().map_or(0, |draft| draft.index);
        let skip = usize::try_from((after + 1).saturating_sub(first)).unwrap_or(0);
        self.drafts.iter().skip(skip).take_while(move |draft| draft.index <= index)
    }

    /// The state contains everything up to `index`: of that the oldest goes, at most as many
    /// records as `most` says, which is lowered by them. Returns how many bytes that frees.
    pub(super) fn applied(&mut self, index: u64, most: &mut usize) -> usize {
        let mut freed = 0;
        while *most > 0 && self.drafts.front().is_some_and(|draft| draft.index <= index) {
            let Some(draft) = self.drafts.pop_front() else { break };
            freed += self.forget(&draft);
            *most -= 1;
        }
        freed
    }

    /// Everything behind `index`, none of it committed, is gone. Returns how many bytes that
    /// frees.
    pub(super) fn truncate(&mut self, index: u64) -> usize {
        let mut freed = 0;
        while self.drafts.back().is_some_and(|draft| draft.index > index) {
            let Some(draft) = self.drafts.pop_back() else { break };
            freed += self.forget(&draft);
        }
        freed
    }

    fn forget(&mut self, draft: &Draft) -> usize {
        for (key, _) in &draft.update.rows {
            self.forget_version(key, draft.index);
        }
        if let Some((request, _)) = &draft.update.request
            && self.requests.get(request).is_some_and(|(index, _)| *index == draft.index)
        {
            self.requests.remove(request);
        }
        if let Some(outcome) = &draft.update.outcome
            && self.jobs.get(&outcome.job).is_some_and(|(index, _)| *index == draft.index)
        {
            self.jobs.remove(&outcome.job);
        }
        draft.bytes
    }

    /// The highest ceiling and version behind what is committed.
    pub(super) fn latest(&self) -> Timestamp {
        let times = self.drafts.iter().map(|d| d.version().max(d.ceiling.unwrap_or_default()));
        times.max().unwrap_or_default()
    }

    /// The lowest version that is not committed yet.
    pub(super) fn first_undecided(&self) -> Option<Timestamp> {
        let open = self.between(self.committed, u64::MAX);
        open.map(Draft::version).filter(|version| *version != Timestamp::ZERO).min()
    }

    fn forget_version(&mut self, key: &Key, index: u64) {
        let Some(versions) = self.keys.get_mut(key) else { return };
        // Records go from either end.
        if versions.front().is_some_and(|version| version.index == index) {
            versions.pop_front();
        } else if versions.back().is_some_and(|version| version.index == index) {
            versions.pop_back();
        }
        if versions.is_empty() {
            self.keys.remove(key);
        }
    }

    pub(super) fn head(&self, key: &Key) -> Option<Stored> {
        self.keys.get(key)?.back().map(Version::stored)
    }

    /// The index with which the newest version of a record is committed, if it is not yet.
    pub(super) fn head_index(&self, key: &Key) -> Option<u64> {
        let last = self.keys.get(key)?.back()?;
        (last.index > self.committed).then_some(last.index)
    }

    pub(super) fn committed(&self, key: &Key, at: Timestamp) -> Option<Stored> {
        self.visible(self.keys.get(key)?, at)
    }

    /// The newest committed version at or before `at`. Versions grow along the log.
    fn visible(&self, versions: &VecDeque<Version>, at: Timestamp) -> Option<Stored> {
        let sees = |version: &Version| version.index <= self.committed && version.time() <= at;
        let behind = versions.partition_point(sees);
        versions.get(behind.checked_sub(1)?).map(Version::stored)
    }

    /// The index with which no version of `key` at or before `at` is on its way any more.
    pub(super) fn undecided(&self, key: &Key, at: Timestamp) -> Option<u64> {
        let versions = self.keys.get(key)?;
        let behind = versions.partition_point(|version| version.time() <= at);
        let last = versions.get(behind.checked_sub(1)?)?;
        (last.index > self.committed).then_some(last.index)
    }

    /// The index with which what counts already of a key is committed here too.
    pub(super) fn counting(&self, key: &Key) -> Option<u64> {
        let on_its_way = |version: &&Version| version.index > self.committed && version.counts;
        self.keys.get(key)?.iter().rev().find(on_its_way).map(|version| version.index)
    }

    /// The same of all keys.
    pub(super) fn counting_any(&self) -> Option<u64> {
        let commits = |draft: &&Draft| draft.txns.iter().any(TxnStep::is_commit);
        self.between(self.committed, u64::MAX).filter(commits).last().map(|draft| draft.index)
    }

    /// The index with which nothing at or before `at` is on its way any more.
    pub(super) fn undecided_any(&self, at: Timestamp) -> Option<u64> {
        let on_its_way = |draft: &&Draft| draft.version() <= at && !draft.update.rows.is_empty();
        self.between(self.committed, u64::MAX).filter(on_its_way).last().map(|draft| draft.index)
    }

    /// The committed versions at or before `at` of all keys with a prefix, behind `after`.
    pub(super) fn committed_in<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Key>,
        at: Timestamp,
    ) -> impl Iterator<Item = (&'a Key, Stored)> {
        self.in_prefix(prefix, after)
            .filter_map(move |(key, versions)| Some((key, self.visible(versions, at)?)))
    }

    /// A key with a prefix that has a version after `since`, durable or not.
    pub(super) fn changed_in(&self, prefix: &str, since: Timestamp) -> Option<(Key, Timestamp)> {
        self.in_prefix(prefix, None).find_map(|(key, versions)| {
            let newest = versions.back()?.time();
            (newest > since).then(|| (key.clone(), newest))
        })
    }

    fn in_prefix<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Key>,
    ) -> impl Iterator<Item = (&'a Key, &'a VecDeque<Version>)> {
        let first = Key::new(prefix).ok();
        let start = match (after, first) {
            (Some(after), Some(first)) if *after < first => Bound::Included(first),
            (Some(after), _) => Bound::Excluded(after.clone()),
            (None, Some(first)) => Bound::Included(first),
            (None, None) => Bound::Unbounded,
        };
        self.keys
            .range((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.as_str().starts_with(prefix))
    }

    pub(super) fn written(&self, request: &RequestId) -> Option<Known<Written>> {
        let (index, update) = self.requests.get(request)?;
        let (_, written) = update.request.as_ref()?;
        Some(self.known(*index, written))
    }

    pub(super) fn outcome(&self, job: &JobId) -> Option<Known<Outcome>> {
        let (index, update) = self.jobs.get(job)?;
        Some(self.known(*index, update.outcome.as_deref()?))
    }

    fn known<T: Clone>(&self, index: u64, thing: &T) -> Known<T> {
        if index <= self.committed { Known::Committed(thing.clone()) } else { Known::Soon(index) }
    }
}
