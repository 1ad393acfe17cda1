//! Case `soak`: whether disk and memory of storage nodes stay bounded under a constant load.
//!
//! Storage nodes are processes; over and over the same records are written at a constant rate.
//! Versions and log that nobody may ask for any more have to go, so that after the time for which
//! versions are kept (six minutes unless set otherwise) the folders must stop growing.

mod footprint;
mod load;
mod report;

use super::storage_nodes::StorageNodes;
use crate::failure::Failure;
use catena_client::Store;
use catena_nats_server::{NatsServer, Options};
use footprint::Footprint;
use load::Load;
use report::{Minute, Report};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

const NODES: usize = 3;
const MINUTE: Duration = Duration::from_secs(60);

/// How much is written, and for how long.
pub(crate) struct Plan {
    pub(crate) minutes: u32,
    /// Writes a second.
    pub(crate) rate: u32,
    /// Bytes of a value.
    pub(crate) payload: usize,
}

/// Writes for so long, and prints a line each minute.
pub(crate) async fn run(plan: &Plan, json: bool) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let options = Options { folder: folder.path().join("nats"), port: 0, extra: String::new() };
    let server = NatsServer::start(options).await?;
    let nodes = StorageNodes::start(&server.url(), folder.path(), NODES).await?;
    let mut report = Report::begin(json, plan, nodes.count())?;
    let load = Load::start(&Store::open(nodes.link()).await?, plan);
    let begin = Instant::now();
    for number in 1..=plan.minutes {
        sleep_until(begin + MINUTE * number).await;
        let footprints = nodes.processes().map(|(folder, pid)| Footprint::of(&folder, pid));
        let footprints = footprints.collect::<Result<Vec<_>, _>>()?;
        let (writes, failed) = load.count();
        if let Some(error) = load.error() {
            eprintln!("minute {number}: the last write that failed: {error}");
        }
        report.minute(&Minute { number, writes, failed, footprints })?;
    }
    report.end()?;
    drop(load);
    nodes.stop().await?;
    server.stop().await;
    Ok(())
}
