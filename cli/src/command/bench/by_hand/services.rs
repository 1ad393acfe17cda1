//! The chain written by hand, by somebody who knows NATS well: three services, each with its own
//! connection, that pass the payload on by publishing to the next one's queue group, and a KV
//! bucket.
//!
//! ```text
//! client --hand.0--> pass --hand.1--> look --hand.2--> leave --> the client's inbox
//!                                      | get            | update by revision; get and again
//!                                      v                v        if somebody was faster
//!                                     KV bucket, replicated, synced always
//! ```
//!
//! It gives less than a chain of Catena does: what was read may have changed when is written, what
//! is lost on the way stays lost, and what is sent twice is done twice.

use crate::command::bench::steps::key;
use crate::failure::Failure;
use async_nats::jetstream;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::kv::{self, UpdateErrorKind};
use async_nats::{Client, HeaderMap, Message, Request};
use bytes::Bytes;
use catena_link::{Settings, connect};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

const BUCKET: &str = "by-hand";
/// Instances of a step share its messages.
const GROUP: &str = "steps";
/// How long an answer may take. What is slow is measured, and no error.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages that a service works on at a time.
const AT_ONCE: usize = 512;
/// Where a step says which revision it has seen of which key.
const SEEN: &str = "Seen-Revision";
/// Where the last step says that it failed.
const FAILED: &str = "Failed";

/// The running services and their client. Dropped, they end.
pub(super) struct ByHand {
    client: Client,
    _services: JoinSet<()>,
}

/// One service.
struct Service {
    step: Step,
    client: Client,
    bucket: kv::Store,
    /// The revisions that its own updates left, so that it need not ask.
    revisions: Mutex<HashMap<String, u64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Pass,
    Look,
    Leave,
}

impl Step {
    const ALL: [Self; 3] = [Self::Pass, Self::Look, Self::Leave];

    fn subject(self) -> String {
        format!("hand.{}", self as usize)
    }
}

impl ByHand {
    /// Creates the bucket with `replicas` on the servers at `urls` and starts the services, each
    /// on a server of its own where there are so many.
    pub(super) async fn start(urls: &[String], replicas: usize) -> Result<Self, Failure> {
        let client = connected(urls, 0).await?;
        let config =
            kv::Config { bucket: BUCKET.to_owned(), num_replicas: replicas, ..Default::default() };
        context(&client).create_key_value(config).await.map_err(Failure::new)?;
        let mut services = JoinSet::new();
        for (at, step) in Step::ALL.into_iter().enumerate() {
            let client = connected(urls, at).await?;
            let bucket = context(&client).get_key_value(BUCKET).await;
            let bucket = bucket.map_err(Failure::new)?;
            let group = client.queue_subscribe(step.subject(), GROUP.to_owned()).await;
            let messages = group.map_err(Failure::new)?;
            client.flush().await.map_err(Failure::new)?;
            let revisions = Mutex::default();
            let service = Arc::new(Service { step, client, bucket, revisions });
            services.spawn(messages.for_each_concurrent(AT_ONCE, move |message| {
                let service = Arc::clone(&service);
                async move { service.answer(message).await }
            }));
        }
        Ok(Self { client, _services: services })
    }

    /// Gives every key its first value, as a user's program would find them.
    pub(super) async fn prepare(&self, keys: &[String], payload: usize) -> Result<(), Failure> {
        let bucket = context(&self.client).get_key_value(BUCKET).await;
        let bucket = bucket.map_err(Failure::new)?;
        for key in keys {
            let value: Bytes = vec![b'x'; payload].into();
            bucket.put(key, value).await.map_err(Failure::new)?;
        }
        Ok(())
    }

    /// What runs a chain.
    pub(super) fn caller(&self) -> Caller {
        Caller(self.client.clone())
    }
}

/// Runs chains.
#[derive(Clone)]
pub(super) struct Caller(Client);

impl Caller {
    /// Sends an input and waits for the result.
    pub(super) async fn run(&self, input: Bytes) -> Result<(), Failure> {
        let request = Request::new().payload(input).timeout(Some(PATIENCE));
        let answer = self.0.send_request(Step::Pass.subject(), request).await;
        let answer = answer.map_err(Failure::new)?;
        match answer.headers.as_ref().and_then(|headers| headers.get(FAILED)) {
            Some(why) => Err(Failure::new(format!("the chain by hand failed: {why}"))),
            None => Ok(()),
        }
    }
}

