//! The cluster's record in JetStream, so that nobody mixes two clusters up.
//!
//! The bucket says which cluster this NATS server belongs to and who founded it. It is written
//! once and never replaced; every storage node keeps a copy, and puts it back where it is
//! missing.

use crate::error::Error;
use async_nats::jetstream::{self, kv};
use catena_link::Link;
use catena_protocol::message::store::Cluster;
use catena_protocol::subject;
use std::time::Duration;
use tracing::warn;

const KEY: &str = "identity";
const PATIENCE: Duration = Duration::from_secs(2);
/// Copies that a NATS cluster keeps of the bucket.
const REPLICAS: usize = 3;

/// What the bucket says; none: nothing, or it cannot be asked.
pub(crate) async fn known(link: &Link) -> Option<Cluster> {
    let bucket = context(link).get_key_value(&name(link)).await.ok()?;
    let entry = bucket.entry(KEY).await.ok().flatten()?;
    if entry.operation != kv::Operation::Put {
        return None;
    }
    match serde_json::from_slice(&entry.value) {
        Ok(cluster) => Some(cluster),
        Err(error) => {
            warn!(%error, "the cluster's record in JetStream cannot be read");
            let id = "(unreadable)".to_owned();
            Some(Cluster { id, partitions: 0, replicas: 0, members: Vec::new() })
        }
    }
}

/// Refuses if the bucket names another cluster than `ours`.
pub(crate) fn compare(link: &Link, known: Option<&Cluster>, ours: &str) -> Result<(), Error> {
    match known {
        Some(theirs) if theirs.id != ours => Err(other(link, theirs, Some(ours))),
        _ => Ok(()),
    }
}

/// The bucket names another cluster than `ours`.
pub(crate) fn other(link: &Link, theirs: &Cluster, ours: Option<&str>) -> Error {
    Error::OtherCluster {
        bucket: name(link),
        theirs: theirs.id.clone(),
        ours: ours.map(str::to_owned),
    }
}

/// Writes the record into the bucket if none stands there. Never replaces anything: whether it is
/// this one that stands there then is for [`known`] to say.
///
/// # Errors
/// What JetStream said; whether something was written is not known then.
pub(crate) async fn record(link: &Link, cluster: &Cluster) -> Result<(), async_nats::Error> {
    let bucket = open(link).await?;
    match bucket.create(KEY, serde_json::to_vec(cluster)?.into()).await {
        Err(error) if error.kind() != kv::CreateErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// The bucket, made if it is not there, with as many replicas as the NATS servers can keep.
async fn open(link: &Link) -> Result<kv::Store, async_nats::Error> {
    let context = context(link);
    if let Ok(bucket) = context.get_key_value(&name(link)).await {
        return Ok(bucket);
    }
    let config = |num_replicas| kv::Config {
        bucket: name(link),
        history: 1,
        num_replicas,
        ..Default::default()
    };
    if link.client.server_info().cluster.is_some() {
        match context.create_key_value(config(REPLICAS)).await {
            Ok(bucket) => return Ok(bucket),
            Err(error) => warn!(%error, "the cluster's bucket cannot have {REPLICAS} replicas"),
        }
    }
    Ok(context.create_key_value(config(1)).await?)
}

/// The bucket's name.
pub(crate) fn name(link: &Link) -> String {
    link.subjects.bucket(subject::CLUSTER)
}

fn context(link: &Link) -> jetstream::Context {
    let mut context = jetstream::new(link.client.clone());
    context.set_timeout(PATIENCE);
    context
}
