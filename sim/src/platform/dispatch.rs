//! What is sent of jobs on their way through the platform.

use super::queue::Queued;
use super::scheduler::Verb;
use crate::broker::Inbox;
use bytes::Bytes;
use catena_client::machine::submit::Known;
use catena_protocol::message::assign::Reply;
use catena_protocol::message::finish::{Finish, Finished};
use catena_protocol::message::handoff::Step;
use catena_protocol::message::submit::Submit;
use catena_protocol::{ChainHash, Fault, JobId, Name, NodeId};
use catena_scheduler::machine::{Queueing, Standing};

/// What is sent. Answers name the boot of the process that asked.
#[derive(Clone, Debug)]
pub(crate) enum Dispatch {
    /// A client wants a job to be run and waits.
    Run { chain: Name, submit: Submit, reply: Reply },
    /// A client wants a job to be queued.
    Submit { chain: Name, submit: Submit, reply: Reply },
    /// Nobody was there for a `Run`.
    Refused { chain: Name, turn: u64 },
    /// Nobody was there for a `Submit`.
    NobodyQueues { job: usize },
    /// A job is finished.
    Finished(Finished),
    /// Whether a job of a client is on the durable queue.
    Queued { job: usize, result: Result<(), Fault> },
    /// A client asks what became of a job.
    Ask { verb: Verb, job: JobId, from: Inbox },
    /// What is known of it.
    Known { job: JobId, known: Known },
    /// A step for a worker.
    Step(Step),
    /// Nobody was there for a step of a scheduler.
    Gone { boot: u64, worker: NodeId },
    /// Nobody was there for the hand-offs of a turn.
    Unreached { boot: u64, number: u64, to: NodeId },
    /// An attempt ended.
    Finish(Finish),
    /// A worker wants a chain.
    Want { chain: ChainHash, from: Inbox },
    /// The chain; empty if it is not known.
    Chain { boot: u64, hash: ChainHash, bytes: Bytes },
    /// A scheduler asks the others who runs a job.
    WhoRuns { inquiry: u64, job: JobId, from: Inbox },
    /// It is in flight, or queued.
    Runs { boot: u64, inquiry: u64, standing: Option<Standing> },
    /// A scheduler puts a job on the durable queue.
    Publish { number: u64, job: Box<Queueing>, from: Inbox },
    /// It is there.
    Published { boot: u64, number: u64 },
    /// A message from the durable queue.
    Deliver { sequence: u64, message: Box<Queued> },
    /// The outcome of a queued job is durable.
    Acknowledge { sequence: u64 },
    /// It is to come again after so many microseconds.
    Later { sequence: u64, wait_us: u64 },
    /// It still runs.
    Progress { sequence: u64 },
}
