//! What is old is forgotten, a little in every turn.
//!
//! Three trails are followed from their oldest end: versions that the horizon has passed,
//! answers that nobody will ask for again, outcomes that have expired. The work of a turn is
//! bounded, and the next one waits until the last one's changes are in the state.

use super::{Effect, Node};
use crate::state::{Changes, State, StateError, StepOf, Trail};
use catena_protocol::clock::Now;
use catena_protocol::{Key, Timestamp};
use std::collections::BTreeSet;

/// Time between two looks, when little is to be done.
const IDLE_US: u64 = 100_000;
/// Time between two looks, when there is more than fits into one.
const BUSY_US: u64 = 5_000;
/// Partitions that one look goes through.
const PARTITIONS: u16 = 8;
/// Entries of each trail that one look takes from each partition.
const ENTRIES: usize = 256;
/// Versions of one record that one look takes away.
const VERSIONS: usize = 1_024;

/// Where forgetting stands.
#[derive(Clone, Debug)]
pub(super) struct Retention {
    next_us: u64,
    next_partition: u16,
    /// The batch that is being applied.
    batch: Option<u64>,
}

impl Retention {
    /// Nothing is forgotten before the node has begun.
    pub(super) const fn new() -> Self {
        Self { next_us: u64::MAX, next_partition: 0, batch: None }
    }

    pub(super) const fn start(&mut self, now: Now) {
        self.next_us = now.mono_us + IDLE_US;
    }

    pub(super) fn applied(&mut self, batch: u64) {
        if self.batch.is_some_and(|own| own <= batch) {
            self.batch = None;
        }
    }

    pub(super) fn deadline_us(&self) -> Option<u64> {
        self.batch.is_none().then_some(self.next_us)
    }
}

impl<C> Node<C> {
    /// The oldest time that can be read. Never falls.
    pub(super) fn horizon(&mut self, now: Now) -> Timestamp {
        let kept = self.clock.read(now.wall_us).minus_ms(self.settings.retention_ms);
        self.horizon = self.horizon.max(kept);
        self.horizon
    }

    /// Takes a look at some partitions, if it is time.
    pub(super) fn retain<S: State>(
        &mut self,
        now: Now,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        if self.retention.batch.is_some() || now.mono_us < self.retention.next_us {
            return Ok(());
        }
        let horizon = self.horizon(now);
        let mut look = Look { state, changes: Changes::default(), more: false };
        for _ in 0..PARTITIONS.min(self.settings.partitions) {
            let partition = self.retention.next_partition;
            self.retention.next_partition = (partition + 1) % self.settings.partitions;
            look.versions(partition, horizon)?;
            let present = self.clock.read(now.wall_us);
            let forgotten = present.minus_ms(self.settings.request_memory_ms);
            look.ids(Trail::Requests, partition, forgotten)?;
            look.ids(Trail::Outcomes, partition, present)?;
        }
        let Look { mut changes, more, .. } = look;
        self.retention.next_us = now.mono_us + if more { BUSY_US } else { IDLE_US };
        if !changes.forget.steps.is_empty() || !changes.forget.versions.is_empty() {
            changes.horizon = Some(horizon);
            self.apply(changes, Vec::new(), false, out);
            self.retention.batch = Some(self.next_batch);
        }
        Ok(())
    }
}

struct Look<'a, S> {
    state: &'a S,
    changes: Changes,
    more: bool,
}

impl<S: State> Look<'_, S> {
    fn versions(&mut self, partition: u16, horizon: Timestamp) -> Result<(), StateError> {
        let steps =
            self.state.trail(Trail::Versions, partition, Timestamp::ZERO, horizon, ENTRIES)?;
        self.more |= steps.len() == ENTRIES;
        let keys: BTreeSet<&Key> = steps.iter().filter_map(|step| key(&step.of)).collect();
        let mut unfinished = BTreeSet::new();
        for key in keys {
            let found = self.state.superseded(partition, key, horizon, VERSIONS)?;
            if !found.all {
                unfinished.insert(key);
            }
            let oldest_first = found.versions.into_iter().rev();
            let forget = oldest_first.map(|version| (partition, key.clone(), version));
            self.changes.forget.versions.extend(forget);
        }
        self.more |= !unfinished.is_empty();
        let done =
            steps.iter().filter(|step| key(&step.of).is_none_or(|k| !unfinished.contains(k)));
        let done = done.map(|step| (Trail::Versions, partition, step.clone()));
        self.changes.forget.steps.extend(done);
        Ok(())
    }

    fn ids(&mut self, trail: Trail, partition: u16, until: Timestamp) -> Result<(), StateError> {
        let steps = self.state.trail(trail, partition, Timestamp::ZERO, until, ENTRIES)?;
        self.more |= steps.len() == ENTRIES;
        for step in steps {
            match &step.of {
                StepOf::Request(request) => {
                    self.changes.forget.requests.push((partition, *request));
                }
                StepOf::Job(job) => self.changes.forget.outcomes.push((partition, *job)),
                StepOf::Key(_) => {}
            }
            self.changes.forget.steps.push((trail, partition, step));
        }
        Ok(())
    }
}

const fn key(of: &StepOf) -> Option<&Key> {
    match of {
        StepOf::Key(key) => Some(key),
        StepOf::Request(_) | StepOf::Job(_) => None,
    }
}
