//! What comes into the machine and what goes out, as plain data.

use crate::state::Changes;
use catena_protocol::codec::Raw;
use catena_protocol::message::gossip::{Digest, Letter, Line, Push};
use catena_protocol::message::prepare::TxnId;
use catena_protocol::message::replicate::Vote;
use catena_protocol::message::store::{Ask, Request, Response, Tell};
use catena_protocol::{JobId, NodeId, Timestamp};

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<C> {
    /// Requests that arrived together, with those who asked.
    Requests(Vec<(C, Request)>),
    /// A primary tells its replica set.
    Push(Push),
    /// A storage node tells all others.
    Digest(Digest),
    /// A storage node tells this one.
    Letter(Letter),
    /// All frames up to this one are durable.
    Synced {
        /// The last of them.
        frame: u64,
    },
    /// All batches of changes up to this one are in the state.
    Applied {
        /// The last of them.
        batch: u64,
    },
    /// A scheduler knows chains with deadlines of up to so many milliseconds: for so long jobs may
    /// read at one snapshot.
    Longest {
        /// In milliseconds.
        deadline_ms: u64,
    },
    /// Time has passed.
    Tick,
}

/// What goes into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A record, encoded.
    Record {
        /// Whose.
        partition: u16,
        /// Its position there.
        index: u64,
        /// Its bytes.
        bytes: Raw,
    },
    /// A vote.
    Vote(Vote),
}

/// Something is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect<C> {
    /// Append to the log, all or nothing, and say when it is durable.
    Append {
        /// Frames are numbered from 1 since the start.
        frame: u64,
        /// What to append.
        entries: Vec<Entry>,
    },
    /// Apply to the state, and say when that is done and durable. Contents may be there before
    /// the marks that stand for them, never the other way round.
    Apply {
        /// Batches are numbered from 1 since the start.
        batch: u64,
        /// What to apply, in order. The marks of the last stand for all.
        changes: Vec<Changes>,
    },
    /// Answer.
    Reply {
        /// Whom.
        to: C,
        /// The answer.
        response: Response,
    },
    /// Tell all storage nodes.
    Gossip(Digest),
    /// Tell the nodes of one replica set.
    Push {
        /// Which: see [`Node::sets`](super::Node::sets).
        set: usize,
        /// What.
        push: Push,
    },
    /// Tell one storage node.
    Send {
        /// Whom.
        to: NodeId,
        /// What.
        line: Line,
    },
    /// Something for the log of the process, the figures, and those who route requests.
    Event(Event),
}

/// Something changed that others want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This node leads a partition from now on, and answers for it.
    Leads {
        /// Which.
        partition: u16,
        /// Since which epoch.
        epoch: u64,
    },
    /// This node does not lead a partition any more.
    Follows {
        /// Which.
        partition: u16,
    },
    /// An election was begun.
    Campaigns {
        /// Of which partition.
        partition: u16,
        /// For which epoch.
        epoch: u64,
    },
    /// A copy of the state is taken over.
    Copies {
        /// Of which partition.
        partition: u16,
    },
    /// A job has lost against another one and has to run again.
    Conflicts {
        /// Its home.
        partition: u16,
        /// How the key begins that both touched: up to its first separator.
        prefix: String,
    },
    /// The log of this replica differs from that of its primary where it must not. It takes no
    /// part any more.
    Halts {
        /// Of which partition.
        partition: u16,
        /// What was found.
        why: String,
    },
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is answered at once.
    Tell(Tell),
    /// It is answered when the wall clock has reached `version`: whoever hears of a version may
    /// take a snapshot by the clock afterwards and find it there.
    Seen { version: Timestamp, tell: Tell },
    /// It is answered when the log is committed up to `index` and the wall clock has reached
    /// `version`.
    Once { index: u64, version: Timestamp, tell: Tell },
    /// It is looked at again when the log is committed up to `index`.
    Again { index: u64, ask: Ask },
    /// It is answered when it is decided about the job.
    Join { job: JobId },
    /// It is looked at again when a transaction has ended here. No intent with a later version
    /// than `bound` was in its way.
    Blocked { txn: TxnId, bound: Timestamp, ask: Ask },
    /// It is looked at again when it is certain that nobody else has led since: the lease holds,
    /// or, if `strict`, a majority has said so after the request came.
    Confirm { strict: bool, ask: Ask },
}
