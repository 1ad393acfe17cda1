//! What the rules of a scheduler ask for.

use super::Event;
use crate::broker::{Inbox, Message, Party};
use crate::clock::right;
use crate::platform::{Dispatch, Errand, Queued, Slip};
use crate::world::{Happening, World};
use catena_client::machine::Input as ClientInput;
use catena_protocol::message::assign::Reply;
use catena_protocol::message::commit::{Decided, End, Outcome};
use catena_protocol::message::finish::Finished;
use catena_protocol::message::handoff::Step;
use catena_protocol::message::heartbeat::{Heartbeat, Load};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::submit::Submit;
use catena_protocol::{Fault, JobId, Name, NodeId};
use catena_scheduler::machine::{Called, Effect, Identity, Input, Source, Submission};
use rand::Rng;

/// How long one question to a home is tried, in microseconds.
const HOME_US: u64 = 2_000_000;
/// How often queued jobs give a sign of life, in microseconds.
const PROGRESS_US: u64 = 3_000_000;
/// How long a refused message of the queue waits at first, doubled each time, and at most.
const LATER_US: (u64, u64) = (250_000, 4_000_000);

impl World {
    /// One step of a scheduler.
    pub(in crate::world) fn scheduler(&mut self, at: usize, input: Input) {
        let now = self.now_of(Party::Scheduler(at));
        let mut effects = Vec::new();
        let Some(life) = &mut self.platform.schedulers[at].life else { return };
        life.at.machine.handle(now, input, &mut effects);
        let who = Inbox { of: Party::Scheduler(at), boot: life.boot };
        self.tally.count("steps of schedulers");
        for effect in effects {
            if self.lives(who) {
                self.scheduler_effect(at, who, effect);
            }
        }
        self.set_process_alarm(who.of);
    }

    fn scheduler_effect(&mut self, at: usize, who: Inbox, effect: Effect) {
        match effect {
            Effect::Assign { worker, step } => self.assign(who, &worker, step),
            Effect::Answer { reply, finished } => self.answer_to(who.of, &reply, finished),
            Effect::Ask { job, ask } => self.ask_home(at, who, job, ask),
            Effect::Enqueue(job) => self.publish(at, who, job),
            Effect::Release { token, done } => self.release(at, who, token, done),
            // A run is far too short for this; a job that goes this way has no outcome, which is seen.
            Effect::Drop { token, .. } => self.release(at, who, token, true),
            Effect::Look(name) => self.scheduler(at, Input::Missing(name)),
        }
    }

    fn assign(&mut self, who: Inbox, worker: &NodeId, step: Step) {
        self.note(|| format!("{} assigns {} to {worker}", who.of, step.assignment.job));
        match self.worker_up(worker) {
            Some(to) => self.dispatch(who.of, to, Dispatch::Step(step)),
            None => {
                let gone = Dispatch::Gone { boot: who.boot, worker: worker.clone() };
                self.dispatch(who.of, who.of, gone);
            }
        }
    }

    /// The worker of that name, if a process of it listens.
    pub(super) fn worker_up(&self, worker: &NodeId) -> Option<Party> {
        let workers = &self.platform.workers;
        let at = workers.iter().position(|post| post.id == *worker && post.life.is_some())?;
        Some(Party::Worker(at))
    }

    /// The scheduler of that name, if a process of it listens.
    pub(super) fn scheduler_up(&self, scheduler: &NodeId) -> Option<Party> {
        let schedulers = &self.platform.schedulers;
        let at = schedulers.iter().position(|post| post.id == *scheduler && post.life.is_some())?;
        Some(Party::Scheduler(at))
    }

    /// Some scheduler that takes work from outside.
    pub(super) fn some_scheduler(&mut self) -> Option<Party> {
        let takes = |at: &usize| {
            let life = self.platform.schedulers[*at].life.as_ref();
            life.is_some_and(|life| !life.draining)
        };
        let all: Vec<usize> = (0..self.platform.schedulers.len()).filter(takes).collect();
        if all.is_empty() {
            return None;
        }
        Some(Party::Scheduler(all[self.rng.random_range(0..all.len())]))
    }

