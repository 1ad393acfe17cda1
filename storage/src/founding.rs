//! Which cluster this is, and who this node is in it.
//!
//! The data directory says it. The NATS server may contradict: then nothing is served. Only where
//! neither says anything a new cluster begins.

use crate::cluster;
use crate::config::Config;
use crate::data::{DataDirectory, Owner, hex};
use crate::error::Error;
use crate::log;
use catena_link::{Link, connect};
use catena_protocol::NodeId;
use catena_protocol::message::store::Cluster;
use catena_protocol::subject::Role;
use catena_service::Identity;
use tracing::info;

/// Who this node is, connected.
pub(crate) struct Found {
    pub(crate) owner: Owner,
    pub(crate) identity: Identity,
    pub(crate) link: Link,
    pub(crate) cluster: Cluster,
}

pub(crate) async fn find(
    config: &Config,
    directory: &DataDirectory,
    settings: catena_link::Settings,
) -> Result<Found, Error> {
    if config.partitions == 0 {
        return Err(Error::NoPartitions);
    }
    let found = directory.owner()?;
    check_partitions(config, found.as_ref())?;
    let disk = found.map_or_else(rand::random, |owner| owner.ids.disk);
    let id = config.id.clone().unwrap_or_else(|| node_id(&disk));
    let identity = Identity::new(Role::Storage, Some(id));
    let link = connect(settings, &identity.connection_name(), true).await?;

    let known = cluster::known(&link).await;
    let ours = found.map(|owner| owner.ids.cluster);
    cluster::compare(&link, known.as_ref(), ours.as_ref())?;
    let owner = match found {
        Some(owner) => owner,
        None => found_cluster(directory, disk, config.partitions)?,
    };
    let name = Cluster { id: hex(&owner.ids.cluster), partitions: owner.partitions };
    cluster::announce(&link, &name).await;
    cluster::compare(&link, cluster::known(&link).await.as_ref(), Some(&owner.ids.cluster))?;
    Ok(Found { owner, identity, link, cluster: name })
}

fn check_partitions(config: &Config, found: Option<&Owner>) -> Result<(), Error> {
    match found {
        Some(owner) if owner.partitions != config.partitions => {
            Err(Error::Partitions { found: owner.partitions, wanted: config.partitions })
        }
        _ => Ok(()),
    }
}

/// Begins a cluster: its name is on disk before anything else is.
fn found_cluster(
    directory: &DataDirectory,
    disk: [u8; 16],
    partitions: u16,
) -> Result<Owner, Error> {
    let owner =
        Owner { ids: log::Identity { cluster: rand::random(), disk }, partitions, begun: false };
    directory.set_owner(&owner)?;
    info!(cluster = hex(&owner.ids.cluster), partitions, "a new cluster begins");
    Ok(owner)
}

#[allow(clippy::expect_used, reason = "hexadecimal digits always make a short name")]
fn node_id(disk: &[u8; 16]) -> NodeId {
    NodeId::new(format!("storage-{}", &hex(disk)[..8])).expect("a valid id")
}