fn context(client: &Client) -> jetstream::Context {
    ContextBuilder::new().timeout(PATIENCE).build(client.clone())
}

async fn connected(urls: &[String], at: usize) -> Result<Client, Failure> {
    let url = &urls[at % urls.len()];
    Ok(connect(Settings::url(url.clone()), "by-hand", false).await?.client)
}

impl Service {
    async fn answer(&self, message: Message) {
        let Message { payload, headers, reply: Some(reply), .. } = message else { return };
        let seen = headers.as_ref().and_then(|headers| headers.get(SEEN)?.as_str().parse().ok());
        let mut headers = HeaderMap::new();
        let done = match self.step {
            Step::Pass => Ok(()),
            Step::Look => self.look(&payload).await.map(|revision| {
                headers.insert(SEEN, revision.to_string());
            }),
            Step::Leave => self.leave(&payload, seen).await,
        };
        if let Err(error) = &done {
            headers.insert(FAILED, error.to_string().replace(['\r', '\n'], " "));
        }
        let next = match (done, self.step) {
            (Ok(()), Step::Pass) => Some(Step::Look),
            (Ok(()), Step::Look) => Some(Step::Leave),
            _ => None,
        };
        // Who is not answered gives up by itself.
        let _ = match next {
            Some(next) => {
                self.client
                    .publish_with_reply_and_headers(next.subject(), reply, headers, payload)
                    .await
            }
            None => self.client.publish_with_headers(reply, headers, payload).await,
        };
    }

    /// The revision of what is there.
    async fn look(&self, payload: &Bytes) -> Result<u64, Failure> {
        let found = self.bucket.entry(read_key(payload)?).await.map_err(Failure::new)?;
        Ok(found.map_or(0, |entry| entry.revision))
    }

    /// Writes if nobody was faster, and looks again until that is so.
    async fn leave(&self, payload: &Bytes, seen: Option<u64>) -> Result<(), Failure> {
        let key = written_key(payload)?;
        let same = read_key(payload)? == key;
        let mut revision = match seen.filter(|_| same).or_else(|| self.known(key)) {
            Some(revision) => revision,
            None => self.revision(key).await?,
        };
        loop {
            match self.bucket.update(key, payload.clone(), revision).await {
                Ok(revision) => {
                    self.knows(key, revision);
                    return Ok(());
                }
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {
                    revision = self.revision(key).await?;
                }
                Err(error) => return Err(Failure::new(error)),
            }
        }
    }

    async fn revision(&self, key: &str) -> Result<u64, Failure> {
        let found = self.bucket.entry(key).await.map_err(Failure::new)?;
        Ok(found.map_or(0, |entry| entry.revision))
    }

    fn known(&self, key: &str) -> Option<u64> {
        self.revisions.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    fn knows(&self, key: &str, revision: u64) {
        let mut known = self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(key.to_owned(), revision);
    }
}

fn read_key(payload: &Bytes) -> Result<&str, Failure> {
    key(payload, 0).ok_or_else(|| Failure::new("the input names no record to read"))
}

fn written_key(payload: &Bytes) -> Result<&str, Failure> {
    key(payload, 1).ok_or_else(|| Failure::new("the input names no record to write"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use crate::command::bench::steps::input;
    use catena_testing::{NatsServer, within};

    const CHAINS: u64 = 20;

    /// The last revision after so many chains at once, all about the same records.
    async fn revision(read: &str, write: &str) -> u64 {
        let server = NatsServer::start().await;
        let hand = ByHand::start(&[server.url().to_owned()], 1).await.unwrap();
        hand.prepare(&[write.to_owned()], 64).await.unwrap();
        let mut chains = JoinSet::new();
        for _ in 0..CHAINS {
            let (caller, input) = (hand.caller(), input(read, write, 64));
            chains.spawn(async move { caller.run(input).await });
        }
        while let Some(ended) = within(30, "the end of a chain", chains.join_next()).await {
            ended.unwrap().unwrap();
        }
        let bucket = context(&hand.client).get_key_value(BUCKET).await.unwrap();
        bucket.entry(write).await.unwrap().unwrap().revision
    }

    #[tokio::test]
    async fn every_chain_writes_once_however_many_want_the_same_record() {
        for (read, write) in [("k0000001", "k0000001"), ("k0000001", "k0000002")] {
            assert_eq!(revision(read, write).await, 1 + CHAINS, "{read}, {write}");
        }
    }
}
