//! What may be forgotten goes when the engine merges its tables: no search is made for what is
//! old, and nothing is written to take it away.
//!
//! Of each record the newest version at or before the horizon stays, and what a merge finds
//! behind it goes. That a record is gone may only be forgotten when nothing older of it is left
//! anywhere, and a merge sees only some of the tables: it reports such a record, and whoever
//! changes the state next looks at all of it.

use super::{Forget, layout};
use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Records that were reported and not looked at yet, at most. What does not fit is reported again
/// by a later merge.
const REPORTED: usize = 16_384;

/// What merges go by, and what they found.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    versions: AtomicU64,
    requests: AtomicU64,
    outcomes: AtomicU64,
    gone: Mutex<Markers>,
}

/// Records that are gone for good, as far as the merges saw, each with the version that says so as
/// it stands in a row. All before it is gone too.
pub(super) type Markers = BTreeMap<Vec<u8>, [u8; 8]>;

impl Sweep {
    /// From now on so much may go. Must be durable before: what was swept is not there for a
    /// process that knows of an earlier horizon.
    pub(super) fn allow(&self, forget: Forget) {
        self.versions.fetch_max(forget.versions.0, Ordering::Relaxed);
        self.requests.fetch_max(forget.requests.0, Ordering::Relaxed);
        self.outcomes.fetch_max(forget.outcomes.0, Ordering::Relaxed);
    }

    /// What was found since this was asked last.
    pub(super) fn take_gone(&self) -> Markers {
        std::mem::take(&mut *self.gone.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn report(&self, record: &[u8], at: [u8; 8]) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if gone.len() < REPORTED {
            let newest = gone.entry(record.to_vec()).or_insert(at);
            *newest = at.min(*newest);
        }
    }
}

/// What is swept in a keyspace.
#[derive(Debug)]
pub(super) enum Broom {
    /// Versions of records.
    Versions(Arc<Sweep>),
    /// Values that begin with the time up to which they are kept.
    Requests(Arc<Sweep>),
    /// Values that begin with the time up to which they are kept.
    Outcomes(Arc<Sweep>),
}

impl Factory for Broom {
    fn name(&self) -> &'static str {
        "forget"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        match self {
            Self::Versions(sweep) => Box::new(Superseded {
                horizon: sweep.versions.load(Ordering::Relaxed),
                sweep: sweep.clone(),
                settled: Vec::new(),
            }),
            Self::Requests(sweep) => Box::new(Expired(sweep.requests.load(Ordering::Relaxed))),
            Self::Outcomes(sweep) => Box::new(Expired(sweep.outcomes.load(Ordering::Relaxed))),
        }
    }
}

struct Superseded {
    horizon: u64,
    sweep: Arc<Sweep>,
    /// The record whose newest version at or before the horizon has come by.
    settled: Vec<u8>,
}

impl CompactionFilter for Superseded {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let key = item.key();
        let Some((record, at)) = key.split_last_chunk::<8>() else { return Ok(Verdict::Keep) };
        if layout::row_version(key).is_none_or(|version| version.0 > self.horizon) {
            return Ok(Verdict::Keep);
        }
        if self.settled == record {
            return Ok(Verdict::Destroy);
        }
        self.settled.clear();
        self.settled.extend_from_slice(record);
        if super::Content::says_deleted(&item.value()?) {
            self.sweep.report(record, *at);
        }
        Ok(Verdict::Keep)
    }
}

struct Expired(u64);

impl CompactionFilter for Expired {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let value = item.value()?;
        let old = layout::stamp(&value).is_some_and(|(time, _)| time.0 <= self.0);
        Ok(if old { Verdict::Destroy } else { Verdict::Keep })
    }
}
