//! The task behind `run`: drives the submitter, talks to NATS.

use super::outgoing::Outgoing;
use crate::Error;
use crate::alarm::Alarm;
use crate::job::{JobStatus, known};
use crate::machine::submit::{Effect, Good, Input, Known, Settings, Submitter};
use async_nats::{Message, StatusCode, Subject};
use bytes::Bytes;
use catena_link::Clock;
use catena_link::{Intake, Link, fault_of};
use catena_protocol::clock::Now;
use catena_protocol::message::finish::{Answer, Finished};
use catena_protocol::message::submit::Submit;
use catena_protocol::subject::JobVerb;
use catena_protocol::{Blob, Code, Fault, JobId, Name, Timestamp, codec, edge};
use tokio::sync::{mpsc, oneshot};

/// A job and its chain.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) chain: Name,
    pub(crate) submit: Submit,
}

/// What a caller is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// How the job ended.
    Answer(Result<Good, Fault>),
    /// Nothing was started: the job has a better home, which this pointer finds in its input.
    Elsewhere(String),
}

pub(crate) type Caller = oneshot::Sender<Told>;

/// What the task is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run a job.
    Run { caller: Caller, job: Job, deadline_us: u64 },
    /// Take nothing more; say when everything is answered.
    Close(oneshot::Sender<()>),
}

/// Most commands, and most messages, that one turn takes.
const TURN: usize = 1_024;

struct Task {
    link: Link,
    clock: Clock,
    inbox: String,
    submitter: Submitter<Caller>,
    commands: mpsc::Receiver<Command>,
    intake: Intake<()>,
    outgoing: Outgoing,
    effects: Vec<Effect<Caller>>,
    closing: Vec<oneshot::Sender<()>>,
}

/// Subscribes and starts the task. It ends when it was told to close, or every sender of
/// `commands` is gone, and everything is answered.
pub(crate) async fn start(
    link: Link,
    clock: Clock,
    commands: mpsc::Receiver<Command>,
) -> Result<(), Error> {
    let inbox = link.client.new_inbox();
    let subscriber =
        link.client.subscribe(format!("{inbox}.>")).await.map_err(|_| Error::closed())?;
    let mut intake = Intake::new();
    intake.add((), subscriber);
    let limit = link.message_limit();
    let settings = Settings { request_bytes: limit, ..Settings::default() };
    let task = Task {
        submitter: Submitter::new(settings, rand::random()),
        outgoing: Outgoing::new(limit),
        effects: Vec::new(),
        closing: Vec::new(),
        inbox,
        link,
        clock,
        commands,
        intake,
    };
    tokio::spawn(task.run());
    Ok(())
}

impl Task {
    async fn run(mut self) {
        let mut commands = Vec::with_capacity(TURN);
        let mut messages = Vec::with_capacity(TURN);
        let mut alarm = Alarm::new(self.clock);
        let mut taking = true;
        while taking || self.submitter.open() > 0 {
            alarm.set(self.submitter.next_deadline());
            let room = taking && !self.submitter.is_full();
            tokio::select! {
                taken = self.commands.recv_many(&mut commands, TURN), if room => {
                    taking = taken > 0;
                }
                open = self.intake.next(TURN, &mut messages) => {
                    if !open {
                        break;
                    }
                }
                () = alarm.rings() => {
                    self.submitter.handle(self.clock.now(), Input::Tick, &mut self.effects);
                }
            }
            while room
                && commands.len() < TURN
                && let Ok(command) = self.commands.try_recv()
            {
                commands.push(command);
            }
            self.turn(&mut commands, &mut messages).await;
        }
        let _ = self.link.client.flush().await;
        for closed in self.closing {
            let _ = closed.send(());
        }
    }

    async fn turn(&mut self, commands: &mut Vec<Command>, messages: &mut Vec<((), Message)>) {
        let now = self.clock.now();
        for ((), message) in messages.drain(..) {
            self.received(now, message);
        }
        for command in commands.drain(..) {
            match command {
                Command::Run { caller, job: Job { chain, submit }, deadline_us } => {
                    let input = Input::Run { caller, chain, submit, deadline_us };
                    self.submitter.handle(now, input, &mut self.effects);
                }
                Command::Close(closed) => {
                    self.commands.close();
                    self.closing.push(closed);
                }
            }
        }
        self.carry_out().await;
    }

