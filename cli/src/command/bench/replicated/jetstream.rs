//! A JetStream KV bucket under measurement, through `async-nats` with its default settings.
//!
//! One connection to each server, keys shared out to them: so no single connection is what limits.
//! Reads are the library's own: direct gets, which any replica answers and which may be behind.
//! Catena's are linearizable.

use super::operation::Stored;
use crate::failure::Failure;
use async_nats::jetstream::{self, kv};
use bytes::Bytes;
use catena_link::{Settings, connect};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const BUCKET: &str = "bench";
/// Most keys: as many as lanes.
const KEYS: usize = 4_096;

/// A bucket, and the revision of every key in it.
#[derive(Clone)]
pub(crate) struct JetStream {
    buckets: Arc<Vec<kv::Store>>,
    revisions: Arc<Vec<AtomicU64>>,
}

impl JetStream {
    /// Creates the bucket with `replicas` on the servers at `urls`.
    pub(crate) async fn create(urls: &[String], replicas: usize) -> Result<Self, Failure> {
        let mut buckets: Vec<kv::Store> = Vec::with_capacity(urls.len());
        for url in urls {
            let link = connect(Settings::url(url), "jetstream-bench", false).await?;
            let context = jetstream::new(link.client);
            buckets.push(match buckets.len() {
                0 => context.create_key_value(config(replicas)).await.map_err(Failure::new)?,
                _ => context.get_key_value(BUCKET).await.map_err(Failure::new)?,
            });
        }
        let revisions = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { buckets: Arc::new(buckets), revisions: Arc::new(revisions) })
    }

    fn bucket(&self, key: usize) -> &kv::Store {
        &self.buckets[key % self.buckets.len()]
    }
}

fn config(replicas: usize) -> kv::Config {
    kv::Config { bucket: BUCKET.to_owned(), num_replicas: replicas, ..Default::default() }
}

fn name(key: usize) -> String {
    format!("bench.{key}")
}

impl Stored for JetStream {
    async fn read(&self, key: usize) -> Result<(), Failure> {
        match self.bucket(key).get(name(key)).await.map_err(Failure::new)? {
            Some(_) => Ok(()),
            None => Err(Failure::new("JetStream has no value where one was put")),
        }
    }

    async fn write(&self, key: usize, value: Bytes) -> Result<(), Failure> {
        let revision = self.bucket(key).put(name(key), value).await.map_err(Failure::new)?;
        self.revisions[key].store(revision, Ordering::Relaxed);
        Ok(())
    }

    async fn update(&self, key: usize, _old: Bytes, new: Bytes) -> Result<(), Failure> {
        let last = self.revisions[key].load(Ordering::Relaxed);
        let updated = self.bucket(key).update(name(key), new, last).await;
        self.revisions[key].store(updated.map_err(Failure::new)?, Ordering::Relaxed);
        Ok(())
    }
}
