//! Does what the rules say: gathers the effects of one turn and sends them together.

use crate::definitions::Bucket;
use crate::home::Home;
use crate::machine::{Effect, Input};
use crate::news::News;
use crate::queue::Queue;
use async_nats::Subject;
use catena_link::{Link, Outbox, reply_fault, reply_text};
use catena_protocol::message::assign::Reply;
use catena_protocol::message::finish::{AttemptEnd, Finish, Finished};
use catena_protocol::message::handoff::Step;
use catena_protocol::{Code, Fault, NodeId, edge};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Room for plan and names beside the input of a step.
const STEP_MARGIN: usize = 16 * 1024;
/// Workers whose subjects are kept ready.
const ROUTES: usize = 8_192;

/// Everything that leaves a scheduler.
pub(crate) struct Publisher {
    link: Link,
    limit: usize,
    outbox: Outbox,
    texts: Vec<(Subject, Finished)>,
    routes: BTreeMap<NodeId, Route>,
    gone: String,
    pub(crate) home: Home,
    pub(crate) queue: Queue,
    chains: Bucket,
    news: mpsc::Sender<News>,
}

#[derive(Debug)]
struct Route {
    step: Subject,
    gone: Subject,
}

impl Publisher {
    /// `gone` is the inbox where the server says that a worker is not there.
    pub(crate) fn new(
        link: &Link,
        gone: String,
        home: Home,
        queue: Queue,
        chains: Bucket,
        news: mpsc::Sender<News>,
    ) -> Self {
        let limit = link.message_limit();
        Self {
            link: link.clone(),
            limit,
            outbox: Outbox::new(limit),
            texts: Vec::new(),
            routes: BTreeMap::new(),
            gone,
            home,
            queue,
            chains,
            news,
        }
    }

    /// Takes the effects of the rules; what comes back at once is added to `back`.
    pub(crate) fn take(&mut self, effects: &mut Vec<Effect>, back: &mut Vec<Input>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Assign { worker, step } => match self.check_size(&step) {
                    Ok(()) => self.step(&worker, &step),
                    Err(finish) => back.push(Input::Finish(finish)),
                },
                Effect::Answer { reply: Reply::Batch(subject), finished } => {
                    self.outbox.push(&subject.into(), None, &finished);
                }
                Effect::Answer { reply: Reply::Text(subject), finished } => {
                    self.texts.push((subject.into(), finished));
                }
                Effect::Ask { job, ask } => self.home.ask(job, ask),
                Effect::Enqueue(job) => self.queue.enqueue(job),
                Effect::Release { token, done } => self.queue.release(token, done),
                Effect::Drop { token, fault } => self.queue.discard(token, &fault),
                Effect::Look(name) => self.look(name),
            }
        }
    }

    fn step(&mut self, worker: &NodeId, step: &Step) {
        let _span = tracing::debug_span!("assign", job = %step.assignment.job, %worker).entered();
        if !self.routes.contains_key(worker) {
            if self.routes.len() >= ROUTES {
                self.routes.clear();
            }
            let route = Route {
                step: self.link.subjects.step(worker).into(),
                gone: format!("{}.{worker}", self.gone).into(),
            };
            self.routes.insert(worker.clone(), route);
        }
        if let Some(route) = self.routes.get(worker) {
            self.outbox.push(&route.step, Some(&route.gone), step);
        }
    }

    fn check_size(&self, step: &Step) -> Result<(), Finish> {
        let bytes = step.payload.len() + STEP_MARGIN;
        if bytes <= self.limit {
            return Ok(());
        }
        let message = format!(
            "the input has {} bytes; with its plan it does not fit into one message of this NATS \
             server; raise its `max_payload`",
            step.payload.len()
        );
        let fault = Fault::new(Code::TooLarge, message);
        let assignment = &step.assignment;
        let end = AttemptEnd::Failed { step: 0, fault };
        Err(Finish { job: assignment.job, attempt: assignment.attempt, end })
    }

    fn look(&self, name: catena_protocol::Name) {
        let (chains, news) = (self.chains.clone(), self.news.clone());
        tokio::spawn(async move {
            if let Some(input) = chains.look(&name).await {
                if matches!(input, Input::Chain { definition: Some(_), .. }) {
                    let _ = news.send(News::Chain(name)).await;
                }
                let _ = news.send(News::Input(Box::new(input))).await;
            }
        });
    }

    /// Sends everything.
    ///
    /// # Errors
    /// If the connection is closed for good.
    pub(crate) async fn flush(&mut self) -> Result<(), async_nats::PublishError> {
        for (reply, finished) in self.texts.drain(..) {
            answer_text(&self.link, reply, finished).await;
        }
        if self.outbox.is_empty() {
            return Ok(());
        }
        self.outbox.flush(&self.link.client).await
    }
}

async fn answer_text(link: &Link, reply: Subject, finished: Finished) {
    let mut facts = vec![(edge::JOB, finished.job.to_string())];
    if finished.version.0 > 0 {
        facts.push((edge::VERSION, finished.version.to_string()));
    }
    match finished.result.into_result() {
        Ok(result) => reply_text(&link.client, reply, &facts, result.0).await,
        Err(fault) => reply_fault(&link.client, reply, &fault, &facts).await,
    }
}
