//! What the store says about every job when all is over: its outcome, and its own record.

use super::aim::Job;
use super::ledger::Entry;
use catena_client::{Error, JobId, Store};
use catena_protocol::Fault;
use catena_protocol::message::commit::{End, Outcome};
use futures_util::StreamExt;
use futures_util::stream::iter;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Questions under way at a time.
const AT_ONCE: usize = 64;
/// Outcomes of `run` are kept for ten minutes; younger ones are asked for.
const ASKED_FOR_US: u64 = 9 * 60 * 1_000_000;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// What the store says about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) outcome: Ended,
    /// Its own record, with the version; none: there is none.
    pub(crate) record: Option<(u64, Job)>,
}

/// The outcome of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was not asked for: it is too long ago, or there cannot be one.
    NotAsked,
    /// There is none.
    Nothing,
    /// It took effect at this version, with this result.
    Committed(u64, Vec<u8>),
    /// It had no effect.
    Failed(String),
}

/// Asks about all jobs, in their order, until `deadline`. `now_us` is on the clock of the ledger.
///
/// # Errors
/// What could not be read until then.
pub(crate) async fn facts(
    store: &Store,
    entries: &[Entry],
    now_us: u64,
    deadline: Instant,
) -> Result<Vec<Facts>, Error> {
    let asked = entries.iter().map(|entry| async move {
        let young = now_us.saturating_sub(entry.asked_us) < ASKED_FOR_US;
        let outcome = match entry.id {
            Some(id) if young && entry.job.aim.writes() => outcome(store, id, deadline).await?,
            _ => Ended::NotAsked,
        };
        let record = match entry.job.aim.writes() {
            true => record(store, &entry.job, deadline).await?,
            false => None,
        };
        Ok::<_, Error>(Facts { outcome, record })
    });
    let mut asked = iter(asked).buffered(AT_ONCE);
    let mut facts = Vec::with_capacity(entries.len());
    while let Some(one) = asked.next().await {
        facts.push(one?);
    }
    Ok(facts)
}

async fn outcome(store: &Store, id: JobId, deadline: Instant) -> Result<Ended, Error> {
    let outcome = patiently(deadline, || store.outcome(id)).await?;
    Ok(outcome.map_or(Ended::Nothing, ended))
}

fn ended(Outcome { version, end, .. }: Outcome) -> Ended {
    match end {
        End::Committed(result) => Ended::Committed(version.0, result.0.to_vec()),
        End::Failed(Fault { message, .. }) | End::Dead(Fault { message, .. }) => {
            Ended::Failed(message)
        }
        End::Cancelled => Ended::Failed("it was cancelled".to_owned()),
    }
}

async fn record(store: &Store, job: &Job, deadline: Instant) -> Result<Option<(u64, Job)>, Error> {
    let entry = patiently(deadline, || store.read(job.record())).await?;
    let Some(value) = entry.value else { return Ok(None) };
    // What cannot be read as a job is none of ours, which the judge will notice.
    let foreign = || Job { number: u64::MAX, ..job.clone() };
    let job = serde_json::from_slice(&value).unwrap_or_else(|_| foreign());
    Ok(Some((entry.version.0, job)))
}

/// Asks again until there is an answer.
///
/// # Errors
/// The last one before `deadline`.
pub(crate) async fn patiently<T, R>(deadline: Instant, ask: impl Fn() -> R) -> Result<T, Error>
where
    R: Future<Output = Result<T, Error>>,
{
    loop {
        match ask().await {
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(PAUSE).await,
            answered => return answered,
        }
    }
}
