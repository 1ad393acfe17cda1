//! How steps were spread over the workers, as the workers themselves tell.

use crate::failure::Failure;
use crate::services::services;
use catena_client::Client;
use catena_protocol::limit;
use catena_protocol::subject::Role;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Workers renew their figures with each heartbeat. Before every worker has done so the figures
/// are of different times and cannot be compared.
const RENEWED: Duration = Duration::from_millis(limit::HEARTBEAT_MS * 3 / 2);
/// So long the last ones may take.
const SETTLED: Duration = Duration::from_millis(4 * limit::HEARTBEAT_MS);

/// Steps done by each worker.
pub(super) type Done = BTreeMap<String, u64>;

/// Steps that each worker has done so far.
pub(super) async fn done(client: &Client) -> Result<Done, Failure> {
    let found = services(client.link()).await?;
    let workers = found.into_iter().filter(|service| service.role == Role::Worker);
    Ok(workers.map(|worker| (worker.id, worker.load["done"].as_u64().unwrap_or(0))).collect())
}

/// Steps that each worker has done since `before`, once they are at least `expected` in all, or
/// as many as they are soon after.
pub(super) async fn since(client: &Client, before: &Done, expected: u64) -> Result<Done, Failure> {
    tokio::time::sleep(RENEWED).await;
    let until = Instant::now() + SETTLED;
    loop {
        let mut now = done(client).await?;
        for (worker, done) in &mut now {
            *done = done.saturating_sub(before.get(worker).copied().unwrap_or(0));
        }
        if now.values().sum::<u64>() >= expected || Instant::now() >= until {
            return Ok(now);
        }
        // Asking waits for answers until there is silence; that is pause enough.
    }
}

/// The largest distance from an equal share, as a part of it.
pub(super) fn most_unequal(done: &Done) -> f64 {
    let equal = done.values().sum::<u64>() as f64 / done.len().max(1) as f64;
    if equal == 0.0 {
        return 0.0;
    }
    done.values().map(|done| (*done as f64 - equal).abs() / equal).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_farthest_from_equal_counts() {
        let done = |counts: &[u64]| {
            counts.iter().enumerate().map(|(at, count)| (at.to_string(), *count)).collect::<Done>()
        };
        assert_eq!(most_unequal(&done(&[100, 100])), 0.0);
        assert_eq!(most_unequal(&done(&[90, 100, 110])), 0.1);
        assert_eq!(most_unequal(&done(&[0, 0])), 0.0);
        assert_eq!(most_unequal(&done(&[])), 0.0);
    }
}
