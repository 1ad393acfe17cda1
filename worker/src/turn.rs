//! One turn of a worker: what came in is handled, what follows from it goes out together.

use crate::catalogue::Catalogue;
use crate::executor::{Begun, Done, Executor};
use crate::machine::{Effect, Input, Token, Worker};
use crate::metrics::Metrics;
use async_nats::Subject;
use catena_client::Store;
use catena_link::{Clock, Link, Outbox, reply_fault, reply_text};
use catena_protocol::clock::Now;
use catena_protocol::message::assign::{Reply, Wanted};
use catena_protocol::message::commit::Commit;
use catena_protocol::message::finish::{AttemptEnd, Finish, Finished};
use catena_protocol::message::handoff::Step;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{NodeId, codec, edge};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use std::collections::HashMap;
use tracing::{Instrument, debug_span};

/// Everything that the effects of a turn need.
pub(crate) struct Turn {
    pub(crate) link: Link,
    pub(crate) machine: Worker,
    pub(crate) executor: Executor,
    pub(crate) catalogue: Catalogue,
    pub(crate) store: Store,
    pub(crate) commits: FuturesUnordered<BoxFuture<'static, (Token, Tell)>>,
    pub(crate) metrics: Metrics,
    pub(crate) done: u64,
    inbox: String,
    outbox: Outbox,
    texts: Vec<(Subject, Finished)>,
    routes: HashMap<NodeId, Route>,
    finishes: HashMap<NodeId, Subject>,
    effects: Vec<Effect>,
    following: Vec<Effect>,
    clock: Clock,
    id: NodeId,
}

/// Where hand-offs to one worker go in this turn.
struct Route {
    number: u64,
    step: Subject,
    /// Where the server says that nobody is there.
    reply: Subject,
}

