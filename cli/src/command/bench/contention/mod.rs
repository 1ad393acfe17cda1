//! Case `contention`: jobs that read and rewrite records which others want too.

mod keys;
mod report;

use super::drive::drive;
use super::platform::Platform;
use super::steps::{self, LEAVE, LOOK};
use crate::failure::Failure;
use catena_nats_server::{NatsServer, Options};
use keys::{Keys, Skew};
use report::{Report, Round};
use std::sync::Arc;
use std::time::Duration;

/// In flight unless something else is asked for.
pub(super) const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];
const STORAGE_NODES: usize = 3;
const CHAIN: &str = "bench-contention";

/// What is to be measured.
pub(crate) struct Plan {
    pub(crate) in_flight: Vec<usize>,
    /// Bytes of an input, which is what is written.
    pub(crate) payload: usize,
    pub(crate) workers: usize,
    /// Of one measurement.
    pub(crate) time: Duration,
    pub(crate) rounds: usize,
}

/// Measures and prints.
pub(crate) async fn run(plan: &Plan, json: bool) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let options = Options { folder: folder.path().join("nats"), port: 0, extra: String::new() };
    let server = NatsServer::start(options).await?;
    let url = server.url();
    let platform = Platform::start(&url, folder.path(), STORAGE_NODES, plan.workers).await?;
    platform.client.chains().set(CHAIN, format!("{LOOK},{LEAVE}")).await?;
    let mut report = Report::begin(json, platform.nodes.count())?;
    for skew in Skew::ALL {
        for in_flight in &plan.in_flight {
            let mut rounds = Vec::with_capacity(plan.rounds);
            for _ in 0..plan.rounds {
                rounds.push(measure(&platform, skew, *in_flight, plan).await?);
            }
            report.line(skew, *in_flight, &rounds)?;
        }
    }
    report.end()?;
    platform.stop().await?;
    server.stop().await;
    Ok(())
}

async fn measure(
    platform: &Platform,
    skew: Skew,
    in_flight: usize,
    plan: &Plan,
) -> Result<Round, Failure> {
    let (client, keys, payload) =
        (platform.client.clone(), Arc::new(Keys::new(skew)?), plan.payload);
    let measured = drive(in_flight, plan.time, move |_, _| {
        let (client, keys) = (client.clone(), Arc::clone(&keys));
        async move {
            let key = keys.choose(&mut rand::rng());
            let input = steps::input(&key, &key, payload);
            client.run(CHAIN, input).key(key).await?;
            Ok(())
        }
    })
    .await?;
    Ok(Round { measured, attempts: platform.attempts.take() })
}
