//! What is done to a store under measurement, and to which keys.
//!
//! Every lane has keys of its own, so that an update knows what it finds. All stores are driven in
//! the same way, at the same keys, with the same bytes.

use crate::command::bench::drive::{Measured, drive};
use crate::failure::Failure;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::iter;
use std::time::Duration;

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The latest value of a key.
    Read,
    /// A new value, whatever was there.
    Write,
    /// A new value in place of one that is known: `updateIfValueIs`, in JetStream KV `update` with
    /// the revision.
    Update,
}

impl Operation {
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Update];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Update => "update",
        }
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) operation: Operation,
    /// Bytes of a value.
    pub(crate) payload: usize,
    /// Operations in flight.
    pub(crate) in_flight: usize,
    pub(crate) time: Duration,
}

/// A store under measurement. Keys are numbers.
pub(crate) trait Stored: Clone + Send + Sync + 'static {
    /// The value of `key`, which is there.
    fn read(&self, key: usize) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Sets `key`.
    fn write(&self, key: usize, value: Bytes) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Sets `key`, which nobody else changes, if it still holds `old`.
    fn update(
        &self,
        key: usize,
        old: Bytes,
        new: Bytes,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Keys in all, where there are not more lanes.
const KEYS: usize = 1_000;
/// Writes under way while the keys are made.
const MAKING: usize = 64;

/// The keys of the lanes.
#[derive(Clone, Copy, Debug)]
struct Keys {
    lanes: usize,
    each: usize,
}

impl Keys {
    fn of(case: &Case) -> Self {
        Self { lanes: case.in_flight, each: (KEYS / case.in_flight).max(1) }
    }

    const fn count(self) -> usize {
        self.lanes * self.each
    }

    /// The key of a lane's turn, and how often the lane has had it before.
    const fn at(self, lane: usize, turn: u64) -> (usize, u64) {
        let each = self.each as u64;
        (lane + self.lanes * (turn % each) as usize, turn / each)
    }
}

/// The value of a key after so many updates.
fn value(payload: usize, updates: u64) -> Bytes {
    format!("{updates:0payload$}").into()
}

/// Gives every key of a case its first value.
pub(crate) async fn prepare(store: &impl Stored, case: &Case) -> Result<(), Failure> {
    let first = value(case.payload, 0);
    let made = iter(0..Keys::of(case).count()).map(|key| store.write(key, first.clone()));
    let mut made = made.buffer_unordered(MAKING);
    while let Some(made) = made.next().await {
        made?;
    }
    Ok(())
}

/// Measures a store that is prepared for this.
pub(crate) async fn measure(store: impl Stored, case: &Case) -> Result<Measured, Failure> {
    let (operation, payload, keys) = (case.operation, case.payload, Keys::of(case));
    drive(case.in_flight, case.time, move |lane, turn| {
        let store = store.clone();
        async move {
            let (key, updates) = keys.at(lane, turn);
            match operation {
                Operation::Read => store.read(key).await,
                Operation::Write => store.write(key, value(payload, updates)).await,
                Operation::Update => {
                    let (old, new) = (value(payload, updates), value(payload, updates + 1));
                    store.update(key, old, new).await
                }
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn no_key_has_two_lanes_and_updates_are_counted_by_key() {
        let keys = Keys { lanes: 3, each: 4 };
        let mut seen: BTreeMap<usize, (usize, u64)> = BTreeMap::new();
        for lane in 0..3 {
            for turn in 0..12 {
                let (key, updates) = keys.at(lane, turn);
                assert!(key < keys.count());
                let (owner, next) = seen.entry(key).or_insert((lane, 0));
                assert_eq!((*owner, *next), (lane, updates), "key {key}");
                *next += 1;
            }
        }
        assert_eq!(seen.len(), keys.count());
    }
}