impl Turn {
    pub(crate) fn new(
        id: NodeId,
        link: Link,
        machine: Worker,
        executor: Executor,
        catalogue: Catalogue,
        store: Store,
        inbox: String,
    ) -> Self {
        Self {
            outbox: Outbox::new(link.message_limit()),
            metrics: Metrics::new(id.as_str()),
            link,
            machine,
            executor,
            catalogue,
            store,
            inbox,
            id,
            commits: FuturesUnordered::new(),
            done: 0,
            texts: Vec::new(),
            routes: HashMap::new(),
            following: Vec::new(),
            finishes: HashMap::new(),
            effects: Vec::new(),
            clock: Clock::start(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// How long until the machine wants to be told the time.
    pub(crate) fn until_deadline(&self) -> Option<std::time::Duration> {
        let at = self.machine.next_deadline()?;
        Some(std::time::Duration::from_micros(at.saturating_sub(self.now().mono_us)))
    }

    /// Handles one input and everything that follows from it at once.
    pub(crate) fn input(&mut self, now: Now, input: Input) {
        let mut effects = std::mem::take(&mut self.effects);
        self.machine.handle(now, input, &mut effects);
        let mut following = std::mem::take(&mut self.following);
        while !effects.is_empty() {
            for effect in effects.drain(..) {
                if let Some(input) = self.perform(effect) {
                    self.machine.handle(now, input, &mut following);
                }
            }
            std::mem::swap(&mut effects, &mut following);
        }
        self.effects = effects;
        self.following = following;
    }

    /// Hands in steps that ended as tasks.
    pub(crate) fn ended(&mut self, now: Now, done: Done) {
        let Done { token, output, effects } = done;
        self.input(now, Input::Done { token, output, effects });
    }

    fn perform(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Run(run) => {
                let _entered = debug_span!("assign", job = %run.job, step = run.index).entered();
                self.metrics.steps.increment(1);
                self.done += 1;
                return Some(match self.executor.begin(&mut self.catalogue, run) {
                    Begun::Running(token) => Input::Started(token),
                    Begun::Done(Done { token, output, effects }) => {
                        Input::Done { token, output, effects }
                    }
                });
            }
            Effect::Stop(token) => self.executor.stop(token),
            Effect::Forget(hash) => self.catalogue.forget(&hash),
            Effect::Handoff { to, step } => self.handoff(to, &step),
            Effect::Commit(token, commit) => self.commit(token, commit),
            Effect::Answer { reply, finished } => self.answer(reply, finished),
            Effect::Finish { scheduler, finish } => self.finish(&scheduler, &finish),
            Effect::Want { scheduler, chain } => self.want(&scheduler, Wanted { chain }),
        }
        None
    }

    fn handoff(&mut self, to: NodeId, step: &Step) {
        self.metrics.handoffs.increment(1);
        let span = debug_span!("handoff", job = %step.assignment.job, step = step.index, %to);
        let _entered = span.entered();
        let number = self.machine.handoff_number();
        if self.routes.get(&to).is_none_or(|route| route.number != number) {
            let reply = format!("{}.handoff.{number}.{to}", self.inbox).into();
            let step = self.link.subjects.step(&to).into();
            self.routes.insert(to.clone(), Route { number, step, reply });
        }
        if let Some(route) = self.routes.get(&to) {
            self.outbox.push(&route.step, Some(&route.reply), step);
        }
    }

    fn commit(&mut self, token: Token, commit: Commit) {
        self.metrics.commits.increment(1);
        let writes = commit.effects.writes.len();
        let span = debug_span!("commit", job = %commit.job, writes);
        let store = self.store.clone();
        let asking = async move { (token, ask(store, commit).await) };
        self.commits.push(asking.instrument(span).boxed());
    }

    fn answer(&mut self, reply: Reply, finished: Finished) {
        match reply {
            Reply::Batch(inbox) => self.outbox.push(&inbox.into(), None, &finished),
            Reply::Text(subject) => self.texts.push((subject.into(), finished)),
        }
    }

    fn finish(&mut self, scheduler: &NodeId, finish: &Finish) {
        self.metrics.finishes.increment(1);
        let _entered = debug_span!("finish", job = %finish.job).entered();
        match &finish.end {
            AttemptEnd::Decided { .. } => {}
            AttemptEnd::Conflict { .. } => self.metrics.conflicts.increment(1),
            other => {
                self.metrics.failures.increment(1);
                tracing::debug!(end = ?other, "an attempt did not decide its job");
            }
        }
        if !self.finishes.contains_key(scheduler) {
            let subject = self.link.subjects.finish(scheduler).into();
            self.finishes.insert(scheduler.clone(), subject);
        }
        if let Some(subject) = self.finishes.get(scheduler) {
            self.outbox.push(subject, None, finish);
        }
    }

    fn want(&mut self, scheduler: &NodeId, wanted: Wanted) {
        let (client, subject) = (self.link.client.clone(), self.link.subjects.chain_of(scheduler));
        let reply = format!("{}.chain.{}", self.inbox, wanted.chain);
        let body = codec::encode(&wanted);
        tokio::spawn(async move { client.publish_with_reply(subject, reply, body.into()).await });
    }

    /// Sends what the turn produced.
    pub(crate) async fn flush(&mut self) {
        self.machine.turn_over();
        for (reply, finished) in std::mem::take(&mut self.texts) {
            answer_text(&self.link, &self.id, reply, finished).await;
        }
        if let Err(error) = self.outbox.flush(&self.link.client).await {
            if self.link.client.connection_state() == async_nats::connection::State::Disconnected {
                tracing::warn!(%error, "messages could not be sent; their jobs are run again");
            } else {
                tracing::error!(%error, "a message could not be sent; its jobs are run again");
            }
        }
        // Subjects of nodes that left are not kept for ever.
        if self.routes.len() + self.finishes.len() > 10_000 {
            self.routes.clear();
            self.finishes.clear();
        }
    }

    /// The next answer of the store; never, if none is open.
    pub(crate) async fn committed(
        commits: &mut FuturesUnordered<BoxFuture<'static, (Token, Tell)>>,
    ) -> (Token, Tell) {
        match commits.next().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

async fn ask(store: Store, commit: Commit) -> Tell {
    let partitions = match store.partitions().await {
        Ok(partitions) => partitions.max(1),
        Err(error) => return Tell::Fault(error.into()),
    };
    let home = commit.job.home() % partitions;
    match store.ask(home, Ask::Commit(commit)).await {
        Ok(tell) => tell,
        Err(fault) => Tell::Fault(fault),
    }
}

async fn answer_text(link: &Link, worker: &NodeId, reply: Subject, finished: Finished) {
    let headers = [
        (edge::JOB, finished.job.to_string()),
        (edge::VERSION, finished.version.to_string()),
        (edge::WORKER, worker.to_string()),
    ];
    match finished.result.into_result() {
        Ok(body) => reply_text(&link.client, reply, &headers, body.0).await,
        Err(fault) => reply_fault(&link.client, reply, &fault, &headers).await,
    }
}
