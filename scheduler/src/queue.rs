//! The durable queue: jobs that survive every process, in JetStream stream `CATENA_JOBS`.
//!
//! JetStream is trusted to deliver at least once; a message is acknowledged when the outcome of
//! its job is durable. One durable consumer per chain, shared by all schedulers, so that a slow
//! chain does not hold up the others.

use crate::chain_queue::ChainQueue;
use crate::config::Config;
use crate::edge;
use crate::machine::{Called, Queueing, Source, Submission};
use crate::news::FromQueue;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::{Acker, PublishMessage};
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy};
use async_nats::jetstream::{self, AckKind};
use async_nats::{HeaderMap, Subject};
use catena_link::Link;
use catena_protocol::message::assign::Reply;
use catena_protocol::message::submit::Queued;
use catena_protocol::subject::{INLINE, JOBS};
use catena_protocol::{Code, Fault, JobId, Name, edge as headers};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::{debug, warn};

/// How often running jobs give a sign of life; well within the time after which a message is
/// delivered again.
pub(crate) const PROGRESS: Duration = Duration::from_secs(3);
/// How long a refused message waits before it comes again: at first, doubled each time, at most.
const LATER: Duration = Duration::from_millis(250);
const LATER_MAX: Duration = Duration::from_secs(4);
/// Jobs that were put on the queue here are remembered as `queued`, this many.
const REMEMBERED: usize = 65_536;

/// The durable queue as one scheduler uses it.
pub(crate) struct Queue {
    link: Link,
    context: jetstream::Context,
    settings: stream::Config,
    jobs: Option<mpsc::Sender<FromQueue>>,
    per_chain: usize,
    chains: BTreeSet<Name>,
    open: BTreeMap<u64, Open>,
    last_token: u64,
    remembered: BTreeSet<JobId>,
    order: VecDeque<JobId>,
}

/// A message whose job is in flight here.
struct Open {
    acker: Acker,
    /// How often it was delivered.
    delivered: i64,
    /// Given back with the message.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Queue {
    pub(crate) fn new(link: &Link, config: &Config, jobs: mpsc::Sender<FromQueue>) -> Self {
        let settings = stream::Config {
            name: link.subjects.bucket(JOBS),
            subjects: vec![link.subjects.queue("*")],
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            max_messages: config.queue_messages,
            duplicate_window: Duration::from_secs(120),
            num_replicas: config.replicas,
            ..stream::Config::default()
        };
        Self {
            context: jetstream::new(link.client.clone()),
            link: link.clone(),
            settings,
            jobs: Some(jobs),
            per_chain: config.max_queued.max(1),
            chains: BTreeSet::new(),
            open: BTreeMap::new(),
            last_token: 0,
            remembered: BTreeSet::new(),
            order: VecDeque::new(),
        }
    }

    /// Begins to take jobs of a chain, if that is not done yet.
    pub(crate) fn listen(&mut self, chain: &Name) {
        if !self.chains.insert(chain.clone()) {
            return;
        }
        let Some(jobs) = self.jobs.clone() else { return };
        let queue = ChainQueue {
            context: self.context.clone(),
            settings: self.settings.clone(),
            subject: self.link.subjects.queue(chain.as_str()),
            chain: chain.clone(),
            permits: Arc::new(Semaphore::new(self.per_chain)),
            jobs,
        };
        tokio::spawn(queue.run());
    }

    /// How many messages are open here.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// Listens to no further chain.
    pub(crate) fn stop(&mut self) {
        self.jobs = None;
    }

    /// Takes a message; if it is none that makes a job, it is thrown away with a line in the log.
    pub(crate) fn take(&mut self, from: FromQueue) -> Option<Submission> {
        let FromQueue { chain, message, permit } = from;
        let (delivered, sequence, stored_ms) = match message.info() {
            Ok(info) => (info.delivered, info.stream_sequence, stored_ms(&info)),
            Err(error) => {
                warn!(%chain, %error, "a message on the queue has no delivery facts");
                return None;
            }
        };
        let (message, acker) = message.split();
        self.last_token += 1;
        let token = self.last_token;
        let source = Source::Queue { token, again: delivered > 1, stored_ms };
        match edge::described(chain.as_str(), &message, source) {
            Ok(mut submission) => {
                submission.named_by(&self.settings.name, sequence);
                self.open.insert(token, Open { acker, delivered, _permit: permit });
                Some(submission)
            }
            Err(fault) => {
                warn!(%chain, sequence, %fault, "a message on the queue makes no job; dropped");
                tokio::spawn(async move { acker.ack_with(AckKind::Term).await.is_ok() });
                None
            }
        }
    }

    /// A message is done with, or is to come again.
    pub(crate) fn release(&mut self, token: u64, done: bool) {
        let Some(Open { acker, delivered, .. }) = self.open.remove(&token) else { return };
        let doublings = u32::try_from(delivered.clamp(1, 8) - 1).unwrap_or_default();
        let later = (LATER * 2_u32.pow(doublings)).min(LATER_MAX);
        tokio::spawn(async move {
            let released = if done {
                acker.double_ack().await
            } else {
                acker.ack_with(AckKind::Nak(Some(later))).await
            };
            if let Err(error) = released {
                // It is delivered again and then answered from the outcome.
                debug!(%error, "a queue message could not be released");
            }
        });
    }

