//! The loop of a worker: the only place that touches NATS and time.

use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::error::Error;
use crate::executor::{Done, Executor};
use crate::machine::{self, Input, Worker};
use crate::operator::Doors;
use crate::store::JobStore;
use crate::turn::Turn;
use async_nats::{Message, StatusCode};
use bytes::Bytes;
use catena_client::Store;
use catena_link::{Intake, Link, Settings, close, connect};
use catena_protocol::chain::Chain;
use catena_protocol::clock::Now;
use catena_protocol::message::assign::Check;
use catena_protocol::message::handoff::Step;
use catena_protocol::message::heartbeat::{Heartbeat, Load};
use catena_protocol::subject::Role;
use catena_protocol::{ChainHash, Fault, NodeId, codec, limit};
use catena_service::{Discovery, Endpoint, Endpoints, Facts, Identity, Shutdown};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

/// Messages taken in one turn at most, so that heartbeats are never late.
const TURN: usize = 512;

#[derive(Clone, Copy)]
enum Source {
    Step,
    Check,
    Reply,
    Scheduler,
}

/// Runs a worker until the end is asked for and what it holds is done.
///
/// # Errors
/// [`Error`] if NATS refuses the settings, or the connection is closed for good.
pub async fn run(config: Config, settings: Settings, mut shutdown: Shutdown) -> Result<(), Error> {
    if config.capacity == 0 {
        return Err(Error::NoCapacity);
    }
    let identity = Identity::new(Role::Worker, config.id.clone());
    let name = identity.connection_name();
    let link = tokio::select! {
        link = connect(settings, &name, true) => link?,
        () = shutdown.requested() => return Ok(()),
    };
    let service = Service::start(config, identity, link).await?;
    service.serve(shutdown).await
}

struct Service {
    identity: Identity,
    drain: Duration,
    turn: Turn,
    intake: Intake<Source>,
    inbox: String,
    schedulers: HashMap<NodeId, u64>,
    steps: Arc<Endpoint>,
    checks: Arc<Endpoint>,
    facts: Facts,
    _discovery: Discovery,
    /// Ends with the service.
    _door_keeper: JoinSet<()>,
}

impl Service {
    async fn start(config: Config, identity: Identity, link: Link) -> Result<Self, Error> {
        let store = Store::open(&link).await.map_err(Error::closed)?.patient();
        let doors = Doors::new(Arc::clone(&link.subjects), identity.id.clone());
        let mut door_keeper = JoinSet::new();
        door_keeper.spawn(doors.listen(&link.client).await.map_err(Error::closed)?);
        let catalogue = Catalogue::new(config.registry, link.client.clone(), doors);
        let operators = Arc::new(JobStore(store.clone()));
        let executor = Executor::new(operators, catalogue.has_natives()).map_err(Error::closed)?;
        let machine = Worker::new(machine::Settings {
            id: identity.id.clone(),
            capacity: config.capacity,
            message_limit: link.message_limit(),
        });
        let inbox = link.client.new_inbox();
        let intake = subscribe(&link, &identity.id, &inbox).await?;
        let mut endpoints = Endpoints::default();
        let steps = endpoints.add("step", link.subjects.step(&identity.id), None);
        let checks = endpoints.add("check", link.subjects.check(&identity.id), None);
        let facts = Facts::default();
        let description = "runs the operators of chains";
        let discovery =
            Discovery::start(&link.client, &identity, description, endpoints, facts.clone())
                .await
                .map_err(Error::closed)?;
        let id = identity.id.clone();
        let turn = Turn::new(id, link, machine, executor, catalogue, store, inbox.clone());
        Ok(Self {
            identity,
            drain: config.drain,
            turn,
            intake,
            inbox,
            schedulers: HashMap::new(),
            steps,
            checks,
            facts,
            _discovery: discovery,
            _door_keeper: door_keeper,
        })
    }

    async fn serve(mut self, mut shutdown: Shutdown) -> Result<(), Error> {
        info!(worker = %self.identity.id, "worker is ready");
        let mut heartbeat = interval(Duration::from_millis(limit::HEARTBEAT_MS));
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut messages = Vec::with_capacity(TURN);
        let mut ended: Vec<Done> = Vec::new();
        let mut drain_until = None;
        loop {
            let wait = self.turn.until_deadline().unwrap_or(Duration::from_secs(3600));
            tokio::select! {
                open = self.intake.next(TURN, &mut messages) => if !open {
                    return Err(Error::closed("every subscription has ended"));
                },
                () = self.turn.executor.finished(TURN, &mut ended) => {}
                (token, tell) = Turn::committed(&mut self.turn.commits) => {
                    let now = self.turn.now();
                    self.turn.input(now, Input::Decided(token, tell));
                    self.take_commits(now);
                }
                _ = heartbeat.tick() => self.beat().await,
                () = tokio::time::sleep(wait) => {
                    let now = self.turn.now();
                    self.turn.input(now, Input::Tick);
                }
                () = shutdown.requested(), if drain_until.is_none() => {
                    drain_until = Some(Instant::now() + self.drain);
                    self.begin_drain().await;
                }
            }
            self.handle(&mut messages, &mut ended).await;
            self.turn.flush().await;
            if let Some(until) = drain_until
                && (self.turn.machine.outstanding() == 0 || Instant::now() >= until)
            {
                return self.end().await;
            }
        }
    }

