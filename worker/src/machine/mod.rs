//! The rules of a worker: which steps it takes, and what follows when one has ended.
//!
//! ```text
//! Step --assign/handoff--> accepted --Run--> Done --+--> handoff to the next worker
//!          |                 ^                      +--> run the next step here
//!          +-> Full          +- chain fetched       +--> commit --> Decided --> answer + finish
//!                                                   +--> finish (failed)
//! ```
//!
//! Promise: every step that is taken ends with exactly one hand-off, answer or finish; what is
//! held is bounded by the capacity. Unknown here: operators, NATS, tasks, and what time it is.

mod accept;
mod commit;
mod credit;
mod done;
mod handoff;
mod held;

pub use commit::answer;
pub use handoff::Recent;
pub use held::Token;

use catena_protocol::chain::Chain;
use catena_protocol::clock::Now;
use catena_protocol::message::assign::Reply;
use catena_protocol::message::commit::Commit;
use catena_protocol::message::finish::{AttemptEnd, Finish, Finished};
use catena_protocol::message::handoff::{Effects, Step};
use catena_protocol::message::store::Tell;
use catena_protocol::{AttemptId, Blob, ChainHash, Fault, JobId, NodeId, Timestamp};
use held::{Chains, Held, Steps};
use std::sync::Arc;

/// Settings of the rules.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who this worker is.
    pub id: NodeId,
    /// Most steps held at once; more are answered `Full`.
    pub capacity: u32,
    /// Most bytes of one hand-off; a job that grows beyond it fails with 413.
    pub message_limit: usize,
}

/// What happens to a worker.
#[derive(Debug)]
pub enum Input {
    /// A scheduler or another worker hands over a step.
    Step(Step),
    /// A chain that was wanted arrived; none: the scheduler does not know it.
    Chain(ChainHash, Option<Arc<Chain>>),
    /// A step that was to be run is still running after the first look.
    Started(Token),
    /// A step has ended.
    Done {
        /// Which.
        token: Token,
        /// The input of the next one, or why there is none.
        output: Result<Blob, Fault>,
        /// What the job has read and wants to write.
        effects: Effects,
    },
    /// The store answered a commit.
    Decided(Token, Tell),
    /// A scheduler lives.
    Scheduler {
        /// Which.
        id: NodeId,
        /// Whether it is about to leave.
        draining: bool,
    },
    /// The server says that nobody is there to take hand-offs.
    Unreached {
        /// The turn that they went out in.
        number: u64,
        /// The worker that is gone.
        to: NodeId,
    },
    /// Take nothing new.
    Drain,
    /// Time has passed.
    Tick,
}

/// What a worker wants done.
#[derive(Debug)]
pub enum Effect {
    /// Ask a scheduler for a chain.
    Want {
        /// Whom.
        scheduler: NodeId,
        /// Which.
        chain: ChainHash,
    },
    /// The chain is not needed any more.
    Forget(ChainHash),
    /// Run a step.
    Run(Run),
    /// Stop a step that took too long; nothing it does counts any more.
    Stop(Token),
    /// Publish a step to another worker.
    Handoff {
        /// To whom.
        to: NodeId,
        /// Which.
        step: Step,
    },
    /// Ask the store to commit.
    Commit(Token, Commit),
    /// Answer the caller.
    Answer {
        /// Where and in which form.
        reply: Reply,
        /// The answer.
        finished: Finished,
    },
    /// Tell the scheduler.
    Finish {
        /// Which.
        scheduler: NodeId,
        /// How the attempt ended.
        finish: Finish,
    },
}

/// A step that is to be run.
#[derive(Debug)]
pub struct Run {
    /// Names it in `Started` and `Done`.
    pub token: Token,
    /// The chain.
    pub chain: Arc<Chain>,
    /// Its hash.
    pub hash: ChainHash,
    /// Which step.
    pub index: u8,
    /// The job.
    pub job: JobId,
    /// This try at it.
    pub attempt: AttemptId,
    /// When its reads are.
    pub snapshot: Timestamp,
    /// W3C trace context.
    pub trace: Option<String>,
    /// The input.
    pub payload: Blob,
    /// What the job has read and wants to write so far.
    pub effects: Effects,
}

/// The state of a worker.
#[derive(Debug)]
pub struct Worker {
    settings: Settings,
    draining: bool,
    steps: Steps,
    chains: Chains,
    credit: credit::Credit,
    recent: Recent,
}

impl Worker {
    /// A worker that holds nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            draining: false,
            steps: Steps::default(),
            chains: Chains::default(),
            credit: credit::Credit::default(),
            recent: Recent::default(),
        }
    }

    /// Takes note of what happened and says what is to be done about it.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Step(step) => self.accept(now, step, out),
            Input::Chain(hash, chain) => self.chain(now, hash, chain, out),
            Input::Started(token) => self.started(now, token),
            Input::Done { token, output, effects } => self.done(now, token, output, effects, out),
            Input::Decided(token, tell) => self.decided(token, tell, out),
            Input::Scheduler { id, draining } => self.credit.heard(now, id, draining),
            Input::Unreached { number, to } => self.unreached(number, &to, out),
            Input::Drain => self.draining = true,
            Input::Tick => self.tick(now, out),
        }
    }

    /// When `Tick` is wanted, in monotonic microseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        [self.steps.next_timeout(), self.chains.next_retry()].into_iter().flatten().min()
    }

    /// Steps held: waiting, running or committing.
    pub fn outstanding(&self) -> u32 {
        u32::try_from(self.steps.len() + self.chains.waiting()).unwrap_or(u32::MAX)
    }

    /// Steps that each live scheduler may have here at once.
    pub fn share(&self, now: Now) -> u32 {
        self.credit.share(now, self.settings.capacity)
    }

    /// Whether it takes nothing new.
    pub const fn is_draining(&self) -> bool {
        self.draining
    }

    /// The number that the hand-offs of this turn carry, so that `Unreached` can name them.
    pub const fn handoff_number(&self) -> u64 {
        self.recent.number()
    }

    /// Closes the group of hand-offs that share a number: the turn is over.
    pub fn turn_over(&mut self) {
        self.recent.turn_over();
    }

    fn tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        while let Some(token) = self.steps.timed_out(now.mono_us) {
            self.time_out(token, out);
        }
        self.retry_chains(now, out);
    }

    fn finish(held: &Held, end: AttemptEnd, out: &mut Vec<Effect>) {
        let assignment = &held.assignment;
        out.push(finish(assignment.scheduler.clone(), assignment.job, assignment.attempt, end));
    }
}

fn finish(scheduler: NodeId, job: JobId, attempt: AttemptId, end: AttemptEnd) -> Effect {
    Effect::Finish { scheduler, finish: Finish { job, attempt, end } }
}

#[cfg(test)]
mod tests;