    /// An answer goes to the inbox that its caller named.
    pub(super) fn answer_to(&mut self, from: Party, reply: &Reply, finished: Finished) {
        let (Reply::Text(inbox) | Reply::Batch(inbox)) = reply;
        let mut parts = inbox.split('.');
        let client = parts.next().and_then(|name| name.strip_prefix('c')?.parse().ok());
        let Some(client) = client else { return };
        let queued = parts.next().and_then(|job| job.parse().ok());
        let dispatch = match (queued, &finished.result) {
            (Some(job), catena_protocol::message::finish::Answer::Fault(fault)) => {
                Dispatch::Queued { job, result: Err(fault.clone()) }
            }
            _ => Dispatch::Finished(finished),
        };
        self.dispatch(from, Party::Client(client), dispatch);
    }

    fn ask_home(&mut self, at: usize, who: Inbox, job: JobId, ask: Ask) {
        let now = self.now_of(who.of);
        let Some(life) = &mut self.platform.schedulers[at].life else { return };
        let commits = matches!(ask, Ask::Commit(_));
        if !life.at.asked.insert((job, commits)) {
            return;
        }
        if let (Some(Slip::FailWithoutHome), Ask::Commit(commit)) = (self.plan.slip, &ask) {
            let outcome = Outcome {
                job,
                attempt: commit.attempt,
                chain: commit.chain.clone(),
                version: commit.snapshot,
                end: commit.end.clone(),
                expires: commit.snapshot,
            };
            let tell = Tell::Decided(Decided::Outcome(outcome));
            return self.home_told(who, job, commits, Ok(tell));
        }
        if let Ask::Commit(commit) = &ask
            && matches!(commit.end, End::Failed(_))
        {
            self.tally.count("failures recorded, or tried to");
        }
        self.routes(
            who,
            ClientInput::Ask {
                caller: Errand::Home(job, commits),
                partition: job.home() % self.plan.partitions,
                ask,
                deadline_us: now.mono_us + HOME_US,
                patient: true,
            },
        );
    }

    pub(super) fn home_told(
        &mut self,
        who: Inbox,
        job: JobId,
        commits: bool,
        result: Result<Tell, Fault>,
    ) {
        let Party::Scheduler(at) = who.of else { return };
        let Some(life) = &mut self.platform.schedulers[at].life else { return };
        life.at.asked.remove(&(job, commits));
        let tell = result.unwrap_or_else(Tell::Fault);
        self.note(|| format!("{} is told of {job}: {tell:?}", who.of));
        self.scheduler(at, Input::Told { job, tell });
    }

    pub(super) fn scheduler_beats(&mut self, at: usize) {
        let at_us = self.at_us;
        let post = &mut self.platform.schedulers[at];
        let now = post.now(at_us);
        let Some(life) = &mut post.life else { return };
        let jobs = u32::try_from(life.at.machine.jobs()).unwrap_or(u32::MAX);
        let longest_ms = life.at.machine.longest_deadline_ms(now);
        let load = Load::Scheduler { jobs, longest_ms };
        let (node, boot, draining) = (post.id.clone(), life.boot, life.draining);
        let heartbeat = Box::new(Heartbeat { node, boot, draining, load });
        for worker in 0..self.platform.workers.len() {
            let message = Message::Heartbeat(heartbeat.clone());
            self.send(Party::Scheduler(at), Party::Worker(worker), message);
        }
    }

