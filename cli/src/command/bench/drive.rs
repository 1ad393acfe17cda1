//! Keeping a fixed number of operations in flight for a fixed time.

use crate::failure::Failure;
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What came out of a measurement.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Operations per second.
    pub(crate) per_s: f64,
    /// Operations in all, warm-up included.
    pub(crate) total: u64,
    /// Microseconds from request to answer.
    pub(crate) latency: Histogram<u64>,
}

/// Part of the time that goes by before counting begins.
pub(crate) const WARM_UP: f64 = 0.25;

pub(crate) fn histogram() -> Histogram<u64> {
    #[allow(clippy::expect_used, reason = "constant arguments that are in range")]
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("valid bounds")
}

impl Measured {
    pub(crate) fn new(counted: Histogram<u64>, total: u64, time: Duration) -> Self {
        Self { per_s: counted.len() as f64 / time.as_secs_f64(), total, latency: counted }
    }

    pub(crate) fn quantile_us(&self, quantile: f64) -> u64 {
        self.latency.value_at_quantile(quantile)
    }
}

/// Runs `operation(lane, turn)` over and over in `in_flight` lanes.
pub(crate) async fn drive<F, R>(
    in_flight: usize,
    time: Duration,
    operation: F,
) -> Result<Measured, Failure>
where
    F: Fn(usize, u64) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), Failure>> + Send,
{
    let operation = Arc::new(operation);
    let over = Arc::new(AtomicBool::new(false));
    let counting_from = Instant::now() + time.mul_f64(WARM_UP);
    let lanes: Vec<_> = (0..in_flight)
        .map(|lane| {
            let (operation, over) = (Arc::clone(&operation), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut counted, mut turn) = (histogram(), 0);
                while !over.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    operation(lane, turn).await?;
                    turn += 1;
                    // What ends in the time counts, also where one operation takes long.
                    let end = Instant::now();
                    if end >= counting_from && !over.load(Ordering::Relaxed) {
                        counted.saturating_record(end.duration_since(start).as_micros() as u64);
                    }
                }
                Ok::<_, Failure>((counted, turn))
            })
        })
        .collect();
    tokio::time::sleep_until((counting_from + time).into()).await;
    over.store(true, Ordering::Relaxed);
    let (mut all, mut total) = (histogram(), 0);
    for lane in lanes {
        let (counted, turns) = lane.await.map_err(Failure::new)??;
        all.add(counted).map_err(Failure::new)?;
        total += turns;
    }
    Ok(Measured::new(all, total, time))
}
