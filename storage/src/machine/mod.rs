//! The rules of a storage node: requests in, effects out.
//!
//! ```text
//!  Requests --> evaluate in log order against (state + records on their way) --> Append(frame)
//!  Synced(frame) --> what it holds is committed --> Apply(batch), Reply(...)
//!  Applied(batch) --> the state has it; nothing of it is kept here any more
//! ```
//!
//! Promise: nothing is told that is not durable; what was told stays true; every request gets
//! exactly one answer; every queue is bounded ([`Settings`]). A turn is one call of
//! [`Node::handle`]: all its records are one frame (or a few), so what queued up during one sync
//! is the next batch.
//!
//! This node leads all its partitions (one replica). The place of replication is between `Append`
//! and `Synced`: a record counts as committed at a position of its partition's log, and the part
//! of the log that is not applied yet (`pending.rs`) is kept by position, so that followers can
//! fill it and cut it too.
//!
//! Deliberately unknown here: NATS, threads, disks, clocks and chance.

mod admission;
mod append;
mod ceiling;
mod commit;
mod conflict;
mod effect;
mod outcome;
mod partition;
mod pending;
mod read;
mod restore;
mod retention;
mod scan;
mod settings;
mod synced;
mod write;

pub use effect::{Effect, Input};
pub use restore::RestoreError;
pub use settings::Settings;

use crate::state::{State, StateError};
use append::Frames;
use catena_protocol::clock::{HybridClock, Now};
use catena_protocol::message::store::{Ask, Request, Response, Tell};
use catena_protocol::{Fault, Timestamp};
use effect::Verdict;
use partition::Partition;
use retention::Retention;
use std::collections::{BTreeMap, VecDeque};

/// All partitions of one node. `C` names a caller: whoever a reply goes to.
#[derive(Debug)]
pub struct Node<C> {
    settings: Settings,
    clock: HybridClock,
    horizon: Timestamp,
    partitions: Vec<Partition>,
    frames: Frames<C>,
    /// Batches that are being applied, oldest first, and up to which index for each partition.
    applying: VecDeque<(u64, Vec<(u16, u64)>)>,
    next_batch: u64,
    /// Durable, but the wall clock has not reached their version yet.
    early: BTreeMap<Timestamp, Vec<(C, Response)>>,
    held: usize,
    pending_bytes: usize,
    retention: Retention,
    deadline_us: Option<u64>,
}

impl<C> Node<C> {
    /// Takes one input and appends to `out` what is to be done, in order.
    ///
    /// # Errors
    /// If the state cannot be read: the node must not go on.
    pub fn handle<S: State>(
        &mut self,
        now: Now,
        input: Input<C>,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        match input {
            Input::Requests(requests) => {
                for (caller, request) in requests {
                    self.make_room(out);
                    self.request(now, caller, request, state, out)?;
                }
            }
            Input::Synced { frame } => self.synced(now, frame, state, out)?,
            Input::Applied { batch } => self.applied(batch),
            Input::Tick => {}
        }
        self.retain(now, state, out)?;
        self.close_frame(out);
        self.release_early(now, out);
        self.set_deadline(now);
        Ok(())
    }

    /// When to call again with [`Input::Tick`], in monotonic microseconds, if nothing else comes.
    pub const fn next_deadline(&self) -> Option<u64> {
        self.deadline_us
    }

    /// The partitions that this node leads, with their epochs.
    pub fn led(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        (0_u16..).zip(&self.partitions).map(|(number, partition)| (number, partition.epoch))
    }

    /// Requests that wait for a sync or for the clock.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Bytes of records that the state does not contain yet.
    pub const fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    fn request<S: State>(
        &mut self,
        now: Now,
        caller: C,
        request: Request,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let Request { id, partition, ask } = request;
        let verdict = match self.misrouted(partition, &ask) {
            Some(tell) => Verdict::Tell(tell),
            None => self.evaluate(now, partition, ask, state)?,
        };
        match verdict {
            Verdict::Tell(tell) => {
                out.push(Effect::Reply { to: caller, response: Response { id, tell } });
            }
            Verdict::Seen { version, tell } => {
                let wait = version.0 > now.wall_us;
                let tell = if wait { self.admit_wait().err().unwrap_or(tell) } else { tell };
                self.answer(now, caller, Response { id, tell }, version, out);
            }
            Verdict::Once { frame, version, tell } => {
                self.hold(frame, caller, Response { id, tell }, version);
            }
            Verdict::Again { frame, ask } => {
                self.hold_request(frame, caller, Request { id, partition, ask });
            }
        }
        Ok(())
    }

    fn evaluate<S: State>(
        &mut self,
        now: Now,
        partition: u16,
        ask: Ask,
        state: &S,
    ) -> Result<Verdict, StateError> {
        match ask {
            Ask::Read(read) => self.read(now, partition, read, state),
            Ask::Scan(scan) => self.scan(now, partition, scan, state),
            Ask::Write(write) => self.write(now, partition, write, state),
            Ask::Commit(commit) => self.commit(now, partition, commit, state),
            Ask::Outcome(job) => self.outcome(partition, job, state),
        }
    }

    /// Why a request does not belong to the partition that it names.
    fn misrouted(&self, partition: u16, ask: &Ask) -> Option<Tell> {
        let partitions = self.settings.partitions;
        let right = match ask {
            Ask::Read(read) => read.key.partition(partitions),
            Ask::Write(write) => write.mutation.key.partition(partitions),
            Ask::Commit(commit) => commit.job.home() % partitions,
            Ask::Outcome(job) => job.home() % partitions,
            Ask::Scan(_) => partition,
        };
        if partition >= partitions {
            return Some(Tell::Fault(Fault::bad_request(format_args!(
                "there is no partition {partition}, the cluster has {partitions}; nothing was done"
            ))));
        }
        (right != partition).then(|| {
            Tell::Fault(Fault::bad_request(format_args!(
                "this belongs to partition {right}, not to {partition}; nothing was done"
            )))
        })
    }
}
