//! The load under which nodes are killed: one writer for each partition, always with one write
//! under way, so that every gap is seen to its end and none hides another.

use super::gaps::Gaps;
use crate::failure::Failure;
use catena_client::Store;
use catena_protocol::Key;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Bytes of a value.
const VALUE: usize = 128;
/// How long a partition may take no writes before the measurement is given up.
const LONGEST: Duration = Duration::from_secs(60);
/// A writer whose write failed waits so long, so that quick refusals do not become a flood.
const PAUSE: Duration = Duration::from_millis(5);

/// Writers at work. Dropped, they end.
pub(crate) struct Load {
    shared: Arc<Shared>,
    _writers: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    gaps: Mutex<Option<Gaps>>,
    closed: Notify,
    failed: AtomicU64,
}

impl Load {
    /// Starts a writer for each of `partitions` partitions.
    pub(crate) fn start(store: &Store, partitions: u16) -> Result<Self, Failure> {
        let shared = Arc::new(Shared::default());
        let mut writers = JoinSet::new();
        for (partition, key) in keys(partitions)? {
            writers.spawn(write(store.clone(), key, partition, Arc::clone(&shared)));
        }
        Ok(Self { shared, _writers: writers })
    }

    /// Writes that ended with an error so far.
    pub(crate) fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// From now on the load looks for the ends of these gaps.
    pub(crate) fn watch(&self, gaps: Gaps) {
        *self.shared.lock() = Some(gaps);
    }

    /// Waits until all gaps that are watched are over.
    pub(crate) async fn over(&self) -> Result<Vec<Duration>, Failure> {
        let over = async {
            loop {
                // Asked for before looking, so that an end in between is not missed.
                let closed = self.shared.closed.notified();
                if let Some(gaps) = self.shared.all_closed() {
                    return gaps.closed().values().copied().collect();
                }
                closed.await;
            }
        };
        tokio::time::timeout(LONGEST, over).await.map_err(|_| self.stuck())
    }

    fn stuck(&self) -> Failure {
        let open = self.shared.lock().as_ref().map(|gaps| gaps.open().clone()).unwrap_or_default();
        let seconds = LONGEST.as_secs();
        Failure::new(format!("partitions {open:?} took no write for {seconds} s after a kill"))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Gaps>> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledged(&self, partition: u16, began: Instant) {
        let mut gaps = self.lock();
        if let Some(gaps) = &mut *gaps {
            gaps.acknowledged(partition, began, Instant::now());
            if gaps.open().is_empty() {
                self.closed.notify_waiters();
            }
        }
    }

    fn all_closed(&self) -> Option<Gaps> {
        self.lock().take_if(|gaps| gaps.open().is_empty())
    }
}

async fn write(store: Store, key: Key, partition: u16, shared: Arc<Shared>) {
    let value = vec![b'x'; VALUE];
    loop {
        let began = Instant::now();
        match store.write(&key, value.clone()).await {
            Ok(_) => shared.acknowledged(partition, began),
            Err(_) => {
                shared.failed.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A key of each partition.
fn keys(partitions: u16) -> Result<BTreeMap<u16, Key>, Failure> {
    let mut keys = BTreeMap::new();
    let mut n = 0_u64;
    while keys.len() < usize::from(partitions) {
        let key = Key::new(format!("failover:{n}")).map_err(Failure::new)?;
        keys.entry(key.partition(partitions)).or_insert(key);
        n += 1;
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn every_partition_has_a_key_of_its_own() {
        for partitions in [1, 2, 64, 255] {
            let keys = keys(partitions).unwrap();
            assert_eq!(keys.len(), usize::from(partitions));
            assert!(keys.iter().all(|(partition, key)| key.partition(partitions) == *partition));
        }
    }
}
