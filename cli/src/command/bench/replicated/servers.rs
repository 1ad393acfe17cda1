//! The NATS servers of a measurement: one, or a cluster.

use crate::failure::Failure;
use catena_nats_server::{NatsServer, Options, ServerCluster};
use std::path::Path;

/// Running servers, all with JetStream and `sync_interval: always`.
pub(crate) enum Servers {
    One(Box<NatsServer>),
    Cluster(ServerCluster),
}

impl Servers {
    /// Starts `count` servers with data below `folder`.
    pub(crate) async fn start(folder: &Path, count: usize) -> Result<Self, Failure> {
        if count > 1 {
            return Ok(Self::Cluster(ServerCluster::start(folder, count).await?));
        }
        let options = Options { folder: folder.join("nats"), port: 0, extra: String::new() };
        Ok(Self::One(Box::new(NatsServer::start(options).await?)))
    }

    /// The address of every one.
    pub(crate) fn urls(&self) -> Vec<String> {
        match self {
            Self::One(server) => vec![server.url()],
            Self::Cluster(cluster) => cluster.servers().iter().map(NatsServer::url).collect(),
        }
    }

    /// Messages that they have received so far, from clients and from each other.
    pub(crate) async fn received(&self) -> Result<u64, Failure> {
        Ok(match self {
            Self::One(server) => server.received().await?,
            Self::Cluster(cluster) => cluster.received().await?,
        })
    }

    pub(crate) async fn stop(self) {
        match self {
            Self::One(server) => server.stop().await,
            Self::Cluster(cluster) => cluster.stop().await,
        }
    }
}
