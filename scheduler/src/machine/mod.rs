//! The rules of a scheduler, without anything that does them.
//!
//! ```text
//! what happened (Input) --> handle(now, ..) --> what is to be done (Effect)
//!                           next_deadline() --> when to come back with Input::Tick at the latest
//! ```
//!
//! Promise: every job that is submitted here gets exactly one end, every caller exactly one
//! answer; every table has a limit. The same inputs at the same times with the same seed give the
//! same effects.
//!
//! Deliberately unknown here: NATS, threads, real time and real randomness.

mod assign;
mod balance;
mod chains;
mod finish;
mod identify;
mod jobs;
mod longest;
mod operators;
mod park;
mod refuse;
mod settle;
mod status;
mod submit;
mod watch;
mod wheel;
mod workers;

pub use status::{Counters, KnownOperator, Standing, WorkerLoad};
pub use submit::{Called, Identity, Source, Submission};

use bytes::Bytes;
use catena_protocol::chain::{Definition, Service};
use catena_protocol::clock::{HybridClock, Now};
use catena_protocol::message::assign::Reply;
use catena_protocol::message::finish::{Finish, Finished};
use catena_protocol::message::handoff::Step;
use catena_protocol::message::heartbeat::Heartbeat;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{ChainHash, Fault, JobId, Name, NodeId, limit};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroU16;

/// The limits of one scheduler.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who it is.
    pub id: NodeId,
    /// Most jobs in flight. More are answered 429.
    pub max_jobs: usize,
    /// Most bytes of inputs that are held. More are answered 429.
    pub held_bytes: usize,
    /// How often one job may lose against others before it is answered 409.
    pub conflicts: u32,
    /// How often one job may be run again because of trouble that is not its own.
    pub repeats: u32,
    /// Most callers that wait for one job. More are answered 429.
    pub callers: usize,
    /// How long requests wait, after the start, for workers and definitions to become known, in
    /// milliseconds. Should be longer than two heartbeats.
    pub grace_ms: u64,
    /// Partitions of the cluster; none: the first storage node that is heard tells it.
    pub partitions: Option<u16>,
}

impl Settings {
    /// The defaults.
    pub const fn of(id: NodeId) -> Self {
        Self {
            id,
            max_jobs: 65_536,
            held_bytes: limit::HELD_INPUT_BYTES,
            conflicts: 100,
            repeats: 1_000,
            callers: 64,
            grace_ms: 1_500,
            partitions: None,
        }
    }
}

/// What happened.
#[allow(clippy::large_enum_variant, reason = "inputs are handled one by one, never stored")]
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody wants a job to run, or to be queued.
    Submit(Submission),
    /// An attempt ended.
    Finish(Finish),
    /// The home of a job answered.
    Told {
        /// Which job was asked about.
        job: JobId,
        /// The answer.
        tell: Tell,
    },
    /// A service lives.
    Heartbeat(Heartbeat),
    /// The server says that nobody listens for the steps of this worker.
    Gone(NodeId),
    /// The connection was lost and is back: whatever was on its way may be lost.
    Reconnected,
    /// A chain definition as it is stored; none: it was deleted.
    Chain {
        /// Its name.
        name: Name,
        /// Larger is newer.
        revision: u64,
        /// What is stored, or why it cannot be used.
        definition: Option<Result<Definition, Fault>>,
    },
    /// All chain definitions that exist have been given; what is not among these is gone.
    Chains(BTreeSet<Name>),
    /// An [`Effect::Look`] found nothing.
    Missing(Name),
    /// A service operator as it is stored; none: it was deleted.
    Service {
        /// Its name.
        name: Name,
        /// Where it is asked.
        service: Option<Service>,
    },
    /// Time has passed.
    Tick,
    /// The process ends: every job is let go, every caller told so.
    Stop,
}

/// What is to be done.
#[allow(clippy::large_enum_variant, reason = "most are `Assign`, the largest")]
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Publish a step to a worker.
    Assign {
        /// The worker of the first step.
        worker: NodeId,
        /// The step.
        step: Step,
    },
    /// Answer a caller.
    Answer {
        /// Where.
        reply: Reply,
        /// What.
        finished: Finished,
    },
    /// Ask the home of a job; the answer comes back as [`Input::Told`].
    Ask {
        /// Which job; its home is in its id.
        job: JobId,
        /// What to ask.
        ask: Ask,
    },
    /// Put a job on the durable queue, then answer its caller.
    Enqueue(Queueing),
    /// A message on the durable queue is done with.
    Release {
        /// Which, as given in [`Source::Queue`].
        token: u64,
        /// Whether the outcome is durable (acknowledge it), or it should come again later.
        done: bool,
    },
    /// A message on the durable queue can neither run nor have an outcome: it goes for good.
    Drop {
        /// Which, as given in [`Source::Queue`].
        token: u64,
        /// Why.
        fault: Fault,
    },
    /// Look for the definition of a chain that is not known here; the answer comes back as
    /// [`Input::Chain`] or [`Input::Missing`].
    Look(Name),
}

