//! A storage node on a real NATS server, and someone who asks it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test uses some of it"
)]

use async_nats::{HeaderMap, Message};
use catena_link::Link;
use catena_protocol::clock::Timestamp;
use catena_protocol::codec::{Batch, decode_batch};
use catena_protocol::message::read::{At, Read};
use catena_protocol::message::store::{Ask, Request, Response, Tell};
use catena_protocol::message::write::{Change, Condition, Mutation, Write, Written};
use catena_protocol::{Blob, Key, RequestId};
use catena_service::{ShutdownHandle, shutdown};
use catena_storage::{Config, Error};
use catena_testing::{NatsServer, within};
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::JoinHandle;

pub const PARTITIONS: u16 = 8;

/// A running node.
pub struct Running {
    handle: ShutdownHandle,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    /// Starts a node on `server` with its data in `data`, and waits until it answers.
    pub async fn start(server: &NatsServer, data: &str) -> Self {
        let running = Self::launch(server, data);
        let link = server.connect("waiting").await;
        within(20, "an answer of the node", async {
            while link.client.request("catena.cluster", "".into()).await.is_err() {
                assert!(!running.task.is_finished(), "the node has ended");
                tokio::task::yield_now().await;
            }
        })
        .await;
        running
    }

    /// Starts a node and does not wait.
    pub fn launch(server: &NatsServer, data: &str) -> Self {
        let (handle, shutdown) = shutdown();
        let config = Config { partitions: PARTITIONS, ..Config::new(path(server, data)) };
        let task = tokio::spawn(catena_storage::run(config, server.settings(), shutdown));
        Self { handle, task }
    }

    /// Ends it in good order.
    pub async fn stop(self) {
        self.handle.request();
        within(20, "the end of the node", self.task).await.unwrap().unwrap();
    }

    /// Waits until it ends by itself.
    pub async fn failed(self) -> Error {
        within(20, "the end of the node", self.task).await.unwrap().unwrap_err()
    }
}

pub fn path(server: &NatsServer, data: &str) -> PathBuf {
    server.folder().join(data)
}

/// Someone who asks.
pub struct Asker {
    pub link: Link,
    next: u64,
}

impl Asker {
    pub async fn new(server: &NatsServer) -> Self {
        Self { link: server.connect("asker").await, next: 0 }
    }

    /// Asks many things in one message and returns the answers in the same order.
    pub async fn ask_all(&mut self, asks: Vec<(u16, Ask)>) -> Vec<Tell> {
        let first = self.next;
        let mut batch = Batch::default();
        for (partition, ask) in asks {
            batch.push(&Request { id: self.next, partition, ask });
            self.next += 1;
        }
        let count = usize::try_from(self.next - first).unwrap();
        let inbox = self.link.client.new_inbox();
        let mut answers = self.link.client.subscribe(inbox.clone()).await.unwrap();
        let subject = self.link.subjects.primary(0);
        self.link.client.publish_with_reply(subject, inbox, batch.take()).await.unwrap();
        let mut told: Vec<Option<Tell>> = vec![None; count];
        within(20, "all answers", async {
            let mut open = count;
            while open > 0 {
                let message = futures_util::StreamExt::next(&mut answers).await.unwrap();
                for Response { id, tell } in decode_batch::<Response>(&message.payload).unwrap() {
                    let at = usize::try_from(id - first).unwrap();
                    assert!(told[at].replace(tell).is_none(), "answered twice");
                    open -= 1;
                }
            }
        })
        .await;
        told.into_iter().map(Option::unwrap).collect()
    }

    /// Syncs of the log since the start of the only node, as it tells service discovery.
    pub async fn syncs(&self) -> u64 {
        let told = self.link.client.request("$SRV.STATS.catena-storage", "".into()).await.unwrap();
        let stats: serde_json::Value = serde_json::from_slice(&told.payload).unwrap();
        // Nothing is told before the first heartbeat.
        stats["endpoints"][0]["data"]["syncs"].as_u64().unwrap_or_default()
    }

    pub async fn ask(&mut self, partition: u16, ask: Ask) -> Tell {
        self.ask_all(vec![(partition, ask)]).await.remove(0)
    }

    pub async fn write(&mut self, key: &str, change: Change, condition: Condition) -> Tell {
        self.write_as(RequestId(rand::random()), key, change, condition).await
    }

    pub async fn write_as(
        &mut self,
        request: RequestId,
        key: &str,
        change: Change,
        condition: Condition,
    ) -> Tell {
        let (partition, write) = write(request, key, change, condition);
        self.ask(partition, Ask::Write(write)).await
    }

    pub async fn put(&mut self, key: &str, value: &str) -> Timestamp {
        let told = self.write(key, Change::Put(value.into()), Condition::Always).await;
        match told {
            Tell::Written(Written::Done { version, .. }) => version,
            other => panic!("not written: {other:?}"),
        }
    }

    pub async fn read(&mut self, key: &str, at: At) -> Tell {
        let key = Key::new(key).unwrap();
        self.ask(key.partition(PARTITIONS), Ask::Read(Read { key, at })).await
    }

    pub async fn value(&mut self, key: &str) -> Option<Blob> {
        match self.read(key, At::Latest).await {
            Tell::Record(record) => record.value,
            other => panic!("not a record: {other:?}"),
        }
    }

    /// Asks as a person does.
    pub async fn text(&self, subject: &str, headers: &[(&str, &str)], body: &str) -> Message {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        let request = self.link.client.request_with_headers(
            format!("catena.{subject}"),
            map,
            body.to_owned().into(),
        );
        within(20, "an answer", tokio::time::timeout(Duration::from_secs(10), request))
            .await
            .expect("in time")
            .expect("an answer")
    }
}

pub fn write(request: RequestId, key: &str, change: Change, condition: Condition) -> (u16, Write) {
    let key = Key::new(key).unwrap();
    let partition = key.partition(PARTITIONS);
    (partition, Write { request, mutation: Mutation { key, change }, condition })
}

/// The body of an answer as text.
pub fn body(message: &Message) -> &str {
    std::str::from_utf8(&message.payload).unwrap()
}

/// A header of an answer.
pub fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.headers.as_ref()?.get(name).map(async_nats::HeaderValue::as_str)
}
