//! What a node with data says to nodes that want to found a cluster: that there is one.
//!
//! They hear of it by the bucket. If they do not, it was lost, and is written again here.

use crate::cluster;
use crate::data::Owner;
use crate::error::Error;
use async_nats::Subscriber;
use catena_link::Link;
use catena_protocol::message::founding::{Announcement, Plan};
use catena_protocol::message::store::Cluster;
use catena_protocol::{ClusterId, codec};
use futures_util::{FutureExt, StreamExt};
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// Answers until it is dropped.
pub(crate) struct Answering(JoinHandle<()>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Answering {
    pub(super) async fn start(link: &Link, owner: &Owner) -> Result<Self, Error> {
        let heard = link.client.subscribe(link.subjects.founding()).await;
        let heard = heard.map_err(Error::closed)?;
        let cluster = owner.cluster();
        let plan = Plan {
            size: u8::try_from(cluster.members.len()).unwrap_or(u8::MAX),
            partitions: cluster.partitions,
            replicas: cluster.replicas,
        };
        let mine = Announcement {
            member: owner.member(),
            cluster: Some(ClusterId(owner.ids.cluster)),
            plan,
        };
        Ok(Self(tokio::spawn(answer(link.clone(), heard, mine, cluster))))
    }
}

async fn answer(link: Link, mut heard: Subscriber, mine: Announcement, cluster: Cluster) {
    let body = codec::encode(&mine);
    while let Some(message) = heard.next().await {
        let Ok(theirs) = codec::decode::<Announcement>(&message.payload) else { continue };
        if theirs.cluster.is_some() {
            continue;
        }
        info!(node = %theirs.member.node, "a storage node without data looks for its cluster");
        let subject = link.subjects.founding();
        if let Err(error) = link.client.publish(subject, body.clone().into()).await {
            warn!(%error, "it could not be told that there is one");
        }
        if let Err(error) = cluster::record(&link, &cluster).await {
            warn!(%error, "the cluster's record cannot be put into JetStream");
        }
        // What came meanwhile has been answered as well.
        while let Some(Some(_)) = heard.next().now_or_never() {}
    }
}
