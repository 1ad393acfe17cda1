//! The loop: the only place where messages, time and the rules meet.
//!
//! ```text
//! wait for anything --> take all that is ready --> machine.handle(..) each --> publish together
//! ```
//!
//! Nothing is batched by time: what queued up during one turn is the next batch.

mod messages;

use crate::config::Config;
use crate::definitions::{Bucket, Kind};
use crate::home::Home;
use crate::intake::{self, Topic};
use crate::machine::{Effect, Input, Scheduler, Submission};
use crate::news::{FromQueue, News};
use crate::publish::Publisher;
use crate::queue::Queue;
use crate::{error::Error, metrics};
use async_nats::Message;
use async_nats::jetstream::AckKind;
use catena_client::Store;
use catena_link::Clock;
use catena_link::{Intake, Link, Settings, close, connect};
use catena_protocol::message::finish::{Answer, Finished};
use catena_protocol::message::heartbeat::{Heartbeat, Load};
use catena_protocol::subject::{QUEUE, Role};
use catena_protocol::{Name, codec, limit, subject};
use catena_service::{Discovery, Endpoint, Endpoints, Facts, Identity, Shutdown};
use messages::INQUIRIES;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

/// Most messages that one turn takes from each side.
const TURN: usize = 256;
/// A request that may find nothing only because this process is young is tried again so often.
const YOUNG: Duration = Duration::from_millis(1_500);

/// Runs a scheduler until `shutdown` is requested, then lets jobs in flight end.
///
/// An absent NATS server is waited for, one that goes away as well.
///
/// # Errors
/// [`Error`] if the connection cannot be made with these settings or is closed for good.
pub async fn run(config: Config, settings: Settings, mut shutdown: Shutdown) -> Result<(), Error> {
    let identity = Identity::new(Role::Scheduler, config.id.clone());
    let name = identity.connection_name();
    let link = tokio::select! {
        link = connect(settings, &name, true) => link?,
        () = shutdown.requested() => return Ok(()),
    };
    metrics::describe();
    let mut service = Service::start(config, identity, link).await?;
    let ended = service.serve(shutdown).await;
    service.leave().await;
    ended
}

struct Service {
    config: Config,
    identity: Identity,
    link: Link,
    clock: Clock,
    machine: Scheduler,
    publisher: Publisher,
    store: Store,
    buckets: [Bucket; 2],
    /// Tasks that follow the buckets.
    followers: JoinSet<()>,
    front: Intake<Topic>,
    back: Intake<Topic>,
    news: mpsc::Sender<News>,
    incoming: mpsc::Receiver<News>,
    queued: mpsc::Receiver<FromQueue>,
    inquiries: Arc<Semaphore>,
    effects: Vec<Effect>,
    messages: Vec<(Topic, Message)>,
    submissions: Vec<Submission>,
    connects: u64,
    draining: bool,
    facts: Facts,
    endpoints: [Arc<Endpoint>; 2],
    _discovery: Discovery,
}

fn closed(error: impl std::fmt::Display) -> Error {
    Error::Closed(error.to_string())
}

impl Service {
    async fn start(config: Config, identity: Identity, link: Link) -> Result<Self, Error> {
        let clock = Clock::start();
        let id = identity.id.clone();
        let (news, incoming) = mpsc::channel(4_096);
        let (jobs, queued) = mpsc::channel(64);
        let store = Store::open(&link).await.map_err(closed)?.patient();
        let buckets =
            [Kind::Chains, Kind::Operators].map(|kind| Bucket::new(&link, kind, config.replicas));
        let mut followers = JoinSet::new();
        for bucket in &buckets {
            followers.spawn(bucket.clone().follow(news.clone()));
        }
        let mut queue = Queue::new(&link, &config, jobs);
        if let Ok(inline) = Name::new(subject::INLINE) {
            queue.listen(&inline);
        }
        let gone = link.client.new_inbox();
        let back = intake::back(&link, &id, &gone).await.map_err(closed)?;
        let front = intake::front(&link).await.map_err(closed)?;
        let home = Home::new(&store, news.clone());
        let publisher = Publisher::new(&link, gone, home, queue, buckets[0].clone(), news.clone());
        let (endpoints, all) = endpoints(&link);
        let facts = Facts::default();
        let discovery = Discovery::start(&link.client, &identity, "plans jobs", all, facts.clone())
            .await
            .map_err(closed)?;
        info!(%id, prefix = link.subjects.prefix(), "scheduler is ready");
        Ok(Self {
            machine: Scheduler::new(config.rules(id), rand::random(), clock.now()),
            connects: connects(&link),
            config,
            identity,
            link,
            clock,
            publisher,
            store,
            buckets,
            followers,
            front,
            back,
            news,
            incoming,
            queued,
            inquiries: Arc::new(Semaphore::new(INQUIRIES)),
            effects: Vec::new(),
            messages: Vec::new(),
            submissions: Vec::new(),
            draining: false,
            facts,
            endpoints,
            _discovery: discovery,
        })
    }

