//! Case `replicated`: the store beside JetStream KV and beside the bare floor, with the same
//! number of replicas and the same durability, in one run.
//!
//! Every system runs in processes of its own (`report.rs` says which). They are measured one
//! after the other, `rounds` times in turn, and the others are idle meanwhile; medians are printed.

mod bare;
mod catena;
mod floor;
mod jetstream;
mod message;
mod operation;
mod quorum;
mod report;
mod servers;

pub(crate) use bare::BareReplica;
pub(super) use report::Counted;
pub(super) use servers::Servers;

use super::drive::Measured;
use super::storage_nodes::StorageNodes;
use crate::failure::Failure;
use catena::Catena;
use catena_client::Store;
use floor::{Floor, Sharing};
use jetstream::JetStream;
use operation::{Case, Operation, measure, prepare};
use report::{Line, Report, Round, Setting};
use std::path::Path;
use std::time::Duration;

/// What is to be measured.
pub(crate) struct Plan {
    pub(crate) replicas: Vec<usize>,
    /// Bytes of a value.
    pub(crate) payloads: Vec<usize>,
    pub(crate) in_flight: Vec<usize>,
    /// Of one measurement.
    pub(crate) time: Duration,
    pub(crate) rounds: usize,
    /// Whether Catena and the floor run over the cluster of servers too.
    pub(crate) nats_cluster: bool,
}

impl Plan {
    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for operation in Operation::ALL {
            for payload in &self.payloads {
                for in_flight in &self.in_flight {
                    let (payload, in_flight, time) = (*payload, *in_flight, self.time);
                    cases.push(Case { operation, payload, in_flight, time });
                }
            }
        }
        cases
    }
}

/// Measures and prints.
pub(crate) async fn run(plan: &Plan, json: bool) -> Result<(), Failure> {
    let report = Report::new(json);
    report.begin(plan.nats_cluster)?;
    for replicas in &plan.replicas {
        let folder = tempfile::tempdir()?;
        let mut systems = Systems::start(folder.path(), *replicas, plan.nats_cluster).await?;
        for case in plan.cases() {
            let mut rounds = Vec::with_capacity(plan.rounds);
            for _ in 0..plan.rounds {
                rounds.push(systems.round(&case).await?);
            }
            let storage_nodes = systems.nodes.count();
            let setting = Setting { replicas: *replicas, storage_nodes, case };
            report.line(&setting, &Line::median(&rounds))?;
        }
        systems.stop().await?;
    }
    Ok(())
}

/// Everything that is measured with one number of replicas.
struct Systems {
    jetstream_servers: Servers,
    /// The server of Catena and the floor; none: they use those of JetStream.
    own_server: Option<Servers>,
    jetstream: JetStream,
    floor: Floor,
    nodes: StorageNodes,
    catena: Catena,
}

impl Systems {
    async fn start(folder: &Path, replicas: usize, nats_cluster: bool) -> Result<Self, Failure> {
        let jetstream_servers = Servers::start(&folder.join("jetstream"), replicas).await?;
        let jetstream = JetStream::create(&jetstream_servers.urls(), replicas).await?;
        let own_server = match replicas == 1 || nats_cluster {
            true => None,
            false => Some(Servers::start(&folder.join("own"), 1).await?),
        };
        let url = own_server.as_ref().unwrap_or(&jetstream_servers).urls().join(",");
        let floor = Floor::start(&url, folder, replicas).await?;
        let nodes = StorageNodes::start(&url, folder, replicas).await?;
        let catena = Catena(Store::open(nodes.link()).await?);
        Ok(Self { jetstream_servers, own_server, jetstream, floor, nodes, catena })
    }

    async fn round(&mut self, case: &Case) -> Result<Round, Failure> {
        let floor = self.floor.measure(case, Sharing::Together).await?;
        let plain = self.floor.measure(case, Sharing::Each).await?;
        prepare(&self.jetstream, case).await?;
        let measuring = measure(self.jetstream.clone(), case);
        let jetstream = counted(&self.jetstream_servers, measuring).await?;
        prepare(&self.catena, case).await?;
        let before = self.nodes.syncs().await?;
        let servers = self.own_server.as_ref().unwrap_or(&self.jetstream_servers);
        let catena = counted(servers, measure(self.catena.clone(), case)).await?;
        let after = self.nodes.syncs().await?;
        let syncs = after.zip(before).map(|(after, before)| after.saturating_sub(before));
        Ok(Round { floor, plain, jetstream, catena, syncs })
    }

    async fn stop(self) -> Result<(), Failure> {
        self.floor.stop().await?;
        self.nodes.stop().await?;
        self.jetstream_servers.stop().await;
        if let Some(server) = self.own_server {
            server.stop().await;
        }
        Ok(())
    }
}

/// Measures, and counts the messages that the servers receive meanwhile.
pub(super) async fn counted(
    servers: &Servers,
    measuring: impl Future<Output = Result<Measured, Failure>>,
) -> Result<Counted, Failure> {
    let before = servers.received().await?;
    let measured = measuring.await?;
    let messages = servers.received().await?.saturating_sub(before);
    Ok(Counted { measured, messages })
}
