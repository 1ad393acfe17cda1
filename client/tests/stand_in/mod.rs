//! Peers that misbehave on purpose, over a real NATS server: they lose answers, send others
//! away, stay silent. What good peers do is tested with the real ones.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test uses some of it")]

use async_nats::{HeaderMap, Message};
use catena_link::Link;
use catena_protocol::codec::{self, Batch};
use catena_protocol::message::finish::{Answer, Finished};
use catena_protocol::message::heartbeat::{Heartbeat, Led, Load};
use catena_protocol::message::store::{Cluster, Request, Response, Tell};
use catena_protocol::message::submit::Submit;
use catena_protocol::subject::{JobVerb, Role};
use catena_protocol::{Fault, JobId, NodeId, edge};
use futures_util::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinHandle;

pub const PARTITIONS: u16 = 4;

/// Answers on `subject` with what `answer` says; counts the messages.
pub async fn answer_on(
    link: &Link,
    subject: String,
    mut answer: impl FnMut(&Message) -> Option<(Option<HeaderMap>, Vec<u8>)> + Send + 'static,
) -> Listener {
    let mut subscriber = link.client.subscribe(subject).await.unwrap();
    link.client.flush().await.unwrap();
    let (client, messages) = (link.client.clone(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&messages);
    let task = tokio::spawn(async move {
        while let Some(message) = subscriber.next().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let Some((headers, body)) = answer(&message) else { continue };
            let Some(reply) = message.reply.clone() else { continue };
            client
                .publish_with_headers(reply, headers.unwrap_or_default(), body.into())
                .await
                .unwrap();
        }
    });
    Listener { task, messages }
}

/// Ends when it is dropped.
pub struct Listener {
    task: JoinHandle<()>,
    messages: Arc<AtomicUsize>,
}

impl Listener {
    pub fn messages(&self) -> usize {
        self.messages.load(Ordering::SeqCst)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Tells everybody the number of partitions.
pub async fn cluster(link: &Link) -> Listener {
    let body = Cluster { id: "test".into(), partitions: PARTITIONS, replicas: 1, members: vec![] };
    let body = serde_json::to_vec(&body).unwrap();
    answer_on(link, link.subjects.cluster(), move |_| Some((None, body.clone()))).await
}

/// Answers store requests on `subject`, one by one; none: this one stays unanswered.
pub async fn storage(
    link: &Link,
    subject: String,
    mut tell: impl FnMut(&Request) -> Option<Tell> + Send + 'static,
) -> Listener {
    answer_on(link, subject, move |message| {
        let mut batch = Batch::default();
        for request in codec::decode_batch::<Request>(&message.payload).unwrap() {
            if let Some(tell) = tell(&request) {
                batch.push(&Response { id: request.id, tell });
            }
        }
        (!batch.is_empty()).then(|| (None, batch.finish().to_vec()))
    })
    .await
}

/// The subject of the primaries of all partitions.
pub fn primaries(link: &Link) -> String {
    format!("{}.partition.*.primary", link.subjects.prefix())
}

/// Says that `node` leads all partitions.
pub async fn leads(link: &Link, node: &str, epoch: u64) {
    let node = NodeId::new(node).unwrap();
    let led = (0..PARTITIONS).map(|partition| Led { partition, epoch }).collect();
    let load = Load::Storage { partitions: PARTITIONS, led };
    let beat = Heartbeat { node: node.clone(), boot: 1, draining: false, load };
    let subject = link.subjects.heartbeat(Role::Storage, &node);
    link.client.publish(subject, codec::encode(&beat).into()).await.unwrap();
    link.client.flush().await.unwrap();
}

/// Answers submissions to any chain, one by one; none: this one stays unanswered.
pub async fn scheduler(
    link: &Link,
    mut run: impl FnMut(&str, &Submit) -> Option<Answer> + Send + 'static,
) -> Listener {
    let subject = format!("{}.run.*", link.subjects.prefix());
    answer_on(link, subject, move |message| {
        let headers = message.headers.as_ref().unwrap();
        assert_eq!(headers.get(edge::CONTENT_TYPE).unwrap().as_str(), edge::CBOR);
        let chain = message.subject.rsplit('.').next().unwrap();
        let mut batch = Batch::default();
        for submit in codec::decode_batch::<Submit>(&message.payload).unwrap() {
            if let Some(result) = run(chain, &submit) {
                let version = catena_protocol::Timestamp(77);
                batch.push(&Finished { job: submit.job, version, result, explained: None });
            }
        }
        (!batch.is_empty()).then(|| (None, batch.finish().to_vec()))
    })
    .await
}

/// Answers questions about jobs.
pub async fn inquiries(
    link: &Link,
    mut tell: impl FnMut(JobVerb, JobId) -> Result<String, Fault> + Send + 'static,
) -> Listener {
    let subject = format!("{}.job.*.*", link.subjects.prefix());
    let subjects = Arc::clone(&link.subjects);
    answer_on(link, subject, move |message| {
        let (job, verb) = subjects.parse_job(&message.subject).unwrap();
        let verb = if verb == "status" { JobVerb::Status } else { JobVerb::Result };
        Some(match tell(verb, job.parse().unwrap()) {
            Ok(text) => {
                let mut headers = HeaderMap::new();
                headers.insert(edge::VERSION, "88");
                (Some(headers), text.into_bytes())
            }
            Err(fault) => {
                let mut headers = HeaderMap::new();
                for (name, value) in catena_link::fault_headers(&fault) {
                    headers.insert(name, value.as_str());
                }
                (Some(headers), catena_link::fault_body(&fault).to_vec())
            }
        })
    })
    .await
}
