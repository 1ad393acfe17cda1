//! The rules of a storage node: requests in, effects out.
//!
//! ```text
//!  Requests --> evaluate in log order against (state + records on their way)
//!               --> Append(frame) to the own disk, Push to the other replicas
//!  Synced(frame), Letter(acknowledgements) --> a majority has it --> Reply(...)
//!  much has gathered --> Apply(batch)
//!  Applied(batch) --> the state has it; nothing of it has to be kept here any more
//! ```
//!
//! Promise: nothing is told that is not durable; what was told stays true; every request gets
//! exactly one answer; every queue is bounded ([`Settings`]). A turn is one call of
//! [`Node::handle`]: all its records are one frame (or a few), so what queued up during one sync
//! is the next batch.
//!
//! Each partition has a log that several nodes keep (`partition.rs`). Its primary decides
//! (`lead.rs`); the others follow (`follow.rs`); when it is gone they elect another (`elect.rs`);
//! whoever missed too much takes a copy of the state (`copy.rs`). A record counts once a majority
//! has it on disk. The part of the log that the state does not contain yet is in `pending.rs`,
//! its bytes and hashes in `tail.rs`.
//!
//! Deliberately unknown here: NATS, threads, disks, clocks and chance.

mod admission;
mod append;
mod apply;
mod blocked;
mod bug;
mod ceiling;
mod commit;
mod conflict;
mod coordinate;
mod copy;
mod costs;
mod effect;
mod elect;
mod fingerprint;
mod follow;
mod gossip;
mod intent;
mod lead;
mod ledger;
mod outcome;
mod packed;
mod partition;
mod pending;
mod prefix;
mod prepare;
mod read;
mod read_marks;
mod resolve;
mod restore;
mod retention;
mod role;
mod scan;
mod settings;
mod share;
mod synced;
mod tail;
mod turns;
mod view;
mod voters;
mod waiting;
mod write;

pub use bug::Bug;
pub use effect::{Effect, Entry, Event, Input};
pub use restore::RestoreError;
pub use settings::{BEAT_US, CLOSE_BEHIND_US, LEASE_US, PROMISE_US, QUORUM_US, Settings};
pub use view::View;

