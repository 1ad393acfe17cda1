//! The cluster's identity in JetStream, so that nobody mixes two clusters up.
//!
//! The bucket only says which cluster this NATS server belongs to. Without JetStream, or while it
//! is away, the data directory alone says it.

use crate::data::hex;
use crate::error::Error;
use async_nats::jetstream::{self, kv};
use catena_link::Link;
use catena_protocol::message::store::Cluster;
use catena_protocol::subject;
use std::time::Duration;
use tracing::{info, warn};

const KEY: &str = "identity";
const PATIENCE: Duration = Duration::from_secs(2);

/// What the bucket says; none: nothing, or it cannot be asked.
pub(crate) async fn known(link: &Link) -> Option<Cluster> {
    let bucket = open(link, false).await?;
    let entry = bucket.entry(KEY).await.ok().flatten()?;
    if entry.operation != kv::Operation::Put {
        return None;
    }
    match serde_json::from_slice(&entry.value) {
        Ok(cluster) => Some(cluster),
        Err(error) => {
            warn!(%error, "the cluster's identity in JetStream cannot be read");
            Some(Cluster { id: "(unreadable)".to_owned(), partitions: 0 })
        }
    }
}

/// Refuses if the bucket names another cluster than `ours`.
pub(crate) fn compare(
    link: &Link,
    known: Option<&Cluster>,
    ours: Option<&[u8; 16]>,
) -> Result<(), Error> {
    let ours = ours.map(hex);
    match known {
        Some(theirs) if Some(&theirs.id) != ours.as_ref() => Err(Error::OtherCluster {
            bucket: link.subjects.bucket(subject::CLUSTER),
            theirs: theirs.id.clone(),
            ours,
        }),
        _ => Ok(()),
    }
}

/// Writes the identity into the bucket if nothing stands there. Never replaces anything.
pub(crate) async fn announce(link: &Link, cluster: &Cluster) {
    let Some(bucket) = open(link, true).await else {
        info!("JetStream is not there; the cluster's identity is kept by the storage node alone");
        return;
    };
    let body = serde_json::to_vec(cluster).unwrap_or_default();
    if let Err(error) = bucket.create(KEY, body.into()).await
        && error.kind() != kv::CreateErrorKind::AlreadyExists
    {
        warn!(%error, "the cluster's identity could not be put into JetStream");
    }
}

async fn open(link: &Link, create: bool) -> Option<kv::Store> {
    let mut context = jetstream::new(link.client.clone());
    context.set_timeout(PATIENCE);
    let name = link.subjects.bucket(subject::CLUSTER);
    match context.get_key_value(&name).await {
        Ok(bucket) => Some(bucket),
        Err(_) if create => {
            let config = kv::Config { bucket: name, history: 1, ..Default::default() };
            context.create_key_value(config).await.ok()
        }
        Err(_) => None,
    }
}
