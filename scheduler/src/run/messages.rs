//! What a scheduler does with each message: hands it to the rules, or answers it aside.

use super::Service;
use crate::edge::Verb;
use crate::inquire::Inquiry;
use crate::intake::Topic;
use crate::machine::Input;
use crate::news::News;
use crate::{define, edge};
use async_nats::Message;
use catena_link::{reply_fault, reply_text};
use catena_protocol::message::assign::Wanted;
use catena_protocol::message::finish::Finish;
use catena_protocol::message::heartbeat::Heartbeat;
use catena_protocol::subject::JobVerb;
use catena_protocol::{Code, Fault, JobId, NodeId, codec};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, warn};

/// Requests about jobs and definitions that are answered at the same time; more are told 429.
pub(super) const INQUIRIES: usize = 1_024;

impl Service {
    pub(super) fn message(&mut self, topic: Topic, message: Message) {
        match topic {
            Topic::Run => self.submit(Verb::Run, message),
            Topic::Submit => self.submit(Verb::Submit, message),
            Topic::Finish => self.finish(&message),
            Topic::Chain => self.chain(message),
            Topic::Heartbeat => self.heard(&message),
            Topic::Gone => self.gone(&message),
            Topic::JobStatus => self.inquire(JobVerb::Status, message),
            Topic::JobResult => self.inquire(JobVerb::Result, message),
            Topic::Owner => self.owner(message),
            Topic::Operators => self.operators(message),
            Topic::ChainSet | Topic::OperatorSet => self.define(topic, message),
        }
    }

    fn submit(&mut self, verb: Verb, message: Message) {
        let span = tracing::debug_span!("submit", subject = %message.subject).entered();
        let began = Instant::now();
        if verb == Verb::Run && message.reply.is_none() {
            debug!("a run without a reply subject was dropped: nobody waits for it");
            ::metrics::counter!("catena_scheduler_submit_no_reply_total").increment(1);
            return;
        }
        let mut submissions = std::mem::take(&mut self.submissions);
        let taken = edge::submissions(verb, &self.link.subjects, &message, &mut submissions);
        let endpoint = &self.endpoints[usize::from(verb == Verb::Submit)];
        let count = submissions.len().max(1) as u64;
        if let Err(fault) = taken {
            endpoint.failed(&fault);
            self.refuse(message, fault);
        }
        let now = self.clock.now();
        for submission in submissions.drain(..) {
            self.machine.handle(now, Input::Submit(submission), &mut self.effects);
        }
        self.submissions = submissions;
        let endpoint = Arc::clone(endpoint);
        self.act_for(&endpoint);
        endpoint.answered(count, began.elapsed());
        drop(span);
    }

    fn finish(&mut self, message: &Message) {
        let _span = tracing::debug_span!("finish").entered();
        match codec::decode_batch::<Finish>(&message.payload) {
            Ok(finishes) => {
                let now = self.clock.now();
                for finish in finishes {
                    self.machine.handle(now, Input::Finish(finish), &mut self.effects);
                }
                self.act();
            }
            Err(error) => self.malformed(message, &error),
        }
    }

    fn malformed(&self, message: &Message, error: &codec::Malformed) {
        warn!(subject = %message.subject, %error, "a message was ignored");
        ::metrics::counter!("catena_scheduler_malformed_total").increment(1);
    }

    fn chain(&self, message: Message) {
        let wanted = codec::decode::<Wanted>(&message.payload);
        let Some(reply) = message.reply else { return };
        let bytes = wanted.ok().and_then(|wanted| self.machine.chain_bytes(&wanted.chain));
        let link = self.link.clone();
        tokio::spawn(async move {
            let _ = link.client.publish(reply, bytes.unwrap_or_default()).await;
        });
    }

    fn heard(&mut self, message: &Message) {
        match codec::decode::<Heartbeat>(&message.payload) {
            Ok(heartbeat) => self.handle(Input::Heartbeat(heartbeat)),
            Err(error) => self.malformed(message, &error),
        }
    }

    fn gone(&mut self, message: &Message) {
        let gone = message.status == Some(async_nats::StatusCode::NO_RESPONDERS);
        let worker = message.subject.rsplit('.').next().and_then(|id| NodeId::new(id).ok());
        if let (true, Some(worker)) = (gone, worker) {
            self.handle(Input::Gone(worker));
        }
    }

