//! One turn of the loop: messages become requests, effects become work of threads and answers.

use crate::applier::ToState;
use crate::edge::{Answer, Edge};
use crate::error::Error;
use crate::forward::Forward;
use crate::intake::{Counted, Topic};
use crate::machine::{Effect, Event, Input, Node};
use crate::metrics;
use crate::peers::Peers;
use crate::state::FjallState;
use crate::status::status;
use crate::writer::ToLog;
use async_nats::{Message, Subject};
use catena_link::Clock;
use catena_link::{Link, Outbox, reply_text};
use catena_protocol::codec::{decode, decode_batch};
use catena_protocol::message::heartbeat::{Heartbeat, Load};
use catena_protocol::message::store::{Cluster, Request, Tell};
use catena_protocol::subject::answers_to;
use catena_protocol::{Fault, edge};
use minicbor::Decode;
use std::collections::BTreeSet;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// Whom an answer goes to.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// A service or client: the answer goes into its next batch.
    Batch {
        /// Its inbox.
        reply: Subject,
        /// When it asked.
        since: Instant,
    },
    /// A person, by the number of the request and the partition that is asked.
    Edge(u64, u16),
}

/// Everything that a turn works on.
pub(crate) struct Turn {
    pub(crate) link: Link,
    pub(crate) clock: Clock,
    pub(crate) node: Node<Caller>,
    pub(crate) state: FjallState,
    pub(crate) to_log: Sender<ToLog>,
    pub(crate) to_state: Sender<ToState>,
    pub(crate) cluster: Cluster,
    pub(crate) counted: Counted,
    pub(crate) forward: Forward,
    pub(crate) peers: Peers,
    pub(crate) outbox: Outbox,
    /// Partitions that this node has begun (or ceased) to lead since this was last emptied.
    pub(crate) moved: Vec<(u16, bool)>,
    pub(crate) work: Work,
}

/// What is under way.
#[derive(Default)]
pub(crate) struct Work {
    leads: BTreeSet<u16>,
    edge: Edge,
    effects: Vec<Effect<Caller>>,
    texts: Vec<(Subject, Answer)>,
    answers: metrics::Answers,
    conflicts: metrics::Conflicts,
}