    async fn handle(&mut self, messages: &mut Vec<(Source, Message)>, ended: &mut Vec<Done>) {
        if messages.is_empty() && ended.is_empty() {
            return;
        }
        let (start, now) = (Instant::now(), self.turn.now());
        let before = self.turn.done;
        self.turn.metrics.turn.record(messages.len() as f64);
        for done in ended.drain(..) {
            self.turn.ended(now, done);
        }
        for (source, message) in messages.drain(..) {
            match source {
                Source::Step => self.take_steps(now, &message),
                Source::Reply => self.take_reply(now, message),
                Source::Check => self.take_check(message).await,
                Source::Scheduler => self.take_scheduler(now, &message).await,
            }
        }
        self.steps.answered(self.turn.done - before, start.elapsed());
    }

    /// Answers of the store that are ready as well go into the same turn.
    fn take_commits(&mut self, now: Now) {
        use futures_util::{FutureExt, StreamExt};
        while let Some(Some((token, tell))) = self.turn.commits.next().now_or_never() {
            self.turn.input(now, Input::Decided(token, tell));
        }
    }

    fn take_steps(&mut self, now: Now, message: &Message) {
        match codec::decode_batch::<Step>(&message.payload) {
            Ok(steps) => {
                for step in steps {
                    self.turn.input(now, Input::Step(step));
                }
            }
            Err(error) => {
                self.turn.metrics.malformed.increment(1);
                self.steps.failed(&Fault::bad_request(&error));
                warn!(%error, "a message with steps was refused");
            }
        }
    }

    /// Replies to this worker's own messages: chains it asked for, and "nobody is there".
    fn take_reply(&mut self, now: Now, message: Message) {
        let Some(rest) = message.subject.strip_prefix(&self.inbox) else { return };
        let mut tokens = rest.split('.').skip(1);
        match (tokens.next(), tokens.next(), tokens.next()) {
            (Some("chain"), Some(hash), None) if message.status.is_none() => {
                let Ok(hash) = hash.parse::<ChainHash>() else { return };
                self.turn.input(now, Input::Chain(hash, chain_from(hash, &message.payload)));
            }
            (Some("handoff"), Some(number), Some(to))
                if message.status == Some(StatusCode::NO_RESPONDERS) =>
            {
                let (Ok(number), Ok(to)) = (number.parse(), to.parse()) else { return };
                self.turn.input(now, Input::Unreached { number, to });
            }
            _ => {}
        }
    }

    async fn take_check(&mut self, message: Message) {
        let Some(reply) = message.reply else { return };
        let start = Instant::now();
        let answer = match codec::decode::<Check>(&message.payload) {
            Ok(check) => self.turn.catalogue.check(&check),
            Err(error) => {
                let fault = Some(Fault::bad_request(error));
                catena_protocol::message::assign::Checked { fault }
            }
        };
        if let Some(fault) = &answer.fault {
            self.checks.failed(fault);
        }
        self.checks.answered(1, start.elapsed());
        let _ = self.turn.link.client.publish(reply, codec::encode(&answer).into()).await;
    }

    async fn take_scheduler(&mut self, now: Now, message: &Message) {
        let Ok(heartbeat) = codec::decode::<Heartbeat>(&message.payload) else {
            self.turn.metrics.malformed.increment(1);
            return;
        };
        let Heartbeat { node, boot, draining, .. } = heartbeat;
        let new = self.schedulers.insert(node.clone(), boot) != Some(boot);
        if self.schedulers.len() > 4_096 {
            self.schedulers.clear();
        }
        self.turn.input(now, Input::Scheduler { id: node, draining });
        if new {
            // A scheduler that has just started can plan at once.
            self.beat().await;
        }
    }

    async fn beat(&mut self) {
        let (now, machine) = (self.turn.now(), &self.turn.machine);
        let outstanding = machine.outstanding();
        let heartbeat = Heartbeat {
            node: self.identity.id.clone(),
            boot: self.identity.boot,
            draining: machine.is_draining(),
            load: Load::Worker {
                outstanding,
                credit: machine.share(now),
                operators: self.turn.catalogue.offers(),
            },
        };
        self.facts.set(json!({ "outstanding": outstanding, "done": self.turn.done }));
        self.turn.metrics.outstanding.set(f64::from(outstanding));
        self.turn.metrics.redirected.absolute(self.turn.store.redirected());
        let subject = self.turn.link.subjects.heartbeat(Role::Worker, &self.identity.id);
        let body = codec::encode(&heartbeat);
        if let Err(error) = self.turn.link.client.publish(subject, body.into()).await {
            warn!(%error, "a heartbeat could not be sent");
        }
    }

    async fn begin_drain(&mut self) {
        info!(outstanding = self.turn.machine.outstanding(), "worker takes nothing new");
        let now = self.turn.now();
        self.turn.input(now, Input::Drain);
        self.beat().await;
    }

    async fn end(mut self) -> Result<(), Error> {
        let left = self.turn.machine.outstanding();
        self.beat().await;
        self.turn.flush().await;
        if !close(&self.turn.link.client).await {
            warn!("the last messages may not have been sent");
        }
        info!(left, "worker has ended");
        Ok(())
    }
}

async fn subscribe(link: &Link, id: &NodeId, inbox: &str) -> Result<Intake<Source>, Error> {
    let subjects = &link.subjects;
    let mut intake = Intake::new();
    let sources = [
        (Source::Reply, format!("{inbox}.>")),
        (Source::Check, subjects.check(id)),
        (Source::Step, subjects.step(id)),
        (Source::Scheduler, subjects.heartbeats(Role::Scheduler)),
    ];
    for (source, subject) in sources {
        let subscriber = link.client.subscribe(subject).await.map_err(Error::closed)?;
        intake.add(source, subscriber);
    }
    Ok(intake)
}

/// The chain in an answer, if it is the one that was asked for.
fn chain_from(hash: ChainHash, bytes: &Bytes) -> Option<Arc<Chain>> {
    if ChainHash::of(bytes) != hash {
        return None;
    }
    codec::decode(bytes).ok().map(Arc::new)
}
