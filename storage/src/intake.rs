//! Which subjects a storage node hears.

use crate::error::Error;
use crate::machine::Node;
use async_nats::Subject;
use catena_link::{Intake, Link};
use catena_protocol::NodeId;
use catena_protocol::subject::{self, Role};
use catena_service::{Endpoint, Endpoints};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What a message is, by the subscription that it came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// A batch of requests to this node.
    Node,
    /// A batch of requests to the primary of a partition, which is this node.
    Primary(u16),
    /// A batch of requests to any replica of a partition.
    Replica,
    /// New records of a primary.
    Push,
    /// Where the replicas of some node stand.
    Digest,
    /// What some node tells this one.
    Letter,
    /// Which cluster is this?
    Cluster,
    /// How is this node?
    Status,
    /// A scheduler lives.
    Scheduler,
    /// Text or JSON from a person.
    Edge,
}

/// What is counted, by what is asked.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) node: Arc<Endpoint>,
    pub(crate) edge: Arc<Endpoint>,
    pub(crate) cluster: Arc<Endpoint>,
}

pub(crate) fn endpoints(link: &Link, id: &NodeId) -> (Endpoints, Counted) {
    let mut all = Endpoints::default();
    let queue = Some(subject::QUEUE);
    let counted = Counted {
        node: all.add("requests", link.subjects.node(id), None),
        edge: all.add("store", edge(link), queue),
        cluster: all.add("cluster", link.subjects.cluster(), queue),
    };
    (all, counted)
}

/// Where the records of a replica set go.
pub(crate) fn set_subject(link: &Link, set: &[NodeId]) -> String {
    let mut hash = Sha256::new();
    for node in set {
        hash.update(node.as_str());
        hash.update([0]);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    link.subjects.gossip_set(&crate::data::hex(&half))
}

/// Hears, or no longer hears, requests to the primary of a partition.
pub(crate) async fn set_primary(
    intake: &mut Intake<Topic>,
    link: &Link,
    partition: u16,
    leads: bool,
) -> Result<(), Error> {
    let topic = Topic::Primary(partition);
    intake.remove(topic).await;
    if leads {
        let subject = link.subjects.primary(partition);
        intake.add(topic, link.client.subscribe(subject).await.map_err(Error::closed)?);
    }
    Ok(())
}

fn edge(link: &Link) -> String {
    format!("{}.storage.>", link.subjects.prefix())
}

/// Subscribes to everything except to what depends on which partitions the node leads.
pub(crate) async fn subscribe<C>(
    link: &Link,
    id: &NodeId,
    node: &Node<C>,
) -> Result<Intake<Topic>, Error> {
    let mut intake = Intake::new();
    let mut plain = vec![
        (Topic::Node, link.subjects.node(id)),
        (Topic::Digest, link.subjects.gossip()),
        (Topic::Letter, link.subjects.peer(id)),
        (Topic::Status, link.subjects.cluster_status()),
        (Topic::Scheduler, link.subjects.heartbeats(Role::Scheduler)),
    ];
    let several = node.sets().iter().filter(|set| set.len() > 1);
    plain.extend(several.map(|set| (Topic::Push, set_subject(link, set))));
    for (topic, subject) in plain {
        intake.add(topic, link.client.subscribe(subject).await.map_err(Error::closed)?);
    }
    let mut shared = vec![(Topic::Edge, edge(link)), (Topic::Cluster, link.subjects.cluster())];
    shared.extend(node.hosted().map(|number| (Topic::Replica, link.subjects.replica(number))));
    for (topic, subject) in shared {
        let queue = subject::QUEUE.to_owned();
        let subscriber = link.client.queue_subscribe(Subject::from(subject), queue).await;
        intake.add(topic, subscriber.map_err(Error::closed)?);
    }
    Ok(intake)
}
