//! Which subjects a storage node hears.

use crate::error::Error;
use async_nats::Subject;
use catena_link::{Intake, Link};
use catena_protocol::NodeId;
use catena_protocol::subject;
use catena_service::{Endpoint, Endpoints};
use std::sync::Arc;

/// What a message is, by the subscription that it came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// A batch of requests to this node.
    Node,
    /// A batch of requests to the primary of a partition: while this node leads all, to it.
    Primary,
    /// Which cluster is this?
    Cluster,
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

fn edge(link: &Link) -> String {
    format!("{}.storage.>", link.subjects.prefix())
}

pub(crate) async fn subscribe(link: &Link, id: &NodeId) -> Result<Intake<Topic>, Error> {
    let mut intake = Intake::new();
    let primary = format!("{}.partition.*.primary", link.subjects.prefix());
    let plain = [(Topic::Node, link.subjects.node(id)), (Topic::Primary, primary)];
    for (topic, subject) in plain {
        intake.add(topic, link.client.subscribe(subject).await.map_err(Error::closed)?);
    }
    let shared = [(Topic::Edge, edge(link)), (Topic::Cluster, link.subjects.cluster())];
    for (topic, subject) in shared {
        let queue = subject::QUEUE.to_owned();
        let subscriber = link.client.queue_subscribe(Subject::from(subject), queue).await;
        intake.add(topic, subscriber.map_err(Error::closed)?);
    }
    Ok(intake)
}