    async fn serve(&mut self, mut shutdown: Shutdown) -> Result<(), Error> {
        let mut beat = interval(Duration::from_millis(limit::HEARTBEAT_MS));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut progress = interval(crate::queue::PROGRESS);
        let mut news = Vec::new();
        let mut fore = Vec::new();
        let mut until: Option<Instant> = None;
        let sleep = tokio::time::sleep_until(Instant::now());
        tokio::pin!(sleep);
        loop {
            if until.is_some_and(|until| self.machine.jobs() == 0 || Instant::now() >= until) {
                return Ok(());
            }
            let due = self.machine.next_deadline().map(|us| self.clock.at(us));
            let due = [due, until].into_iter().flatten().min();
            if let Some(due) = due
                && sleep.deadline() != due
            {
                sleep.as_mut().reset(due);
            }
            let room = self.room_for_queued() > 0;
            let mut job = None;
            tokio::select! {
                open = self.back.next(TURN, &mut self.messages) => if !open {
                    return Err(closed("no subscription is left"));
                },
                open = self.front.next(TURN, &mut fore), if !self.draining => if !open {
                    return Err(closed("no subscription is left"));
                },
                count = self.incoming.recv_many(&mut news, TURN) => if count == 0 {
                    return Err(closed("no helper is left"));
                },
                from = self.queued.recv(), if room => job = from,
                () = &mut sleep, if due.is_some() => {}
                _ = beat.tick() => self.beat(),
                _ = progress.tick() => self.publisher.queue.progress().await,
                () = shutdown.requested(), if until.is_none() => {
                    until = Some(Instant::now() + self.config.drain);
                    self.drain().await;
                }
            }
            self.messages.append(&mut fore);
            self.turn(&mut news, job);
            self.flush(&mut shutdown).await?;
        }
    }

    /// Sends what the turn wants to send. A connection that is away is waited for, unless the
    /// process is to end.
    async fn flush(&mut self, shutdown: &mut Shutdown) -> Result<(), Error> {
        let patience = self.config.drain;
        tokio::select! {
            biased;
            sent = self.publisher.flush() => sent.or_else(|error| match error.kind() {
                async_nats::client::PublishErrorKind::Send => Err(closed(error)),
                _ => {
                    warn!(%error, "a message could not be sent");
                    Ok(())
                }
            }),
            () = async { shutdown.requested().await; tokio::time::sleep(patience).await } => {
                Err(closed("it did not come back before the end of the shutdown"))
            }
        }
    }

    /// Handles everything that is there.
    fn turn(&mut self, news: &mut Vec<News>, job: Option<FromQueue>) {
        let mut messages = std::mem::take(&mut self.messages);
        let span = tracing::debug_span!("turn", messages = messages.len()).entered();
        for (topic, message) in messages.drain(..) {
            self.message(topic, message);
        }
        self.messages = messages;
        for item in news.drain(..) {
            self.news(item);
        }
        for job in job.into_iter().chain(self.more_jobs()) {
            if let Some(submission) = self.publisher.queue.take(job) {
                self.handle(Input::Submit(submission));
            }
        }
        let now = self.clock.now();
        if self.machine.next_deadline().is_some_and(|us| us <= now.mono_us) {
            self.handle(Input::Tick);
        }
        drop(span);
    }

    fn more_jobs(&mut self) -> Vec<FromQueue> {
        let most = self.room_for_queued().min(TURN);
        std::iter::from_fn(|| self.queued.try_recv().ok()).take(most).collect()
    }

