//! The load of case `soak`: the same records over and over, at a constant rate.

use super::Plan;
use catena_client::{Error, Store};
use catena_protocol::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Records that are written.
pub(super) const KEYS: u64 = 10_000;
/// Writers, which share the rate and have one write under way each.
const WRITERS: u64 = 64;

/// Writers at work. Dropped, they end.
pub(super) struct Load {
    counts: Arc<Counts>,
    _writers: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    writes: AtomicU64,
    failed: AtomicU64,
    /// The last error that nobody has asked for yet.
    error: Mutex<Option<Error>>,
}

impl Load {
    pub(super) fn start(store: &Store, plan: &Plan) -> Self {
        let counts = Arc::new(Counts::default());
        let period = Duration::from_secs(1).mul_f64(WRITERS as f64 / f64::from(plan.rate.max(1)));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let counts = Arc::clone(&counts);
            writers.spawn(write(store.clone(), writer, period, plan.payload, counts));
        }
        Self { counts, _writers: writers }
    }

    /// Writes that were acknowledged, and that failed, since the start.
    pub(super) fn count(&self) -> (u64, u64) {
        let Counts { writes, failed, .. } = &*self.counts;
        (writes.load(Ordering::Relaxed), failed.load(Ordering::Relaxed))
    }

    /// The last error since this was asked before.
    pub(super) fn error(&self) -> Option<Error> {
        self.counts.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Counts {
    fn ended(&self, written: Result<Timestamp, Error>) {
        let count = match written {
            Ok(_) => &self.writes,
            Err(error) => {
                *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                &self.failed
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

async fn write(store: Store, writer: u64, period: Duration, payload: usize, counts: Arc<Counts>) {
    let value = bytes::Bytes::from(vec![b'x'; payload]);
    let mut turns = interval(period);
    // What a slow moment held up is made up for.
    turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for turn in 0.. {
        turns.tick().await;
        let key = format!("soak:{}", (turn * WRITERS + writer) % KEYS);
        counts.ended(store.write(key, value.clone()).await);
    }
}