/// A job that is to be put on the durable queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Queueing {
    /// Its id.
    pub job: JobId,
    /// What it runs.
    pub called: Called,
    /// Its input.
    pub input: Bytes,
    /// Its deadline in milliseconds after it is taken from the queue; 0: the chain's.
    pub deadline_ms: u64,
    /// Its snapshot is at least this.
    pub after: catena_protocol::Timestamp,
    /// W3C trace context.
    pub trace: Option<String>,
    /// Who is told that it is queued.
    pub reply: Option<Reply>,
}

/// A scheduler.
#[derive(Debug)]
pub struct Scheduler {
    settings: Settings,
    /// None until it is told. It never changes in the life of a cluster.
    partitions: Option<NonZeroU16>,
    clock: HybridClock,
    random: StdRng,
    chains: chains::Chains,
    operators: operators::Operators,
    longest: longest::Longest,
    workers: workers::Workers,
    jobs: jobs::Jobs,
    wheel: wheel::Wheel,
    /// Attempts that wait for a moment, by time in monotonic microseconds.
    delayed: BTreeSet<(u64, jobs::JobKey)>,
    /// Jobs whose attempt may be lost.
    suspects: VecDeque<watch::Suspect>,
    /// When the next share of suspects may be taken, in monotonic milliseconds.
    suspects_ms: u64,
    parked: park::Parked,
    counters: Counters,
    due: Vec<(u64, jobs::JobKey)>,
    plan: Vec<u16>,
}

impl Scheduler {
    /// A scheduler that knows nothing yet. Whatever it does by chance follows from `seed`.
    pub fn new(settings: Settings, seed: [u8; 32], now: Now) -> Self {
        let mut random = StdRng::from_seed(seed);
        let hash_seed = rand::RngCore::next_u64(&mut random);
        Self {
            partitions: settings.partitions.and_then(NonZeroU16::new),
            clock: HybridClock::default(),
            random,
            chains: chains::Chains::default(),
            operators: operators::Operators::default(),
            longest: longest::Longest::default(),
            workers: workers::Workers::default(),
            jobs: jobs::Jobs::new(hash_seed),
            wheel: wheel::Wheel::default(),
            delayed: BTreeSet::new(),
            suspects: VecDeque::new(),
            suspects_ms: 0,
            parked: park::Parked::new(now.mono_ms() + settings.grace_ms),
            counters: Counters::default(),
            due: Vec::new(),
            plan: Vec::new(),
            settings,
        }
    }

    /// Takes note of what happened and says what is to be done.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Submit(submission) => self.submit(now, submission, out),
            Input::Finish(finish) => self.finish(now, finish, out),
            Input::Told { job, tell } => self.told(now, job, tell, out),
            Input::Heartbeat(heartbeat) => self.heard(now, heartbeat, out),
            Input::Gone(node) => self.gone(now, &node, out),
            Input::Reconnected => self.reconnected(now),
            Input::Chain { name, revision, definition } => {
                self.chains.define(name.clone(), revision, definition);
                self.unpark_chain(now, &name, out);
            }
            Input::Chains(present) => {
                self.chains.keep_only(&present);
                self.unpark_all(now, out);
            }
            Input::Missing(name) => self.missing(now, &name, out),
            Input::Service { name, service } => {
                self.operators.define(&name, service);
                self.unpark_all(now, out);
            }
            Input::Tick => self.tick(now, out),
            Input::Stop => self.stop(now, out),
        }
    }

    /// When [`Input::Tick`] is next needed, in monotonic microseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        let ms = [
            self.wheel.next_ms(),
            self.workers.next_silence_ms(),
            self.parked.next_ms(),
            (!self.suspects.is_empty()).then_some(self.suspects_ms),
        ];
        let ms = ms.into_iter().flatten().min().map(|ms| ms.saturating_mul(1000));
        let delayed = self.delayed.first().map(|(us, _)| *us);
        ms.into_iter().chain(delayed).min()
    }

    /// The longest deadline of all chains that are defined and all jobs in flight, in milliseconds;
    /// 0: there is none.
    pub fn longest_deadline_ms(&mut self, now: Now) -> u64 {
        self.chains.longest_deadline_ms().max(self.longest.at(now.mono_ms()))
    }

    /// The encoding of a chain that a job here runs, for workers that ask.
    pub fn chain_bytes(&self, hash: &ChainHash) -> Option<Bytes> {
        self.chains.bytes(hash)
    }
}
