//! **replicate**, on its way: what storage nodes tell each other.
//!
//! ```text
//! primary --Push---> catena.gossip.<set>       new records, to the nodes of one replica set
//! every node --Digest-> catena.gossip          where each of its replicas stands, some times a second
//! node --Letter----> catena.node.<id>.peer     acknowledgements, votes, what was missed
//! ```
//!
//! Every message may be lost, late, repeated or overtaken: epoch and position decide, never the
//! time of arrival.

use super::commit::Outcome;
use super::prepare::{self, Intent, Prepare, Prepared, Resolve, Unsettled};
use super::replicate::Position;
use super::write::Written;
use crate::clock::Timestamp;
use crate::codec::{Blob, Raw};
use crate::id::RequestId;
use crate::key::Key;
use crate::placement::Member;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Sender {
    /// Node and disk.
    #[n(0)]
    pub member: Member,
    /// New at each start of the process, and larger.
    #[n(1)]
    pub boot: u64,
    /// Counts what this process sends to everybody; acknowledgements name it.
    #[n(2)]
    pub beat: u64,
}

/// A piece of one partition's log, as its primary has it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Run {
    /// Whose log.
    #[n(0)]
    pub partition: u16,
    /// In which epoch the sender leads it.
    #[n(1)]
    pub epoch: u64,
    /// What comes before the first record.
    #[n(2)]
    pub before: Position,
    /// The chained hash of the log up to there.
    #[n(3)]
    pub hash: u64,
    /// Up to this index the log is committed.
    #[n(4)]
    pub commit: u64,
    /// Nothing commits any more at or below this, beyond what `commit` covers.
    #[n(5)]
    pub closed: Timestamp,
    /// The records, each a `LogRecord`: its bytes are the same in every log.
    #[n(6)]
    pub records: Vec<Raw>,
}

/// New records of the partitions that a node leads, all of one replica set.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Push {
    /// Who leads.
    #[n(0)]
    pub from: Sender,
    /// One for each partition.
    #[n(1)]
    pub runs: Vec<Run>,
}

/// Where the replicas of one node stand.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Digest {
    /// Whose.
    #[n(0)]
    pub from: Sender,
    /// One for each partition of which it has a replica.
    #[n(1)]
    pub replicas: Vec<Standing>,
}

/// Where one replica stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Standing {
    /// Of which partition.
    #[n(0)]
    pub partition: u16,
    /// The highest epoch that it knows.
    #[n(1)]
    pub epoch: u64,
    /// What it is.
    #[n(2)]
    pub part: Part,
    /// The end of its log.
    #[n(3)]
    pub last: Position,
    /// Up to this index it knows the log to be committed.
    #[n(4)]
    pub commit: u64,
    /// It answers reads at snapshots up to here.
    #[n(5)]
    pub closed: Timestamp,
    /// The chained hash of its log up to `last` if it leads, up to `commit` otherwise.
    #[n(6)]
    pub hash: u64,
}

/// What a replica is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// It decides.
    #[n(0)]
    Primary,
    /// It has a vote.
    #[n(1)]
    Voter,
    /// It has no vote (yet).
    #[n(2)]
    Learner,
    /// It takes over a copy of the state.
    #[n(3)]
    Copying,
    /// It differs from its primary where it must not, and has stopped.
    #[n(4)]
    Halted,
}

/// What one node tells another.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Letter {
    /// Who writes; its `beat` says nothing here.
    #[n(0)]
    pub from: Sender,
    /// What.
    #[n(1)]
    pub lines: Vec<Line>,
}