impl Turn {
    /// The node takes part.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        self.node.begin(self.clock.now(), &mut self.work.effects)?;
        self.carry_out()
    }

    /// Takes messages that arrived together.
    pub(crate) fn take(&mut self, messages: &mut Vec<(Topic, Message)>) -> Result<(), Error> {
        let since = Instant::now();
        let mut requests = Vec::with_capacity(messages.len());
        // Records before what tells where they end: else some would be asked for that are here.
        messages.sort_by_key(|(topic, _)| match topic {
            Topic::Push => 0,
            Topic::Digest => 1,
            _ => 2,
        });
        for (topic, message) in messages.drain(..) {
            match topic {
                Topic::Node | Topic::Primary(_) | Topic::Replica => {
                    self.batch(message, since, &mut requests);
                }
                Topic::Push => self.peer(&message, Input::Push)?,
                Topic::Digest => self.peer(&message, Input::Digest)?,
                Topic::Letter => self.peer(&message, Input::Letter)?,
                Topic::Edge => self.text(&message, since, &mut requests),
                Topic::Cluster => self.which_cluster(message),
                Topic::Status => self.how_is_it(message),
                Topic::Scheduler => self.scheduler(&message)?,
            }
        }
        if requests.is_empty() {
            return Ok(());
        }
        self.input(Input::Requests(requests))
    }

    fn peer<T: for<'b> Decode<'b, ()>>(
        &mut self,
        message: &Message,
        input: impl FnOnce(T) -> Input<Caller>,
    ) -> Result<(), Error> {
        match decode(&message.payload) {
            Ok(told) => self.input(input(told)),
            Err(error) => {
                metrics::malformed();
                tracing::warn!(%error, subject = %message.subject, "a storage node's message cannot be read");
                Ok(())
            }
        }
    }

    fn scheduler(&mut self, message: &Message) -> Result<(), Error> {
        match decode::<Heartbeat>(&message.payload) {
            Ok(Heartbeat { load: Load::Scheduler { longest_ms, .. }, .. }) => {
                self.input(Input::Longest { deadline_ms: longest_ms })
            }
            Ok(_) => Ok(()),
            Err(_) => {
                metrics::malformed();
                Ok(())
            }
        }
    }

    /// Gives the machine one input and does what it says.
    pub(crate) fn input(&mut self, input: Input<Caller>) -> Result<(), Error> {
        self.node.handle(self.clock.now(), input, &self.state, &mut self.work.effects)?;
        self.carry_out()
    }

    /// Sends what has gathered. Waits while the connection is behind.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        // First what others wait for to become durable.
        self.peers.flush(&self.link).await;
        self.work.answers.publish();
        for (reply, answer) in self.work.texts.drain(..) {
            reply_text(&self.link.client, reply, &answer.headers, answer.body).await;
        }
        if let Err(error) = self.outbox.flush(&self.link.client).await {
            tracing::warn!(%error, "answers could not be sent; they will be asked for again");
        }
        Ok(())
    }

    fn batch(&mut self, message: Message, since: Instant, requests: &mut Vec<(Caller, Request)>) {
        // Who wants no answer cannot know that it came to something; such a request is dropped.
        let Some(reply) = message.reply else { return metrics::malformed() };
        let fault = match decode_batch::<Request>(&message.payload) {
            Ok(batch) if batch.is_empty() => {
                Fault::bad_request("a batch of no requests; nothing was done")
            }
            Ok(batch) => {
                let reply = Subject::from(answers_to(&reply));
                let caller = || Caller::Batch { reply: reply.clone(), since };
                return requests.extend(batch.into_iter().map(|request| (caller(), request)));
            }
            Err(error) => Fault::bad_request(format_args!("{error}; nothing was done")),
        };
        metrics::malformed();
        self.counted.node.answered(1, since.elapsed());
        self.counted.node.failed(&fault);
        self.work.texts.push((reply, Answer::bad(fault)));
    }

    fn text(&mut self, message: &Message, since: Instant, requests: &mut Vec<(Caller, Request)>) {
        let Some(reply) = message.reply.clone() else { return metrics::malformed() };
        let mut asked = Vec::new();
        let partitions = self.cluster.partitions;
        let subjects = &self.link.subjects;
        let taken =
            self.work.edge.take(subjects, partitions, message, reply.clone(), since, &mut asked);
        for (number, request) in asked {
            let partition = request.partition;
            if self.work.leads.contains(&partition) {
                self.forward.keep(number, &request);
                requests.push((Caller::Edge(number, partition), request));
            } else {
                self.forward.send(number, partition, request.ask);
            }
        }
        if let Err(fault) = taken {
            self.say(reply, since, Answer::bad(fault));
        }
    }

    fn which_cluster(&mut self, message: Message) {
        let Some(reply) = message.reply else { return };
        self.counted.cluster.answered(1, Duration::ZERO);
        self.say_json(reply, serde_json::to_vec(&self.cluster));
    }

    fn how_is_it(&mut self, message: Message) {
        let Some(reply) = message.reply else { return };
        let status = status(&self.node, self.peers.me(), &self.cluster);
        self.say_json(reply, serde_json::to_vec(&status));
    }

    fn say_json(&mut self, reply: Subject, body: serde_json::Result<Vec<u8>>) {
        let headers = vec![(edge::CONTENT_TYPE, "application/json".to_owned())];
        let body = body.unwrap_or_default().into();
        self.work.texts.push((reply, Answer { headers, body, fault: None }));
    }

    fn say(&mut self, reply: Subject, since: Instant, answer: Answer) {
        self.counted.edge.answered(1, since.elapsed());
        if let Some(fault) = &answer.fault {
            self.counted.edge.failed(fault);
        }
        self.work.texts.push((reply, answer));
    }

    /// An answer to what a person asked.
    pub(crate) fn told(&mut self, number: u64, tell: Tell) {
        if let Some(ready) = self.work.edge.told(number, tell) {
            self.say(ready.reply, ready.since, ready.answer);
        }
    }

    /// Hands over what this node leads, because it ends.
    pub(crate) fn retire(&mut self) -> Result<(), Error> {
        self.node.retire(self.clock.now(), &mut self.work.effects);
        self.carry_out()
    }

    /// Gives the state everything that is committed, so that the next start finds it there.
    pub(crate) fn apply(&mut self) -> Result<(), Error> {
        self.node.apply_gathered(&mut self.work.effects);
        self.carry_out()
    }

    fn event(&mut self, event: Event) {
        metrics::event(&event);
        match event {
            Event::Leads { partition, epoch } => {
                tracing::info!(partition, epoch, "leads");
                self.work.leads.insert(partition);
                self.moved.push((partition, true));
            }
            Event::Follows { partition } => {
                tracing::info!(partition, "does not lead any more");
                self.work.leads.remove(&partition);
                self.moved.push((partition, false));
            }
            Event::Campaigns { partition, epoch } => {
                tracing::info!(partition, epoch, "asks for votes");
            }
            Event::Copies { partition } => {
                tracing::warn!(
                    partition,
                    "missed more than the log has: takes a copy of the state"
                );
            }
            Event::Conflicts { prefix, .. } => self.work.conflicts.count(prefix),
            Event::Halts { partition, why } => {
                tracing::error!(partition, why, "this replica differs from its primary and stops");
            }
        }
    }

    fn carry_out(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let (mut answered, mut took) = (0, Duration::ZERO);
        let mut effects = std::mem::take(&mut self.work.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Append { frame, entries } => {
                    let sent = self.to_log.send(ToLog::Append { frame, entries });
                    sent.map_err(|_| Error::Thread("log"))?;
                }
                Effect::Apply { batch, changes } => {
                    let sent = self.to_state.send(ToState { batch, changes });
                    sent.map_err(|_| Error::Thread("state"))?;
                }
                Effect::Reply { to: Caller::Batch { reply, since }, response } => {
                    self.work.answers.count(&response.tell);
                    answered += 1;
                    took += now.saturating_duration_since(since);
                    if let Tell::Fault(fault) = &response.tell {
                        self.counted.node.failed(fault);
                    }
                    self.outbox.push(&reply, None, &response);
                }
                Effect::Reply { to: Caller::Edge(number, partition), response } => {
                    self.work.answers.count(&response.tell);
                    if let Some(tell) = self.forward.told(number, partition, response.tell) {
                        self.told(number, tell);
                    }
                }
                Effect::Gossip(digest) => self.peers.gossip(&digest),
                Effect::Push { set, push } => self.peers.push(set, &push),
                Effect::Send { to, line } => self.peers.send(&self.link, to, line),
                Effect::Event(event) => self.event(event),
            }
        }
        self.work.effects = effects;
        if answered > 0 {
            self.counted.node.answered(answered, took);
        }
        metrics::pending(self.node.held(), self.node.pending_bytes());
        Ok(())
    }
}