    /// A message can never run, and nothing can be recorded about it.
    pub(crate) fn discard(&mut self, token: u64, fault: &Fault) {
        let Some(Open { acker, .. }) = self.open.remove(&token) else { return };
        warn!(%fault, "a message on the queue is too old for an outcome; dropped");
        tokio::spawn(async move { acker.ack_with(AckKind::Term).await.is_ok() });
    }

    /// Says of every open message that its job still runs.
    pub(crate) async fn progress(&self) {
        for open in self.open.values() {
            let _ = open.acker.ack_with(AckKind::Progress).await;
        }
    }

    /// Whether a job was put on the queue here, as far as remembered.
    pub(crate) fn remembers(&self, job: &JobId) -> bool {
        self.remembered.contains(job)
    }

    /// Puts a job on the queue and answers its submitter once it is durable.
    pub(crate) fn enqueue(&mut self, job: Queueing) {
        self.remember(job.job);
        let chain = match &job.called {
            Called::Named(name) => name.as_str(),
            Called::Inline(_) => INLINE,
        };
        let subject = self.link.subjects.queue(chain);
        let (context, link) = (self.context.clone(), self.link.clone());
        let reply = job.reply.clone();
        let id = job.job;
        let settings = self.settings.clone();
        let message = message(job);
        tokio::spawn(async move {
            let mut published = publish(&context, &subject, message.clone()).await;
            if matches!(published, Err(Trouble::NoStream))
                && context.get_or_create_stream(settings).await.is_ok()
            {
                published = publish(&context, &subject, message).await;
            }
            let published = published.map_err(Fault::from);
            let Some(Reply::Text(reply) | Reply::Batch(reply)) = reply else { return };
            answer(&link, reply.into(), id, published).await;
        });
    }

    fn remember(&mut self, job: JobId) {
        if self.remembered.insert(job) {
            self.order.push_back(job);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.remembered.remove(&oldest);
        }
    }
}

impl Submission {
    /// A message that was put on the queue directly is named by where it lies there.
    fn named_by(&mut self, stream: &str, sequence: u64) {
        use crate::machine::Identity;
        if let Identity::Random { routing } = &mut self.identity {
            let request = format!("{stream}:{sequence}");
            self.identity = Identity::Request { request, routing: routing.take() };
        }
    }
}

fn message(job: Queueing) -> PublishMessage {
    let mut map = HeaderMap::new();
    map.insert(headers::JOB, job.job.to_string().as_str());
    if let Called::Inline(text) = &job.called {
        map.insert(headers::CHAIN, text.replace(char::is_control, " ").as_str());
    }
    if job.deadline_ms > 0 {
        map.insert(headers::TIMEOUT, format!("{}ms", job.deadline_ms).as_str());
    }
    if job.after.0 > 0 {
        map.insert(headers::AFTER, job.after.to_string().as_str());
    }
    if let Some(trace) = &job.trace {
        map.insert(headers::TRACE, trace.as_str());
    }
    PublishMessage::build().payload(job.input).headers(map).message_id(job.job.to_string())
}

/// Why a job may not be on the queue.
enum Trouble {
    /// Certainly not: there is no queue.
    NoStream,
    /// Certainly not: it is full.
    Full,
    /// It may be.
    Unclear(String),
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoStream => Self::new(
                Code::Unavailable,
                "the durable queue is not there (is JetStream enabled?); nothing was queued",
            ),
            Trouble::Full => Self::new(
                Code::TooBusy,
                "the durable queue is full; nothing was queued; try again later",
            ),
            Trouble::Unclear(why) => Self::new(
                Code::Unavailable,
                format!(
                    "the durable queue did not confirm the job: {why}; it may be queued; send it \
                     again under the same id or idempotency key"
                ),
            ),
        }
    }
}

async fn publish(
    context: &jetstream::Context,
    subject: &str,
    message: PublishMessage,
) -> Result<bool, Trouble> {
    let trouble = |error: async_nats::jetstream::context::PublishError| match error.kind() {
        PublishErrorKind::StreamNotFound => Trouble::NoStream,
        _ if error.to_string().contains("maximum messages") => Trouble::Full,
        _ => Trouble::Unclear(error.to_string()),
    };
    let sent = context.send_publish(subject.to_owned(), message).await.map_err(trouble)?;
    sent.await.map(|ack| ack.duplicate).map_err(trouble)
}

async fn answer(link: &Link, reply: Subject, job: JobId, published: Result<bool, Fault>) {
    let facts = [(headers::JOB, job.to_string())];
    match published {
        Ok(duplicate) => {
            let queued = Queued { job, state: "queued".to_owned(), duplicate };
            let body = serde_json::to_vec(&queued).unwrap_or_default();
            catena_link::reply_text(&link.client, reply, &facts, body.into()).await;
        }
        Err(fault) => catena_link::reply_fault(&link.client, reply, &fault, &facts).await,
    }
}

/// When a message was put on the queue, in milliseconds of the wall clock.
fn stored_ms(info: &async_nats::jetstream::message::Info<'_>) -> u64 {
    u64::try_from(info.published.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}