/// One thing that one node tells another.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Line {
    /// What came with `beat` was taken in.
    #[n(0)]
    Ack {
        /// The boot of the primary that is meant.
        #[n(0)]
        boot: u64,
        /// Which message.
        #[n(1)]
        beat: u64,
        /// How far.
        #[n(2)]
        replicas: Vec<Acked>,
    },
    /// May I lead?
    #[n(1)]
    Ask(#[n(0)] Candidacy),
    /// Whether you may.
    #[n(2)]
    Answer {
        /// To what.
        #[n(0)]
        to: Candidacy,
        /// The highest epoch that is known here.
        #[n(1)]
        epoch: u64,
        /// Whether the vote is given.
        #[n(2)]
        granted: bool,
    },
    /// You lead from here on: be elected at once.
    #[n(3)]
    Yield {
        /// Which partition.
        #[n(0)]
        partition: u16,
        /// The epoch that ends with this.
        #[n(1)]
        epoch: u64,
        /// The end of the log that you need for it.
        #[n(2)]
        last: Position,
    },
    /// I lack what comes behind `after`.
    #[n(4)]
    Fetch {
        /// Of which partition.
        #[n(0)]
        partition: u16,
        /// The primary's epoch.
        #[n(1)]
        epoch: u64,
        /// Behind which index.
        #[n(2)]
        after: u64,
    },
    /// What you lack.
    #[n(5)]
    Fetched(#[n(0)] Run),
    /// What you lack is not in the log any more, or what your copy stands on is not: unless you
    /// have the record before what is, take a copy of the state.
    #[n(6)]
    Gone {
        /// Of which partition.
        #[n(0)]
        partition: u16,
        /// The primary's epoch.
        #[n(1)]
        epoch: u64,
        /// The record before the oldest one that is kept.
        #[n(2)]
        base: Position,
    },
    /// Give me the piece of the state that begins here.
    #[n(7)]
    Copy {
        /// Of which partition.
        #[n(0)]
        partition: u16,
        /// The primary's epoch.
        #[n(1)]
        epoch: u64,
        /// Where; none: at the beginning.
        #[n(2)]
        from: Option<Blob>,
        /// Up to here the log is known to be committed. A primary that has it, and does not know,
        /// may have nobody else left who could tell: without that its state stays where it is, and
        /// a copy of it is of no use.
        #[n(3)]
        known: Option<Position>,
    },
    /// A piece of the state.
    #[n(8)]
    Piece(#[n(0)] Piece),
    /// Can this part of a job take effect?
    #[n(9)]
    Prepare(#[n(0)] Prepare),
    /// Whether it can.
    #[n(10)]
    Prepared(#[n(0)] Prepared),
    /// How a transaction ended.
    #[n(11)]
    Resolve(#[n(0)] Resolve),
    /// That is durable here.
    #[n(12)]
    Resolved(#[n(0)] prepare::Part),
    /// How did it end?
    #[n(13)]
    Inquire(#[n(0)] prepare::Part),
    /// A job that lost is first in line.
    #[n(14)]
    Turn(#[n(0)] prepare::Turn),
}

/// How far one replica follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Acked {
    /// Of which partition.
    #[n(0)]
    pub partition: u16,
    /// The highest epoch that it knows; higher than yours: you do not lead any more.
    #[n(1)]
    pub epoch: u64,
    /// Up to this index its log is the same as yours, and durable.
    #[n(2)]
    pub index: u64,
}

/// Who wants to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Candidacy {
    /// Which partition.
    #[n(0)]
    pub partition: u16,
    /// In which epoch.
    #[n(1)]
    pub epoch: u64,
    /// The end of the candidate's log.
    #[n(2)]
    pub last: Position,
    /// What kind of question it is.
    #[n(3)]
    pub round: Round,
}

/// What kind of question a candidate asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Round {
    /// Would you vote for me? Changes nothing.
    #[n(0)]
    Canvass,
    /// Vote for me.
    #[n(1)]
    Vote,
    /// Vote for me: the primary of the epoch before has yielded to me.
    #[n(2)]
    Succession,
}

/// A piece of a partition's state.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Piece {
    /// Of which partition.
    #[n(0)]
    pub partition: u16,
    /// The primary's epoch.
    #[n(1)]
    pub epoch: u64,
    /// Where it begins, as it was asked for.
    #[n(2)]
    pub from: Option<Blob>,
    /// Where the next one begins; none: this was the last.
    #[n(3)]
    pub next: Option<Blob>,
    /// What the state stands for at least, once all pieces are there.
    #[n(4)]
    pub mark: Mark,
    /// What is in it.
    #[n(5)]
    pub items: Vec<Item>,
    /// What is older than this may be missing in it.
    #[n(6)]
    pub horizon: Timestamp,
    /// Nothing is in it of records behind this one.
    #[n(7)]
    pub commit: u64,
}

/// Something that the state of a partition holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Item {
    /// A version of a record, its content as the state keeps it.
    #[n(0)]
    Row(#[n(0)] Key, #[n(1)] Timestamp, #[n(2)] Blob),
    /// A remembered answer.
    #[n(1)]
    Request(#[n(0)] RequestId, #[n(1)] Timestamp, #[n(2)] Written),
    /// An outcome.
    #[n(2)]
    Outcome(#[n(0)] Outcome),
    /// An intent.
    #[n(3)]
    Intent(#[n(0)] Intent),
    /// A committed transaction that not everybody has heard of.
    #[n(4)]
    Unsettled(#[n(0)] Unsettled),
}

/// How far a partition's state has got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Mark {
    /// The last log record that the state contains.
    #[n(0)]
    pub applied: Position,
    /// Highest ceiling in the log up to there.
    #[n(1)]
    pub ceiling: Timestamp,
    /// Highest version in the log up to there.
    #[n(2)]
    pub newest: Timestamp,
    /// The chained hash of the log up to there.
    #[n(3)]
    pub hash: u64,
    /// Who decides about the partition from there on; none: who did when the cluster was founded.
    #[n(4)]
    pub voters: Option<Vec<Member>>,
    /// The state is being taken over from elsewhere and must not be used.
    #[n(5)]
    pub copying: bool,
    /// While the state is taken over: for voting, a log that ends before this is behind.
    /// Afterwards: where the copy stood, and the log of this replica need not reach back.
    #[n(6)]
    pub floor: Position,
    /// Why this replica takes no part any more, whoever starts it again; none: it does.
    #[n(7)]
    pub halted: Option<String>,
    /// The state came as a copy, and may hold what records up to this index bring although it
    /// stands for less; none: it holds what it stands for and what the own log has.
    #[n(8)]
    pub ahead: Option<u64>,
}