    pub(super) fn news(&mut self, news: News) {
        match news {
            News::Input(input) => self.handle(*input),
            News::Told { job, commits, tell } => {
                self.publisher.home.answered(job, commits);
                self.handle(Input::Told { job, tell });
            }
            News::Again(topic, message) => self.message(topic, message),
            News::Chain(name) => self.publisher.queue.listen(&name),
        }
    }

    fn refuse(&self, message: Message, fault: Fault) {
        let Some(reply) = message.reply else { return };
        let link = self.link.clone();
        tokio::spawn(async move { reply_fault(&link.client, reply, &fault, &[]).await });
    }

    /// Takes a request up again a little later.
    fn again(&self, topic: Topic, message: Message) {
        let (news, again) = (self.news.clone(), message.clone());
        self.aside(&message, async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let _ = news.send(News::Again(topic, again)).await;
        });
    }

    /// Starts answering a request in a task of its own, if not too many are.
    fn aside(&self, message: &Message, answer: impl Future<Output = ()> + Send + 'static) -> bool {
        let Ok(permit) = Arc::clone(&self.inquiries).try_acquire_owned() else {
            let text = format!("{INQUIRIES} such requests are being answered; try again later");
            self.refuse(message.clone(), Fault::new(Code::TooBusy, text));
            return false;
        };
        tokio::spawn(async move {
            answer.await;
            drop(permit);
        });
        true
    }

    fn inquire(&self, verb: JobVerb, message: Message) {
        let Some(reply) = message.reply.clone() else { return };
        let id = self.link.subjects.parse_job(&message.subject).map_or("", |(id, _)| id);
        let job: JobId = match id.parse() {
            Ok(job) => job,
            Err(error) => return self.refuse(message, Fault::bad_request(error)),
        };
        let (link, store) = (self.link.clone(), self.store.clone());
        let standing = self.machine.standing(&job);
        let inquiry = Inquiry { link, store, job, verb, reply, standing };
        self.aside(&message, inquiry.answer());
    }

    /// Answers another scheduler if the job is in flight here, or was put on the queue here.
    fn owner(&self, message: Message) {
        let job = std::str::from_utf8(&message.payload).ok().and_then(|id| id.parse().ok());
        let (Some(job), Some(reply)) = (job, message.reply.clone()) else { return };
        let standing = self.machine.standing(&job);
        let (body, pause) = match standing {
            Some(standing) => (json!(standing), Duration::ZERO),
            // Whoever runs it meanwhile answers faster.
            None if self.publisher.queue.remembers(&job) => {
                (json!({ "job": job, "state": "queued" }), Duration::from_millis(50))
            }
            None => return,
        };
        let link = self.link.clone();
        self.aside(&message, async move {
            tokio::time::sleep(pause).await;
            let _ = link.client.publish(reply, body.to_string().into()).await;
        });
    }

    fn operators(&self, message: Message) {
        if self.is_young() {
            // What workers offer comes with their heartbeats: half a list would be a wrong one.
            return self.again(Topic::Operators, message);
        }
        let Some(reply) = message.reply.clone() else { return };
        let body = json!({ "operators": self.machine.operators() }).to_string();
        let link = self.link.clone();
        self.aside(
            &message,
            async move { reply_text(&link.client, reply, &[], body.into()).await },
        );
    }

    fn define(&self, topic: Topic, message: Message) {
        let subjects = &self.link.subjects;
        let change = match topic {
            Topic::ChainSet => define::chain(&self.machine, subjects, &message),
            _ => define::operator(&self.machine, subjects, &message),
        };
        let change = match change {
            Ok(change) => change,
            Err(fault) if fault.code == Code::NotFound && self.is_young() => {
                return self.again(topic, message);
            }
            Err(fault) => return self.refuse(message, fault),
        };
        let (link, [chains, operators]) = (self.link.clone(), self.buckets.clone());
        let news = self.news.clone();
        let reply = message.reply.clone();
        self.aside(&message, async move {
            let stored = change.store(&link, &chains, &operators, &news).await;
            let Some(reply) = reply else { return };
            match stored {
                Ok(body) => reply_text(&link.client, reply, &[], body).await,
                Err(fault) => reply_fault(&link.client, reply, &fault, &[]).await,
            }
        });
    }
}
