//! Many jobs, so many at once, each timed.

use crate::failure::Failure;
use crate::progress::Progress;
use futures_util::{StreamExt, stream};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// Longest time that is told from longer ones, in microseconds.
const LONGEST_US: u64 = 600_000_000;
/// Jobs between two looks at the progress display.
const SHOWN: u64 = 64;

/// How long jobs took.
#[derive(Clone, Debug)]
pub(super) struct Timings {
    pub(super) jobs: u64,
    pub(super) took: Duration,
    pub(super) at_once: usize,
    latency: Histogram<u64>,
}

impl Timings {
    pub(super) fn per_second(&self) -> f64 {
        self.jobs as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// The time, in microseconds, within which this share of the jobs was answered.
    pub(super) fn quantile_us(&self, share: f64) -> u64 {
        self.latency.value_at_quantile(share)
    }
}

/// Runs a job for each item; `take` gets what it ended with.
pub(super) async fn load<T, D, R>(
    items: impl Iterator<Item = T>,
    at_once: usize,
    progress: &mut Progress,
    job: impl Fn(T) -> R,
    mut take: impl FnMut(D),
) -> Result<Timings, Failure>
where
    R: Future<Output = D>,
{
    let mut latency = Histogram::new_with_bounds(1, LONGEST_US, 3).map_err(Failure::new)?;
    let timed = |item| {
        let (began, running) = (Instant::now(), job(item));
        async move { (running.await, began.elapsed()) }
    };
    let began = Instant::now();
    let mut jobs = 0;
    let mut ended = std::pin::pin!(stream::iter(items.map(timed)).buffer_unordered(at_once));
    while let Some((done, took)) = ended.next().await {
        latency.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        take(done);
        jobs += 1;
        if jobs % SHOWN == 0 {
            progress.add(SHOWN);
        }
    }
    progress.add(jobs % SHOWN);
    Ok(Timings { jobs, took: began.elapsed(), at_once, latency })
}