use crate::state::{State, StateError};
use append::Frames;
use apply::{Applying, Gathered};
use blocked::Patience;
use catena_protocol::chance::Chance;
use catena_protocol::clock::{HybridClock, Now};
use catena_protocol::message::gossip::Line;
use catena_protocol::message::prepare::TxnId;
use catena_protocol::message::read::{At, Read, Scan};
use catena_protocol::message::store::{Ask, Request, Response, Tell};
use catena_protocol::{Fault, NodeId, Timestamp};
use effect::Verdict;
use gossip::Others;
use lead::Beats;
use partition::Partition;
use retention::Retention;
use role::Role;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// All partitions of one node. `C` names a caller: whoever a reply goes to.
#[derive(Clone, Debug)]
pub struct Node<C> {
    settings: Settings,
    clock: HybridClock,
    /// The time of the present turn.
    now: Now,
    chance: Chance,
    horizon: Timestamp,
    partitions: Vec<Partition<C>>,
    /// How many of them have a replica here.
    hosted: usize,
    /// The replica sets that this node is in.
    sets: Vec<Vec<NodeId>>,
    others: Others,
    frames: Frames,
    /// Room for a record that is being written.
    encoded: Vec<u8>,
    beats: Beats,
    beat_us: u64,
    /// Somebody waits for the next beat.
    beat_soon: bool,
    /// Partitions whose logs were committed further in this turn.
    committed: BTreeSet<u16>,
    gathered: Gathered,
    applying: Applying,
    /// Committed, but the wall clock has not reached their version yet.
    early: BTreeMap<Timestamp, Vec<(C, Response)>>,
    held: usize,
    pending_bytes: usize,
    retention: Retention,
    deadline_us: Option<u64>,
    /// A majority has just confirmed that this node leads.
    sure: bool,
    /// What is looked at again has waited for intents, and for no others.
    resumed: Option<Patience>,
    /// Who leads partitions of which there may be no replica here: epoch and node.
    leaders: BTreeMap<u16, (u64, NodeId)>,
    /// What storage nodes, this one too, are told in this turn.
    outgoing: VecDeque<(NodeId, Line)>,
    /// Transactions that have ended in a partition, in this turn.
    unblocked: VecDeque<(u16, TxnId)>,
    /// Transactions whose outcome has been committed in this turn, with their homes.
    spreading: VecDeque<(u16, TxnId)>,
    /// Counts what this process coordinates.
    next_txn: u64,
    /// When something is to be done about that.
    tend_us: u64,
    /// This node ends and takes nothing over any more.
    retiring: bool,
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
        self.now = now;
        match input {
            Input::Requests(requests) => {
                for (caller, request) in requests {
                    self.make_room(out);
                    self.request(now, caller, request, state, out)?;
                }
            }
            Input::Push(push) => self.pushed(now, push, state, out)?,
            Input::Digest(digest) => self.digested(now, digest, state, out)?,
            Input::Letter(letter) => self.written_to(now, letter, state, out)?,
            Input::Synced { frame } => self.synced(frame, out),
            Input::Applied { batch } => self.applied(batch),
            Input::Longest { deadline_ms } => self.retention.heard(now, deadline_ms),
            Input::Tick => {}
        }
        self.strike_off(now, state)?;
        self.retain(now);
        self.keep_house(now, state, out)?;
        self.tend(now, out);
        self.work_off(now, state, out)?;
        self.apply_in_turn(now, out);
        self.beat(now, out);
        self.close_frame_in_turn(now, out);
        self.release_early(now, out);
        self.set_deadline(now);
        Ok(())
    }

    /// What follows from this turn, until nothing more does.
    fn work_off<S: State>(
        &mut self,
        now: Now,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        loop {
            self.make_room(out);
            if let Some((to, line)) = self.outgoing.pop_front() {
                self.deliver(now, to, line, state, out)?;
            } else if let Some((number, txn)) = self.unblocked.pop_front() {
                self.unblock(now, number, txn, state, out)?;
            } else if let Some((home, txn)) = self.spreading.pop_front() {
                self.spread(now, home, txn);
            } else if !self.committed.is_empty() {
                self.conclude_turn(now, state, out)?;
            } else {
                self.tend(now, out);
                if self.outgoing.is_empty() && self.unblocked.is_empty() {
                    return Ok(());
                }
            }
        }
    }

    /// What is due without anybody asking.
    fn keep_house<S: State>(
        &mut self,
        now: Now,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        if self.deadline_us.is_some_and(|deadline| now.mono_us < deadline) {
            return Ok(());
        }
        let beats = now.mono_us >= self.beat_us;
        let mut yields = 0;
        for number in 0..self.settings.partitions {
            self.elect(now, number, state, out)?;
            if beats && matches!(self.partitions[usize::from(number)].role, Role::Primary(_)) {
                self.check_quorum(now, number, out);
                self.change_voters(now, number);
                self.expire_blocked(now, number, out);
                self.look_after_ends(now, number);
                self.look_after_lines(now, number, state, out)?;
                if yields < lead::YIELDS && self.hand_over(now, number, out) {
                    yields += 1;
                }
            }
        }
        Ok(())
    }

    /// Whether a known mistake was put back.
    const fn has(&self, bug: Bug) -> bool {
        self.settings.has(bug)
    }

    /// When to call again with [`Input::Tick`], in monotonic microseconds, if nothing else comes.
    pub const fn next_deadline(&self) -> Option<u64> {
        self.deadline_us
    }

    /// The partitions that this node leads and answers for, with their epochs.
    pub fn led(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        let led = self.partitions.iter().filter(|partition| partition.serves());
        led.map(|partition| (partition.number, partition.epoch))
    }

    /// The partitions of which this node has a replica.
    pub fn hosted(&self) -> impl Iterator<Item = u16> + '_ {
        let me = &self.settings.me;
        let here = self
            .partitions
            .iter()
            .filter(|p| p.places.contains(&me.node) || p.voters.now().contains(me));
        here.map(|partition| partition.number)
    }

    /// The replica sets that this node is in, as [`Effect::Push`] counts them.
    pub fn sets(&self) -> &[Vec<NodeId>] {
        &self.sets
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
            None => self.serve(now, partition, ask, state, out)?,
        };
        match verdict {
            Verdict::Tell(tell) => {
                out.push(Effect::Reply { to: caller, response: Response { id, tell } });
            }
            Verdict::Seen { version, tell } => {
                let waits = version.0 > now.wall_us;
                match waits.then(|| self.admit_wait()) {
                    Some(Err(tell)) => {
                        out.push(Effect::Reply { to: caller, response: Response { id, tell } });
                    }
                    _ => self.answer(now, caller, Response { id, tell }, version, out),
                }
            }
            Verdict::Once { index, version, tell } => {
                self.hold(partition, index, caller, Response { id, tell }, version);
            }
            Verdict::Again { index, ask } => {
                self.hold_request(partition, index, caller, Request { id, partition, ask });
            }
            Verdict::Join { job } => self.join(partition, &job, caller, id),
            Verdict::Blocked { txn, bound, ask } => {
                let request = Request { id, partition, ask };
                self.hold_blocked(now, partition, (txn, bound), caller, request);
            }
            Verdict::Confirm { strict, ask } => {
                self.hold_unsure(partition, strict, caller, Request { id, partition, ask });
            }
        }
        Ok(())
    }

    /// Evaluates a request if this replica may, otherwise says who may.
    fn serve<S: State>(
        &mut self,
        now: Now,
        number: u16,
        ask: Ask,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<Verdict, StateError> {
        let partition = &self.partitions[usize::from(number)];
        if let Role::Primary(leading) = &partition.role {
            let began = leading.began;
            if partition.pending.committed_index() < began {
                return Ok(self.wait(began, ask));
            }
            return self.evaluate(now, number, ask, state, out);
        }
        let primary = partition.primary().map(|member| member.node.clone());
        match snapshot_of(&ask) {
            Some(snapshot) if self.covers(number, snapshot) => {
                self.evaluate(now, number, ask, state, out)
            }
            Some(_) => {
                let closed = partition.closed;
                Ok(Verdict::Tell(Tell::Behind { primary, closed }))
            }
            None => Ok(Verdict::Tell(Tell::NotPrimary { primary })),
        }
    }

    fn evaluate<S: State>(
        &mut self,
        now: Now,
        partition: u16,
        ask: Ask,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<Verdict, StateError> {
        match ask {
            Ask::Read(read) => self.read(now, partition, read, state),
            Ask::Scan(scan) => self.scan(now, partition, scan, state),
            Ask::Write(write) => self.write(now, partition, write, state),
            Ask::Commit(commit) => self.commit(now, partition, commit, state, out),
            Ask::Outcome(job) => self.outcome(now, partition, job, state),
        }
    }

    /// Why a request does not belong to the partition that it names.
    fn misrouted(&self, partition: u16, ask: &Ask) -> Option<Tell> {
        let partitions = self.settings.partitions;
        let right = match ask {
            Ask::Read(read) => read.key.partition(partitions),
            Ask::Write(write) => write.mutation.key.partition(partitions),
            Ask::Commit(_) if self.has(Bug::AnyHome) => partition,
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

/// The time at which a request wants to see the store, if it does not have to be the present.
const fn snapshot_of(ask: &Ask) -> Option<Timestamp> {
    match ask {
        Ask::Read(Read { at: At::Snapshot(at), .. })
        | Ask::Scan(Scan { at: At::Snapshot(at), .. }) => Some(*at),
        _ => None,
    }
}
