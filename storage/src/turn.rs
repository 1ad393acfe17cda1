//! One turn of the loop: messages become requests, effects become work of threads and answers.

use crate::applier::ToState;
use crate::edge::{Answer, Edge};
use crate::error::Error;
use crate::intake::{Counted, Topic};
use crate::machine::{Effect, Input, Node};
use crate::metrics;
use crate::state::FjallState;
use crate::writer::ToLog;
use async_nats::{Message, Subject};
use catena_link::Clock;
use catena_link::{Link, Outbox, reply_text};
use catena_protocol::codec::decode_batch;
use catena_protocol::message::store::{Cluster, Request, Response, Tell};
use catena_protocol::{Fault, edge};
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
    /// A person, by the number of the request.
    Edge(u64),
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
    edge: Edge,
    outbox: Outbox,
    effects: Vec<Effect<Caller>>,
    texts: Vec<(Subject, Answer)>,
    answers: metrics::Answers,
}

/// What a turn is made of.
pub(crate) struct Parts {
    pub(crate) link: Link,
    pub(crate) clock: Clock,
    pub(crate) node: Node<Caller>,
    pub(crate) state: FjallState,
    pub(crate) to_log: Sender<ToLog>,
    pub(crate) to_state: Sender<ToState>,
    pub(crate) cluster: Cluster,
    pub(crate) counted: Counted,
}

impl Turn {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { link, clock, node, state, to_log, to_state, cluster, counted } = parts;
        let outbox = Outbox::new(link.message_limit());
        Self {
            link,
            clock,
            node,
            state,
            to_log,
            to_state,
            cluster,
            counted,
            edge: Edge::default(),
            outbox,
            effects: Vec::new(),
            texts: Vec::new(),
            answers: metrics::Answers::default(),
        }
    }

    /// A new epoch begins in all partitions.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        self.node.begin(self.clock.now(), &mut self.effects)?;
        self.carry_out()
    }

    /// Takes messages that arrived together.
    pub(crate) fn take(&mut self, messages: &mut Vec<(Topic, Message)>) -> Result<(), Error> {
        let since = Instant::now();
        let mut requests = Vec::with_capacity(messages.len());
        for (topic, message) in messages.drain(..) {
            match topic {
                Topic::Node | Topic::Primary => self.batch(message, since, &mut requests),
                Topic::Edge => self.text(&message, since, &mut requests),
                Topic::Cluster => self.which_cluster(message),
            }
        }
        if requests.is_empty() {
            return Ok(());
        }
        self.input(Input::Requests(requests))
    }

    /// Gives the machine one input and does what it says.
    pub(crate) fn input(&mut self, input: Input<Caller>) -> Result<(), Error> {
        self.node.handle(self.clock.now(), input, &self.state, &mut self.effects)?;
        self.carry_out()
    }

    /// Sends what has gathered. Waits while the connection is behind.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        self.answers.publish();
        for (reply, answer) in self.texts.drain(..) {
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
                let caller = || Caller::Batch { reply: reply.clone(), since };
                return requests.extend(batch.into_iter().map(|request| (caller(), request)));
            }
            Err(error) => Fault::bad_request(format_args!("{error}; nothing was done")),
        };
        metrics::malformed();
        self.counted.node.answered(1, since.elapsed());
        self.counted.node.failed(&fault);
        self.texts.push((reply, Answer::bad(fault)));
    }

    fn text(&mut self, message: &Message, since: Instant, requests: &mut Vec<(Caller, Request)>) {
        let Some(reply) = message.reply.clone() else { return metrics::malformed() };
        let mut asked = Vec::new();
        let partitions = self.cluster.partitions;
        let subjects = &self.link.subjects;
        let taken = self.edge.take(subjects, partitions, message, reply.clone(), since, &mut asked);
        requests.extend(asked.into_iter().map(|(number, ask)| (Caller::Edge(number), ask)));
        if let Err(fault) = taken {
            self.say(reply, since, Answer::bad(fault));
        }
    }

    fn which_cluster(&mut self, message: Message) {
        let Some(reply) = message.reply else { return };
        let body = serde_json::to_vec(&self.cluster).unwrap_or_default();
        let headers = vec![(edge::CONTENT_TYPE, "application/json".to_owned())];
        self.counted.cluster.answered(1, Duration::ZERO);
        self.texts.push((reply, Answer { headers, body: body.into(), fault: None }));
    }

    fn say(&mut self, reply: Subject, since: Instant, answer: Answer) {
        self.counted.edge.answered(1, since.elapsed());
        if let Some(fault) = &answer.fault {
            self.counted.edge.failed(fault);
        }
        self.texts.push((reply, answer));
    }

    fn carry_out(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let (mut answered, mut took) = (0, Duration::ZERO);
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Append { frame, records } => {
                    let sent = self.to_log.send(ToLog::Append { frame, records });
                    sent.map_err(|_| Error::Thread("log"))?;
                }
                Effect::Apply { batch, frame, changes } => {
                    let sent = self.to_state.send(ToState { batch, frame, changes });
                    sent.map_err(|_| Error::Thread("state"))?;
                }
                Effect::Reply { to: Caller::Batch { reply, since }, response } => {
                    self.answers.count(&response.tell);
                    answered += 1;
                    took += now.saturating_duration_since(since);
                    if let Tell::Fault(fault) = &response.tell {
                        self.counted.node.failed(fault);
                    }
                    self.outbox.push(&reply, None, &response);
                }
                Effect::Reply { to: Caller::Edge(number), response } => {
                    self.answers.count(&response.tell);
                    let Response { tell, .. } = response;
                    if let Some(ready) = self.edge.told(number, tell) {
                        self.say(ready.reply, ready.since, ready.answer);
                    }
                }
            }
        }
        self.effects = effects;
        if answered > 0 {
            self.counted.node.answered(answered, took);
        }
        metrics::pending(self.node.held(), self.node.pending_bytes());
        Ok(())
    }
}
