//! Case `failover`: how long partitions take no writes when the node that leads them is gone.
//!
//! Storage nodes are processes; the one that leads most partitions is killed with SIGKILL, or made
//! to stand still with SIGSTOP, under a load of one write at a time on every partition. For each
//! partition that it led the time counts from that until the first write is acknowledged that
//! began after it. Then the node is started again, or goes on, and the next one waits until every
//! node leads its share.

mod gaps;
mod load;
mod report;

use super::storage_nodes::StorageNodes;
use crate::failure::Failure;
use catena_client::Store;
use catena_nats_server::{NatsServer, Options};
use gaps::Gaps;
use load::Load;
use report::Kill;

const NODES: usize = 3;

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Killed,
    Paused,
}

/// Does it so often, and prints.
pub(crate) async fn run(kills: usize, how: How, json: bool) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let options = Options { folder: folder.path().join("nats"), port: 0, extra: String::new() };
    let server = NatsServer::start(options).await?;
    let mut nodes = StorageNodes::start(&server.url(), folder.path(), NODES).await?;
    let store = Store::open(nodes.link()).await?;
    let load = Load::start(&store, nodes.leaders().partitions())?;
    eprintln!(
        "{} storage nodes, each a process; one nats-server; one write under way on each of {} \
         partitions",
        nodes.count(),
        nodes.leaders().partitions()
    );
    let mut all = Vec::with_capacity(kills);
    for number in 1..=kills {
        let kill = fail_over(&mut nodes, &load, how).await?;
        report::kill(number, how, &kill, json)?;
        all.push(kill);
    }
    report::all(&all, how, nodes.count(), json)?;
    drop(load);
    nodes.stop().await?;
    server.stop().await;
    Ok(())
}

async fn fail_over(nodes: &mut StorageNodes, load: &Load, how: How) -> Result<Kill, Failure> {
    let busiest = nodes.leaders().busiest();
    let (node, led) = busiest.ok_or_else(|| Failure::new("nobody leads any partition"))?;
    let failed = load.failed();
    let (from, gone) = match how {
        How::Killed => nodes.kill(&node).await?,
        How::Paused => {
            let paused = nodes.pause(&node)?;
            (paused, paused)
        }
    };
    load.watch(Gaps::new(from, gone, &led));
    let gaps = load.over().await?;
    match how {
        How::Killed => nodes.start_node(&node)?,
        How::Paused => nodes.resume(&node).await?,
    }
    nodes.settled().await?;
    Ok(Kill { node: node.to_string(), gaps, failed: load.failed() - failed })
}
