//! The task behind a store: drives the router, talks to NATS.
//!
//! One turn takes everything that is ready, from callers and from the server, and sends one
//! message to each place that has something coming.

use super::Error;
use super::places::{CLUSTER, Place, Places};
use crate::alarm::Alarm;
use crate::machine::router::{Router, Settings};
use crate::machine::{Effect, Input};
use async_nats::{Message, StatusCode};
use catena_link::Clock;
use catena_link::{Intake, Link, Outbox};
use catena_protocol::message::heartbeat::Heartbeat;
use catena_protocol::message::store::{Ask, Cluster, Response, Tell};
use catena_protocol::{Fault, codec};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// A request on its way to the task.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) caller: Caller,
    pub(super) partition: u16,
    pub(super) ask: Ask,
    pub(super) deadline_us: u64,
    pub(super) patient: bool,
}

type Caller = oneshot::Sender<Result<Tell, Fault>>;

/// Most commands, and most messages, that one turn takes.
const TURN: usize = 1_024;
/// The cluster is asked for its number of partitions this often until somebody answers.
const DISCOVERY: Duration = Duration::from_millis(500);

#[derive(Clone, Copy)]
enum Source {
    Inbox,
    Heartbeat,
}

struct Task {
    link: Link,
    clock: Clock,
    router: Router<Caller>,
    commands: mpsc::Receiver<Command>,
    intake: Intake<Source>,
    outbox: Outbox,
    places: Places,
    effects: Vec<Effect<Caller>>,
    partitions: watch::Sender<Option<u16>>,
    redirected: Arc<AtomicU64>,
}

/// Subscribes and starts the task. It ends when every sender of `commands` is gone.
pub(super) async fn start(
    link: Link,
    clock: Clock,
    commands: mpsc::Receiver<Command>,
    redirected: Arc<AtomicU64>,
) -> Result<watch::Receiver<Option<u16>>, Error> {
    let inbox = link.client.new_inbox();
    let heartbeats = format!("{}.heartbeat.storage.*", link.subjects.prefix());
    let mut intake = Intake::new();
    for (source, subject) in
        [(Source::Inbox, format!("{inbox}.>")), (Source::Heartbeat, heartbeats)]
    {
        let subscriber = link.client.subscribe(subject).await.map_err(|_| Error::closed())?;
        intake.add(source, subscriber);
    }
    let limit = link.message_limit();
    let settings = Settings { request_bytes: limit, ..Settings::default() };
    let (partitions, told) = watch::channel(None);
    let task = Task {
        router: Router::new(settings, rand::random()),
        places: Places { inbox, known: Vec::new() },
        outbox: Outbox::new(limit),
        effects: Vec::new(),
        link,
        clock,
        commands,
        intake,
        partitions,
        redirected,
    };
    tokio::spawn(task.run());
    Ok(told)
}

impl Task {
    async fn run(mut self) {
        let mut commands = Vec::with_capacity(TURN);
        let mut messages = Vec::with_capacity(TURN);
        let mut alarm = Alarm::new(self.clock);
        let mut discovery = tokio::time::interval(DISCOVERY);
        loop {
            alarm.set(self.router.next_deadline());
            let room = !self.router.is_full();
            let undiscovered = self.router.partitions().is_none();
            tokio::select! {
                taken = self.commands.recv_many(&mut commands, TURN), if room => {
                    if taken == 0 {
                        break;
                    }
                }
                open = self.intake.next(TURN, &mut messages) => {
                    if !open {
                        break;
                    }
                }
                () = alarm.rings() => self.give(Input::Tick),
                _ = discovery.tick(), if undiscovered => self.discover().await,
            }
            // Callers that were answered in the last turn ask their next question now: one message
            // for all of them.
            tokio::task::yield_now().await;
            while commands.len() < TURN
                && room
                && let Ok(command) = self.commands.try_recv()
            {
                commands.push(command);
            }
            self.turn(&mut commands, &mut messages).await;
        }
        let _ = self.link.client.flush().await;
    }

    async fn turn(&mut self, commands: &mut Vec<Command>, messages: &mut Vec<(Source, Message)>) {
        let now = self.clock.now();
        for (source, message) in messages.drain(..) {
            match source {
                Source::Inbox => self.received(now, &message),
                Source::Heartbeat => self.heard(&message),
            }
        }
        for Command { caller, partition, ask, deadline_us, patient } in commands.drain(..) {
            let input = Input::Ask { caller, partition, ask, deadline_us, patient };
            self.router.handle(now, input, &mut self.effects);
        }
        self.carry_out().await;
    }

    fn give(&mut self, input: Input<Caller>) {
        self.router.handle(self.clock.now(), input, &mut self.effects);
    }

    async fn discover(&mut self) {
        let reply = format!("{}.{CLUSTER}", self.places.inbox);
        let sent = self
            .link
            .client
            .publish_with_reply(self.link.subjects.cluster(), reply, bytes::Bytes::new())
            .await;
        if let Err(error) = sent {
            tracing::warn!(%error, "the cluster could not be asked for its partitions");
        }
    }

    fn received(&mut self, now: catena_protocol::clock::Now, message: &Message) {
        let Some(place) = self.places.place(&message.subject) else { return };
        let refused = message.status == Some(StatusCode::NO_RESPONDERS);
        match place {
            Place::Cluster if refused => {}
            Place::Cluster => match serde_json::from_slice::<Cluster>(&message.payload) {
                Ok(cluster) => {
                    self.give(Input::Partitions(cluster.partitions));
                    self.tell_partitions();
                }
                Err(error) => tracing::warn!(%error, "an answer about the cluster is malformed"),
            },
            Place::Target(to, Some(turn)) if refused => {
                self.router.handle(now, Input::Refused { to, turn }, &mut self.effects);
            }
            Place::Target(..) => match codec::decode_batch::<Response>(&message.payload) {
                Ok(responses) => {
                    for response in responses {
                        self.router.handle(now, Input::Told(response), &mut self.effects);
                    }
                }
                Err(error) => {
                    let fault = catena_link::fault_of(message.headers.as_ref());
                    tracing::warn!(%error, ?fault, "a storage node's answer cannot be used");
                }
            },
        }
    }

    fn heard(&mut self, message: &Message) {
        match codec::decode::<Heartbeat>(&message.payload) {
            Ok(heartbeat) => {
                self.give(Input::Alive(heartbeat));
                self.tell_partitions();
            }
            Err(error) => tracing::warn!(%error, subject = %message.subject, "a bad heartbeat"),
        }
    }

    fn tell_partitions(&self) {
        self.partitions.send_if_modified(|known| {
            let news = known.is_none() && self.router.partitions().is_some();
            *known = self.router.partitions();
            news
        });
    }

    async fn carry_out(&mut self) {
        self.redirected.store(self.router.redirected(), Ordering::Relaxed);
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Send { to, id, turn } => {
                    if let Some(request) = self.router.request(id) {
                        let (subject, reply) = self.places.subjects(&self.link, &to, turn);
                        self.outbox.push(subject, Some(reply), request);
                    }
                }
                Effect::Answer { caller, result } => {
                    let _ = caller.send(result);
                }
            }
        }
        if !self.outbox.is_empty()
            && let Err(error) = self.outbox.flush(&self.link.client).await
        {
            tracing::warn!(%error, "store requests could not be sent; they are tried again");
        }
    }
}
