//! The store without jobs: writes, reads, updates and sums from many callers at once, while a
//! storage node dies and comes back.

use super::accident::{Accident, was_away};
use super::check::{Check, count};
use super::load::load;
use super::report::Phase;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::services::services;
use catena_client::{Client, Error, Store};
use catena_protocol::subject::Role;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How often storage nodes are asked whether they are there.
const ASKED: usize = 10;
const AT_ONCE: usize = 32;
/// Most keys.
const MOST: usize = 100_000;

/// Goes on for so long, and until the accident is over, if there is to be one. In the end there have
/// to be so many storage nodes.
pub(super) async fn run(
    client: &Client,
    run: &str,
    time: Duration,
    nodes: i64,
    accident: Option<&Accident>,
) -> Result<Phase, Failure> {
    let prefix = format!("demo-{run}:direct:");
    let over = Cell::new(accident.is_none());
    let happens = async {
        let Some(accident) = accident else { return Ok(None) };
        let away = accident.happens(tokio::time::sleep(time / 3), time / 3).await;
        over.set(true);
        away.map(Some)
    };
    let mut progress = Progress::new("using the store: rounds", None);
    let began = Instant::now();
    let more = |n: &usize| *n == 0 || (*n < MOST && (began.elapsed() < time || !over.get()));
    let mut failures = Vec::new();
    let job = |n: usize| round(client.store(), format!("{prefix}{n:06}"), total(run), n);
    let rounds = (0..).take_while(more);
    let working = load(rounds, AT_ONCE, &mut progress, job, |result| failures.extend(result.err()));
    let (timings, away) = tokio::join!(working, happens);
    let (timings, away) = (timings?, away?);
    progress.clear();

    let slowest_ms = timings.quantile_us(1.0) / 1000;
    let note = away.map(|away| format!("{}; the slowest took {slowest_ms} ms", was_away(away)));
    let mut checks = vec![Check::none("rounds that failed", failures.len())];
    checks.extend(compare(client.store(), run, &prefix, timings.jobs).await?);
    checks.push(Check::new("storage nodes", nodes, storage_nodes(client, nodes).await?));
    Ok(Phase {
        name: "store",
        about: "keys written, read, updated and summed up, one after the other, by many".to_owned(),
        steps: 0,
        timings,
        notes: note.into_iter().collect(),
        trouble: failures.first().map(ToString::to_string),
        checks,
    })
}

fn total(run: &str) -> String {
    format!("demo-{run}:total")
}

/// Writes, reads, updates and counts one key.
async fn round(store: &Store, key: String, total: String, n: usize) -> Result<(), Error> {
    let written = store.write(&key, n.to_string()).await?;
    let found = store.read(&key).await?;
    // Else the key keeps its first value, and that is found at the end.
    if found.version == written {
        let next = Some((n + 1).to_string().into());
        let _ = store.update_if_value_is(&key, found.value, next).await?.happened();
    }
    store.add(&total, 1).await?;
    Ok(())
}

async fn compare(
    store: &Store,
    run: &str,
    prefix: &str,
    rounds: u64,
) -> Result<[Check; 3], Failure> {
    let found = store.scan(prefix, MOST).await?;
    let right = found.iter().filter(|(key, entry)| {
        let n = key.as_str().strip_prefix(prefix).and_then(|n| n.parse::<u64>().ok());
        n.is_some_and(|n| entry.text() == Some((n + 1).to_string().as_str()))
    });
    let wrong = found.len() - right.count();
    let sum = store.read(total(run)).await?;
    let sum = sum.text().and_then(|text| text.parse().ok()).unwrap_or(-1);
    let rounds = i64::try_from(rounds).unwrap_or(i64::MAX);
    Ok([
        Check::new("keys", rounds, count(found.len())),
        Check::none("keys with a wrong value", wrong),
        Check::new("sum", rounds, sum),
    ])
}

/// How many storage nodes answer. One that has just come back has much to do: it is asked again.
async fn storage_nodes(client: &Client, expected: i64) -> Result<i64, Failure> {
    let mut found = 0;
    for _ in 0..ASKED {
        let all = services(client.link()).await?;
        found = count(all.iter().filter(|service| service.role == Role::Storage).count());
        if found >= expected {
            break;
        }
    }
    Ok(found)
}