    pub(super) fn dispatch_at_scheduler(&mut self, at: usize, boot: u64, dispatch: Dispatch) {
        let who = Inbox { of: Party::Scheduler(at), boot };
        match dispatch {
            Dispatch::Run { chain, submit, reply } => {
                let submission = submission(chain, submit, Source::Run(reply));
                self.scheduler(at, Input::Submit(submission));
            }
            Dispatch::Submit { chain, submit, reply } => {
                let submission = submission(chain, submit, Source::Enqueue(Some(reply)));
                self.scheduler(at, Input::Submit(submission));
            }
            Dispatch::Finish(finish) => self.scheduler(at, Input::Finish(finish)),
            Dispatch::Gone { boot: of, worker } if of == boot => {
                self.scheduler(at, Input::Gone(worker));
            }
            Dispatch::Want { chain, from } => {
                let life = self.platform.schedulers[at].life.as_ref();
                let bytes = life.and_then(|life| life.at.machine.chain_bytes(&chain));
                let bytes = bytes.unwrap_or_default();
                let answer = Dispatch::Chain { boot: from.boot, hash: chain, bytes };
                self.dispatch(who.of, from.of, answer);
            }
            Dispatch::Ask { verb, job, from } => self.inquire(at, who, verb, job, from),
            Dispatch::WhoRuns { inquiry, job, from } => self.say_who_runs(at, inquiry, job, from),
            Dispatch::Runs { boot: of, inquiry, standing } if of == boot => {
                self.owner_told(at, inquiry, standing.is_some());
            }
            Dispatch::Published { boot: of, number } if of == boot => self.published(at, number),
            Dispatch::Deliver { sequence, message } => {
                self.delivered(at, sequence, *message);
            }
            _ => {}
        }
    }

    /// A job from the durable queue.
    fn delivered(&mut self, at: usize, sequence: u64, message: Queued) {
        let Queued { job, delivered, stored_us, .. } = message;
        let who = Party::Scheduler(at);
        let Some(life) = &mut self.platform.schedulers[at].life else { return };
        let token = life.at.number();
        life.at.tokens.insert(token, (sequence, delivered));
        self.tally.count(if delivered > 1 { "queued jobs delivered again" } else { "queued jobs" });
        if self.plan.slip == Some(Slip::AcknowledgeWhenTaken) {
            self.dispatch(who, Party::Queue, Dispatch::Acknowledge { sequence });
        }
        let stored_ms = right(stored_us).wall_us / 1_000;
        let submission = Submission {
            identity: Identity::Given { job: job.job, keyed: false },
            called: job.called,
            input: job.input,
            deadline_ms: job.deadline_ms,
            wait_ms: 0,
            after: job.after,
            trace: None,
            explain: false,
            source: Source::Queue { token, again: delivered > 1, stored_ms },
        };
        self.scheduler(at, Input::Submit(submission));
    }

    fn release(&mut self, at: usize, who: Inbox, token: u64, done: bool) {
        let Some(life) = &mut self.platform.schedulers[at].life else { return };
        let Some((sequence, delivered)) = life.at.tokens.remove(&token) else { return };
        let careless = self.plan.slip == Some(Slip::AcknowledgeAnyEnd);
        let dispatch = if done || careless {
            Dispatch::Acknowledge { sequence }
        } else {
            let doublings = u32::try_from(delivered.clamp(1, 8) - 1).unwrap_or(0);
            let (first, most) = LATER_US;
            Dispatch::Later { sequence, wait_us: (first << doublings).min(most) }
        };
        self.dispatch(who.of, Party::Queue, dispatch);
    }

    pub(super) fn say_progress(&mut self, who: Inbox) {
        let Party::Scheduler(at) = who.of else { return };
        if self.misses(who, || Event::Progress(who)) {
            return;
        }
        let Some(life) = &self.platform.schedulers[at].life else { return };
        let open: Vec<u64> = life.at.tokens.values().map(|(sequence, _)| *sequence).collect();
        for sequence in open {
            self.dispatch(who.of, Party::Queue, Dispatch::Progress { sequence });
        }
        self.after(PROGRESS_US, Happening::Platform(Event::Progress(who)));
    }
}

fn submission(chain: Name, submit: Submit, source: Source) -> Submission {
    Submission {
        identity: match submit.may_move {
            true => Identity::Proposed { job: submit.job },
            false => Identity::Given { job: submit.job, keyed: submit.keyed },
        },
        called: Called::Named(chain),
        input: submit.input.0,
        deadline_ms: submit.timeout_ms,
        wait_ms: 0,
        after: submit.after,
        trace: submit.trace,
        explain: submit.explain,
        source,
    }
}
