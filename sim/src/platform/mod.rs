//! Jobs as they travel in production: the real rules of schedulers and workers, the real view that
//! operators have of the store, and what lies between them.
//!
//! ```text
//! post       a machine with a process that dies, stands still, and begins anew
//! scheduler  the real rules of a scheduler, and what it has asked for
//! worker     the real rules of a worker, and the operators that run there
//! desk       what operators ask for and note while they are polled by hand
//! operators  what the steps of simulated chains do
//! task       what a job asks for, as it travels in its input, and the chains that there are
//! queue      the durable queue
//! dispatch   what is sent
//! slip       known mistakes of the platform, put back
//! ```
//!
//! Deliberately unknown here: the world's queue of events, and the store.

mod desk;
mod dispatch;
mod operators;
mod post;
mod queue;
mod scheduler;
mod slip;
mod task;
mod worker;

pub(crate) use desk::{Desk, Fact, Wish};
pub(crate) use dispatch::Dispatch;
pub(crate) use operators::run as run_operator;
pub(crate) use post::Post;
pub(crate) use queue::{Queue, Queued};
pub(crate) use scheduler::{Inquiry, SchedulerAtWork, Verb};
pub use slip::Slip;
pub(crate) use task::{DEADLINE_MS, Failing, Task, chains, offers};
pub(crate) use worker::{StepAtWork, WorkerAtWork};

use crate::broker::Party;
use catena_protocol::JobId;
use catena_worker::machine::Token;
use std::collections::BTreeMap;

/// What a process of the platform asks the store for.
#[derive(Clone, Debug)]
pub(crate) enum Errand {
    /// A scheduler asks the home of a job; whether to commit.
    Home(JobId, bool),
    /// A scheduler asks for an outcome because somebody asks it.
    Inquiry(u64),
    /// An operator asks: which, and the number of its question.
    Operator(Token, u64),
    /// A worker asks a home to commit.
    Commit(Token),
}

/// Everybody of the platform.
#[derive(Default)]
pub(crate) struct Platform {
    pub(crate) schedulers: Vec<Post<SchedulerAtWork>>,
    pub(crate) workers: Vec<Post<WorkerAtWork>>,
    pub(crate) queue: Queue,
    /// Calls of clients that are open: by number, the job and when it must be answered.
    pub(crate) calls: BTreeMap<u64, (usize, u64)>,
    pub(crate) last_call: u64,
    /// The snapshot of the first attempt that was seen of each job, for a mistake.
    pub(crate) first_snapshots: BTreeMap<JobId, u64>,
}

impl Platform {
    /// Its processes, up or not.
    pub(crate) fn parties(&self) -> impl Iterator<Item = Party> + use<> {
        let schedulers = (0..self.schedulers.len()).map(Party::Scheduler);
        schedulers.chain((0..self.workers.len()).map(Party::Worker))
    }
}