    /// How many more jobs may be taken from the durable queue.
    fn room_for_queued(&self) -> usize {
        let most = self.config.max_jobs / 4 * 3;
        let room = most.saturating_sub(self.publisher.queue.open() + 1);
        if self.draining { 0 } else { room.min(self.machine.room()) }
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        self.machine.handle(now, input, &mut self.effects);
        self.act();
    }

    /// Passes on what the rules said, and what comes back from it at once.
    fn act(&mut self) {
        // Jobs that end later than in the turn of their submission were run.
        let endpoint = Arc::clone(&self.endpoints[0]);
        self.act_for(&endpoint);
    }

    fn act_for(&mut self, endpoint: &Endpoint) {
        for effect in &self.effects {
            if let Effect::Answer {
                finished: Finished { result: Answer::Fault(fault), .. }, ..
            } = effect
            {
                endpoint.failed(fault);
            }
        }
        let mut back = Vec::new();
        self.publisher.take(&mut self.effects, &mut back);
        while let Some(input) = back.pop() {
            self.machine.handle(self.clock.now(), input, &mut self.effects);
            self.publisher.take(&mut self.effects, &mut back);
        }
    }

    /// Whether workers and definitions may not all be known yet.
    fn is_young(&self) -> bool {
        u128::from(self.clock.now().mono_us) < YOUNG.as_micros()
    }

    /// Twice a second: says that it lives, shows figures, notices a connection that was lost.
    fn beat(&mut self) {
        let connects = connects(&self.link);
        if connects != self.connects {
            self.connects = connects;
            self.handle(Input::Reconnected);
        }
        let jobs = u32::try_from(self.machine.jobs()).unwrap_or(u32::MAX);
        let Identity { id, boot, role } = &self.identity;
        let longest_ms = self.machine.longest_deadline_ms(self.clock.now());
        let load = Load::Scheduler { jobs, longest_ms };
        let beat = Heartbeat { node: id.clone(), boot: *boot, draining: self.draining, load };
        let subject = self.link.subjects.heartbeat(*role, id);
        let (client, body) = (self.link.client.clone(), codec::encode(&beat));
        tokio::spawn(async move { client.publish(subject, body.into()).await.is_ok() });
        let queued = self.publisher.queue.open();
        metrics::show(&self.machine, queued);
        self.facts.set(json!({
            "jobs": jobs,
            "queued": queued,
            "held_bytes": self.machine.held_bytes(),
            "draining": self.draining,
            "counters": self.machine.counters(),
            "workers": self.machine.workers(),
        }));
    }

    /// Takes nothing new; jobs in flight go on.
    async fn drain(&mut self) {
        info!(jobs = self.machine.jobs(), "draining");
        self.draining = true;
        self.publisher.queue.stop();
        self.queued.close();
        while let Ok(from) = self.queued.try_recv() {
            tokio::spawn(async move { from.message.ack_with(AckKind::Nak(None)).await.is_ok() });
        }
        self.front.drain().await;
        // What the server sent before it heard of the end still counts.
        let rest = async { while self.front.next(TURN, &mut self.messages).await {} };
        let _ = tokio::time::timeout(Duration::from_millis(100), rest).await;
        self.beat();
    }

    /// Lets go what is left and says so to everybody who waits.
    async fn leave(&mut self) {
        if self.machine.jobs() > 0 {
            warn!(jobs = self.machine.jobs(), "stopping with jobs in flight");
        }
        self.handle(Input::Stop);
        self.followers.abort_all();
        let sent = async {
            let _ = self.publisher.flush().await;
            close(&self.link.client).await
        };
        if !matches!(tokio::time::timeout(Duration::from_secs(2), sent).await, Ok(true)) {
            warn!("NATS is away; the last messages were not sent");
        }
        info!("scheduler has stopped");
    }
}

fn endpoints(link: &Link) -> ([Arc<Endpoint>; 2], Endpoints) {
    let mut all = Endpoints::default();
    let run = all.add("run", link.subjects.run("*"), Some(QUEUE));
    let submit = all.add("submit", link.subjects.submit("*"), Some(QUEUE));
    ([run, submit], all)
}

fn connects(link: &Link) -> u64 {
    link.client.statistics().connects.load(Ordering::Relaxed)
}
