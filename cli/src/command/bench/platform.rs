//! A whole platform under measurement: storage nodes as processes, schedulers and workers in this
//! one.

use super::steps::{Attempts, registry};
use super::storage_nodes::StorageNodes;
use crate::cluster::{Cluster, Plan};
use crate::failure::Failure;
use catena_client::Client;
use catena_link::{Settings, connect};
use std::path::Path;

/// A running platform. Dropped, it ends.
pub(crate) struct Platform {
    pub(crate) nodes: StorageNodes,
    pub(crate) client: Client,
    pub(crate) attempts: Attempts,
    cluster: Cluster,
}

impl Platform {
    /// Starts `storage` nodes with data below `folder`, one scheduler and `workers` workers.
    pub(crate) async fn start(
        url: &str,
        folder: &Path,
        storage: usize,
        workers: usize,
    ) -> Result<Self, Failure> {
        let nodes = StorageNodes::start(url, folder, storage).await?;
        let attempts = Attempts::default();
        let settings = Settings::url(url);
        let plan = Plan {
            nats: Some(settings.clone()),
            storage: 0,
            workers,
            registry: registry(&attempts)?,
            ..Plan::new(folder.join("services"))
        };
        let cluster = Cluster::start(plan).await?;
        let client = Client::over(connect(settings, "catena-bench", false).await?).await?;
        Ok(Self { nodes, client, attempts, cluster })
    }

    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.client.close().await;
        self.cluster.stop().await?;
        self.nodes.stop().await
    }
}