    /// Answers arrive at `<inbox>.run.<turn>.<chain>`, `<inbox>.status.<job>` and
    /// `<inbox>.result.<job>`.
    fn received(&mut self, now: Now, message: Message) {
        let place = message.subject.strip_prefix(self.inbox.as_str());
        let Some((kind, rest)) = place.and_then(|rest| rest.strip_prefix('.')?.split_once('.'))
        else {
            return;
        };
        match kind {
            "run" => {
                let Some((turn, chain)) = rest.split_once('.') else { return };
                let (Ok(turn), Ok(chain)) = (turn.parse(), Name::new(chain)) else { return };
                self.answered(now, turn, chain, &message);
            }
            "status" => {
                let Ok(job) = rest.parse() else { return };
                let known = status_of(&message);
                self.submitter.handle(now, Input::Known { job, known }, &mut self.effects);
            }
            "result" => {
                let Ok(job) = rest.parse() else { return };
                let input = result_of(job, message);
                self.submitter.handle(now, input, &mut self.effects);
            }
            _ => {}
        }
    }

    fn answered(&mut self, now: Now, turn: u64, chain: Name, message: &Message) {
        let fault = fault_of(message.headers.as_ref());
        if fault.is_some() || message.status == Some(StatusCode::NO_RESPONDERS) {
            let input = Input::Refused { chain, turn, fault };
            self.submitter.handle(now, input, &mut self.effects);
            return;
        }
        match codec::decode_batch::<Finished>(&message.payload) {
            Ok(finished) => {
                for finished in finished {
                    self.submitter.handle(now, Input::Finished(finished), &mut self.effects);
                }
            }
            Err(error) => tracing::warn!(%error, "an answer to a job cannot be used"),
        }
    }

    async fn carry_out(&mut self) {
        let mut questions = Vec::new();
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Send { job, turn } => {
                    if let Some((chain, submit)) = self.submitter.submission(job) {
                        let reply = || Subject::from(format!("{}.run.{turn}.{chain}", self.inbox));
                        self.outgoing.push(&self.link, chain, submit, reply);
                    }
                }
                Effect::AskStatus { job } => questions.push((job, JobVerb::Status, "status")),
                Effect::AskResult { job } => questions.push((job, JobVerb::Result, "result")),
                Effect::Answer { caller, result } => {
                    let _ = caller.send(Told::Answer(result));
                }
                Effect::Elsewhere { caller, pointer } => {
                    let _ = caller.send(Told::Elsewhere(pointer));
                }
            }
        }
        let mut sent = self.outgoing.flush(&self.link.client).await;
        for (job, verb, place) in questions {
            let subject = self.link.subjects.job(&job.to_string(), verb);
            let reply = format!("{}.{place}.{job}", self.inbox);
            sent =
                sent.and(self.link.client.publish_with_reply(subject, reply, Bytes::new()).await);
        }
        if let Err(error) = sent {
            tracing::warn!(%error, "jobs could not be sent; they are tried again");
        }
    }
}

fn status_of(message: &Message) -> Known {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Known::Nobody;
    }
    if let Some(fault) = fault_of(message.headers.as_ref()) {
        return if fault.code == Code::NotFound { Known::Unknown } else { Known::Nobody };
    }
    match serde_json::from_slice::<JobStatus>(&message.payload) {
        Ok(status) => known(status.state),
        Err(_) => Known::Nobody,
    }
}

/// The result of a job that has ended, from the answer at the edge.
fn result_of(job: JobId, message: Message) -> Input<Caller> {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Input::Known { job, known: Known::Nobody };
    }
    let headers = message.headers.as_ref();
    let version = headers.and_then(|headers| headers.get(edge::VERSION)?.as_str().parse().ok());
    let version = Timestamp(version.unwrap_or(0));
    let result = match fault_of(headers) {
        // Who is asked cannot tell now, or not yet: an outcome has a version.
        Some(_) if version == Timestamp::ZERO => {
            return Input::Known { job, known: Known::Nobody };
        }
        Some(fault) => Answer::Fault(fault),
        None => Answer::Result(Blob(message.payload)),
    };
    Input::Finished(Finished { job, version, result, explained: None })
}
