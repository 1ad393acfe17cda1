//! Which cluster this is, and who this node is in it.
//!
//! The data directory says it; the NATS server may contradict: then nothing is served. A node
//! with an empty directory takes what the bucket of the cluster's identity says: it is one of the
//! founders, or takes the place of one whose disk is gone, or is refused. Only where neither says
//! anything a new cluster begins: at once with one node, and with several when all of them have
//! announced themselves as empty.
//!
//! The record in the bucket is created, never replaced, so that there is one founding however
//! many nodes believe that they do it. A cluster's id follows from its founders' disks: a founding
//! that is repeated because nobody knew its end gives the same cluster.

mod answering;
mod call;
mod founders;
#[cfg(test)]
mod tests;

use crate::cluster;
use crate::config::{Config, Founders, listed};
use crate::data::{DataDirectory, Owner, hex};
use crate::error::Error;
use crate::log;
use answering::Answering;
use call::Call;
use catena_link::{Link, connect};
use catena_protocol::message::founding::Plan;
use catena_protocol::message::store::Cluster;
use catena_protocol::placement::Member;
use catena_protocol::subject::Role;
use catena_protocol::{ClusterId, DiskId, NodeId, codec};
use catena_service::Identity;
use sha2::{Digest, Sha256};
use tracing::{info, warn};

/// Who this node is, connected.
pub(crate) struct Found {
    pub(crate) owner: Owner,
    pub(crate) identity: Identity,
    pub(crate) link: Link,
    pub(crate) cluster: Cluster,
    /// To be kept as long as the node runs.
    pub(crate) answering: Answering,
}

pub(crate) async fn find(
    config: &Config,
    directory: &DataDirectory,
    settings: catena_link::Settings,
) -> Result<Found, Error> {
    let plan = config.plan()?;
    let known = directory.owner()?;
    let me = match &known {
        Some(owner) => owner.member(),
        None => candidate(config, directory)?,
    };
    fixed("the id of this node", &me.node, config.id.as_ref())?;
    if let Some(owner) = &known {
        check(config, &owner.cluster())?;
    }
    let identity = Identity::new(Role::Storage, Some(me.node.clone()));
    let link = connect(settings, &identity.connection_name(), true).await?;
    let owner = match known {
        Some(owner) => owner,
        None => {
            let owner = begin(config, plan, &me, &link).await?;
            directory.set_owner(&owner)?;
            owner
        }
    };
    let cluster = owner.cluster();
    if let Err(error) = cluster::record(&link, &cluster).await {
        info!(%error, "JetStream is not there; the storage nodes alone keep the cluster's record");
    }
    cluster::compare(&link, cluster::known(&link).await.as_ref(), &cluster.id)?;
    let answering = Answering::start(&link, &owner).await?;
    Ok(Found { owner, identity, link, cluster, answering })
}

/// Who a node with an empty directory is. On disk before anybody hears of it, so that it is the
/// same one when it is interrupted and starts again.
fn candidate(config: &Config, directory: &DataDirectory) -> Result<Member, Error> {
    if let Some(candidate) = directory.candidate()? {
        return Ok(candidate);
    }
    let disk = DiskId(rand::random());
    let node = config.id.clone().unwrap_or_else(|| node_id(disk));
    let candidate = Member { node, disk };
    directory.set_candidate(&candidate)?;
    Ok(candidate)
}

/// What a node with an empty directory becomes.
async fn begin(config: &Config, plan: Plan, me: &Member, link: &Link) -> Result<Owner, Error> {
    let record = match cluster::known(link).await {
        Some(record) => record,
        None if plan.size == 1 && call::nobody_listens(link, me, plan).await => {
            found(plan, vec![me.clone()])
        }
        None => Call::start(link, me, plan, config.founders.as_ref()).await?.found().await?,
    };
    let owner = join(&record, me, link)?;
    check(config, &record)?;
    if owner.members.contains(me) {
        info!(cluster = record.id, members = record.members.len(), "a new cluster begins");
    } else {
        Call::start(link, me, plan, None).await?.nobody_answers().await?;
        warn!(cluster = record.id, node = %me.node, disk = %me.disk,
              "this node takes the place of the one of its id whose disk is gone");
    }
    Ok(owner)
}

/// This node as a member of the cluster of `record`.
fn join(record: &Cluster, me: &Member, link: &Link) -> Result<Owner, Error> {
    let id: Option<ClusterId> = record.id.parse().ok();
    let Some(id) = id.filter(|_| record.partitions > 0 && record.replicas > 0) else {
        return Err(cluster::other(link, record, None));
    };
    let member = record.members.iter().find(|member| member.node == me.node);
    match member {
        Some(member) if member == me || record.replicas > 1 => Ok(Owner {
            ids: log::Identity { cluster: id.0, disk: me.disk.0 },
            node: me.node.clone(),
            partitions: record.partitions,
            replicas: record.replicas,
            members: record.members.clone(),
            begun: false,
        }),
        Some(_) if record.members.len() > 1 => Err(Error::OnlyCopy {
            node: me.node.clone(),
            cluster: record.id.clone(),
            bucket: cluster::name(link),
        }),
        None if record.members.len() > 1 => Err(Error::NotAMember {
            node: me.node.clone(),
            cluster: record.id.clone(),
            members: listed(record.members.iter().map(|member| &member.node)),
        }),
        // A cluster of one node, which is not this one.
        _ => Err(cluster::other(link, record, None)),
    }
}

/// The cluster that these founders are.
fn found(plan: Plan, mut members: Vec<Member>) -> Cluster {
    members.sort_unstable();
    let mut hash = Sha256::new_with_prefix(codec::encode(&plan));
    hash.update(codec::encode(&members));
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    Cluster { id: hex(&id), partitions: plan.partitions, replicas: plan.replicas, members }
}

/// Refuses settings that ask for another cluster than there is.
fn check(config: &Config, cluster: &Cluster) -> Result<(), Error> {
    if cluster.partitions != config.partitions {
        return Err(Error::Partitions { found: cluster.partitions, wanted: config.partitions });
    }
    fixed("the number of replicas", &cluster.replicas, config.replicas.as_ref())?;
    match &config.founders {
        None => Ok(()),
        Some(Founders::Count(size)) => {
            fixed("the number of founding members", &cluster.members.len(), Some(size))
        }
        Some(Founders::Named(names)) => {
            let mut names = names.clone();
            names.sort_unstable();
            let members = listed(cluster.members.iter().map(|member| &member.node));
            fixed("who the founding members are", &members, Some(&listed(&names)))
        }
    }
}

fn fixed<T: PartialEq + ToString>(
    what: &'static str,
    found: &T,
    wanted: Option<&T>,
) -> Result<(), Error> {
    match wanted {
        Some(wanted) if wanted != found => {
            Err(Error::Fixed { what, found: found.to_string(), wanted: wanted.to_string() })
        }
        _ => Ok(()),
    }
}

impl Owner {
    /// This node on the disk that it has now.
    pub(crate) fn member(&self) -> Member {
        Member { node: self.node.clone(), disk: DiskId(self.ids.disk) }
    }

    /// The cluster, as it is told and recorded.
    pub(crate) fn cluster(&self) -> Cluster {
        Cluster {
            id: hex(&self.ids.cluster),
            partitions: self.partitions,
            replicas: self.replicas,
            members: self.members.clone(),
        }
    }
}

#[allow(clippy::expect_used, reason = "hexadecimal digits always make a short name")]
fn node_id(disk: DiskId) -> NodeId {
    NodeId::new(format!("storage-{}", &disk.to_string()[..8])).expect("a valid id")
}
