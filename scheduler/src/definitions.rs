//! Chains and service operators as they are stored: two KV buckets, watched.
//!
//! A watch may die silently, so every few seconds the bucket's last sequence is compared with
//! what was seen; where they differ everything is read again. Without JetStream the scheduler
//! runs inline chains only, says so in its log, and keeps trying.

use crate::machine::Input;
use crate::news::News;
use async_nats::jetstream::{self, kv};
use catena_link::Link;
use catena_protocol::chain::{Definition, Service};
use catena_protocol::subject::{CHAINS, OPERATORS};
use catena_protocol::{Code, Fault, Name};
use futures_util::StreamExt;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// How often a watch is checked.
const CHECK: Duration = Duration::from_secs(3);
/// Old revisions that are kept.
const HISTORY: i64 = 16;

/// What a bucket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Chains.
    Chains,
    /// Service operators.
    Operators,
}

/// One of the two buckets.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    kind: Kind,
    name: String,
    replicas: usize,
    context: jetstream::Context,
}

impl Bucket {
    pub(crate) fn new(link: &Link, kind: Kind, replicas: usize) -> Self {
        let well_known = match kind {
            Kind::Chains => CHAINS,
            Kind::Operators => OPERATORS,
        };
        let context = jetstream::new(link.client.clone());
        Self { kind, name: link.subjects.bucket(well_known), replicas, context }
    }

    async fn open(&self) -> Result<kv::Store, async_nats::Error> {
        if let Ok(store) = self.context.get_key_value(&self.name).await {
            return Ok(store);
        }
        let config = kv::Config {
            bucket: self.name.clone(),
            history: HISTORY,
            num_replicas: self.replicas,
            ..kv::Config::default()
        };
        Ok(self.context.create_key_value(config).await?)
    }

    /// Stores a definition; none deletes it. Returns the revision.
    ///
    /// # Errors
    /// 503 if JetStream does not confirm.
    pub(crate) async fn put(&self, name: &Name, value: Option<String>) -> Result<u64, Fault> {
        let unclear = |error: &dyn std::fmt::Display| {
            let message = format!(
                "bucket `{}` did not confirm the change: {error}; it may have happened; look \
                 with `nats kv get {} {name}`",
                self.name, self.name
            );
            Fault::new(Code::Unavailable, message)
        };
        let store = self.open().await.map_err(|error| unclear(&error))?;
        match value {
            Some(text) => {
                store.put(name.as_str(), text.into()).await.map_err(|error| unclear(&error))
            }
            None => {
                store.delete(name.as_str()).await.map_err(|error| unclear(&error))?;
                let status = store.status().await.map_err(|error| unclear(&error))?;
                Ok(status.info.state.last_sequence)
            }
        }
    }

    /// Looks for one definition.
    pub(crate) async fn look(&self, name: &Name) -> Option<Input> {
        let store = self.context.get_key_value(&self.name).await.ok()?;
        match store.entry(name.as_str()).await.ok()? {
            Some(entry) if entry.operation == kv::Operation::Put => Some(self.input(&entry)?.1),
            Some(_) | None => Some(Input::Missing(name.clone())),
        }
    }

    /// Reports everything that is stored, and every change, until the receiver is gone.
    pub(crate) async fn follow(self, news: mpsc::Sender<News>) {
        let mut quiet = false;
        while !news.is_closed() {
            match self.read_and_watch(&news).await {
                Ok(()) => quiet = false,
                Err(error) if !quiet => {
                    let bucket = &self.name;
                    warn!(bucket, %error, "definitions cannot be read (is JetStream enabled?); \
                          inline chains work; trying again");
                    quiet = true;
                }
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn read_and_watch(&self, news: &mpsc::Sender<News>) -> Result<(), async_nats::Error> {
        let store = self.open().await?;
        let mut expected = store.status().await?.info.state.last_sequence;
        let mut watch = store.watch_with_history(">").await?;
        let mut seen = 0;
        let mut present = BTreeSet::new();
        let mut loaded = false;
        let mut check = tokio::time::interval(CHECK);
        check.reset();
        loop {
            if !loaded && seen >= expected {
                loaded = true;
                info!(bucket = self.name, count = present.len(), "definitions read");
                self.report_loaded(&present, news).await;
            }
            tokio::select! {
                entry = watch.next() => {
                    let Some(entry) = entry else { return Ok(()) };
                    let entry = entry?;
                    seen = seen.max(entry.revision);
                    if let Some((name, input)) = self.input(&entry) {
                        self.report(name, &entry, input, &mut present, news).await;
                    }
                }
                _ = check.tick() => {
                    let last = store.status().await?.info.state.last_sequence;
                    if loaded && seen < expected {
                        warn!(bucket = self.name, "a change was not announced; reading all again");
                        return Ok(());
                    }
                    // What is there now must have been announced by the next check.
                    expected = last;
                    if !loaded {
                        // The newest revisions may be of keys that were purged since.
                        seen = seen.max(last);
                    }
                }
            }
        }
    }

    async fn report(
        &self,
        name: Name,
        entry: &kv::Entry,
        input: Input,
        present: &mut BTreeSet<Name>,
        news: &mpsc::Sender<News>,
    ) {
        if entry.operation == kv::Operation::Put {
            if self.kind == Kind::Chains {
                let _ = news.send(News::Chain(name.clone())).await;
            }
            present.insert(name);
        } else {
            present.remove(&name);
        }
        let _ = news.send(News::Input(Box::new(input))).await;
    }

    async fn report_loaded(&self, present: &BTreeSet<Name>, news: &mpsc::Sender<News>) {
        if self.kind == Kind::Chains {
            let input = Input::Chains(present.clone());
            let _ = news.send(News::Input(Box::new(input))).await;
        }
    }

    fn input(&self, entry: &kv::Entry) -> Option<(Name, Input)> {
        let name = match Name::new(&entry.key) {
            Ok(name) => name,
            Err(error) => {
                warn!(bucket = self.name, %error, "a key in the bucket is ignored");
                return None;
            }
        };
        let text = (entry.operation == kv::Operation::Put).then(|| {
            std::str::from_utf8(&entry.value)
                .map_err(|_| Fault::bad_request("the definition is not valid UTF-8"))
        });
        let revision = entry.revision;
        let input = match self.kind {
            Kind::Chains => {
                let definition = text.map(|text| text.and_then(Definition::parse));
                let definition = definition.map(|parsed| parsed.map_err(|f| broken(&name, f)));
                Input::Chain { name: name.clone(), revision, definition }
            }
            Kind::Operators => {
                let service = text.map(|text| text.and_then(Service::parse)).transpose();
                let service = service.unwrap_or_else(|fault| {
                    warn!(operator = %name, %fault, "a service operator cannot be used");
                    None
                });
                Input::Service { name: name.clone(), service }
            }
        };
        Some((name, input))
    }
}

fn broken(name: &Name, fault: Fault) -> Fault {
    warn!(chain = %name, %fault, "a stored chain cannot be used");
    Fault::new(fault.code, format!("chain `{name}` is stored but cannot run: {}", fault.message))
}
