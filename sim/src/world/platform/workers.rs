//! What the rules of a worker ask for.

use crate::broker::{Inbox, Message, Party};
use crate::platform::{Dispatch, Errand, Slip, offers};
use crate::world::World;
use bytes::Bytes;
use catena_client::machine::Input as ClientInput;
use catena_protocol::chain::Chain;
use catena_protocol::message::commit::{Commit, End};
use catena_protocol::message::finish::{Answer, AttemptEnd, Finished};
use catena_protocol::message::handoff::Step;
use catena_protocol::message::heartbeat::{Heartbeat, Load};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{ChainHash, Fault, NodeId, codec, limit};
use catena_worker::machine::{Effect, Input, Token};
use std::collections::VecDeque;
use std::sync::Arc;

/// How long the store has for one question, in microseconds.
pub(super) const STORE_US: u64 = limit::ANSWER_MS * 1_000;

impl World {
    /// One turn of a worker: one input and everything that follows from it at once.
    pub(in crate::world) fn worker(&mut self, at: usize, input: Input) {
        let Some(life) = &self.platform.workers[at].life else { return };
        let who = Inbox { of: Party::Worker(at), boot: life.boot };
        self.tally.count("steps of workers");
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.now_of(who.of);
            let mut effects = Vec::new();
            let Some(life) = &mut self.platform.workers[at].life else { return };
            life.at.machine.handle(now, input, &mut effects);
            for effect in effects {
                inputs.extend(self.worker_effect(at, who, effect));
            }
        }
        if let Some(life) = &mut self.platform.workers[at].life {
            life.at.machine.turn_over();
        }
        self.set_process_alarm(who.of);
        self.take_wishes(at, who);
    }

    fn worker_effect(&mut self, at: usize, who: Inbox, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Run(run) => return self.begin_step(at, run),
            Effect::Stop(token) => self.stop_step(at, token),
            Effect::Forget(_) => {}
            Effect::Handoff { to, step } => self.hand_off(at, who, &to, step),
            Effect::Commit(token, commit) => self.commit(who, token, commit),
            Effect::Answer { reply, finished } => self.answer_to(who.of, &reply, finished),
            Effect::Finish { scheduler, finish } => {
                self.tally.count(end_name(&finish.end));
                self.note(|| format!("{} {finish:?}", who.of));
                if let Some(to) = self.scheduler_up(&scheduler) {
                    self.dispatch(who.of, to, Dispatch::Finish(finish));
                }
            }
            Effect::Want { scheduler, chain } => {
                if let Some(to) = self.scheduler_up(&scheduler) {
                    self.dispatch(who.of, to, Dispatch::Want { chain, from: who });
                }
            }
        }
        None
    }

    fn hand_off(&mut self, at: usize, who: Inbox, to: &NodeId, step: Step) {
        self.tally.count("hand-offs");
        let Some(life) = &self.platform.workers[at].life else { return };
        let number = life.at.machine.handoff_number();
        match self.worker_up(to) {
            Some(other) => self.dispatch(who.of, other, Dispatch::Step(step)),
            None => {
                let gone = Dispatch::Unreached { boot: who.boot, number, to: to.clone() };
                self.dispatch(who.of, who.of, gone);
            }
        }
    }

    fn commit(&mut self, who: Inbox, token: Token, commit: Commit) {
        let now = self.now_of(who.of);
        if self.plan.slip == Some(Slip::AnswerBeforeDecided) {
            self.answer_early(who, &commit);
        }
        self.routes(
            who,
            ClientInput::Ask {
                caller: Errand::Commit(token),
                partition: commit.job.home() % self.plan.partitions,
                ask: Ask::Commit(commit),
                deadline_us: now.mono_us + STORE_US,
                patient: true,
            },
        );
    }

    fn answer_early(&mut self, who: Inbox, commit: &Commit) {
        let End::Committed(result) = &commit.end else { return };
        let Some(job) = self.jobs.by_id(commit.job) else { return };
        let finished = Finished {
            job: commit.job,
            version: commit.snapshot,
            result: Answer::Result(result.clone()),
            explained: None,
        };
        let client = self.jobs.jobs[job].client as u64;
        self.dispatch(who.of, Party::Client(client), Dispatch::Finished(finished));
    }

    pub(super) fn commit_told(&mut self, who: Inbox, token: Token, result: Result<Tell, Fault>) {
        if let Party::Worker(at) = who.of {
            self.worker(at, Input::Decided(token, result.unwrap_or_else(Tell::Fault)));
        }
    }

    pub(super) fn dispatch_at_worker(&mut self, at: usize, boot: u64, dispatch: Dispatch) {
        match dispatch {
            Dispatch::Step(step) => self.worker(at, Input::Step(step)),
            Dispatch::Unreached { boot: of, number, to } if of == boot => {
                self.worker(at, Input::Unreached { number, to });
            }
            Dispatch::Chain { boot: of, hash, bytes } if of == boot => {
                self.worker(at, Input::Chain(hash, chain_from(hash, &bytes)));
            }
            _ => {}
        }
    }

    /// A scheduler that has just started can plan at once.
    pub(super) fn worker_hears(&mut self, at: usize, heartbeat: Heartbeat) {
        let Heartbeat { node, boot, draining, load } = heartbeat;
        if !matches!(load, Load::Scheduler { .. }) {
            return;
        }
        self.worker(at, Input::Scheduler { id: node.clone(), draining });
        let Some(life) = &mut self.platform.workers[at].life else { return };
        if life.at.heard.insert(node, boot) != Some(boot) {
            self.worker_beats(at);
        }
    }

    pub(super) fn worker_beats(&mut self, at: usize) {
        let now = self.now_of(Party::Worker(at));
        let post = &self.platform.workers[at];
        let Some(life) = &post.life else { return };
        let machine = &life.at.machine;
        let load = Load::Worker {
            outstanding: machine.outstanding(),
            credit: machine.share(now),
            operators: offers(),
        };
        let (node, boot, draining) = (post.id.clone(), life.boot, machine.is_draining());
        let heartbeat = Box::new(Heartbeat { node, boot, draining, load });
        for scheduler in 0..self.platform.schedulers.len() {
            let message = Message::Heartbeat(heartbeat.clone());
            self.send(Party::Worker(at), Party::Scheduler(scheduler), message);
        }
    }
}

/// The chain in an answer, if it is the one that was asked for.
fn chain_from(hash: ChainHash, bytes: &Bytes) -> Option<Arc<Chain>> {
    if ChainHash::of(bytes) != hash {
        return None;
    }
    codec::decode(bytes).ok().map(Arc::new)
}

const fn end_name(end: &AttemptEnd) -> &'static str {
    match end {
        AttemptEnd::Decided { good: true, .. } => "attempts through the platform that ended well",
        AttemptEnd::Decided { .. } => "attempts through the platform of failed jobs",
        AttemptEnd::Failed { .. } => "attempts through the platform that failed",
        AttemptEnd::Conflict { .. } => "attempts through the platform in conflict",
        AttemptEnd::Full { .. } => "attempts through the platform without room",
        AttemptEnd::Gone { .. } => "attempts through the platform, worker gone",
        AttemptEnd::Again { .. } => "attempts through the platform to be run again",
    }
}
