//! Log records: what a partition's primary decides, in the order in which it counts.
//!
//! Written to disk before they are acknowledged. A record holds decisions, not requests, so that
//! every replica that applies the same log has the same state.

use super::commit::Outcome;
use super::prepare::{Intent, TxnId, Unsettled};
use super::write::{Mutation, Written};
use crate::clock::Timestamp;
use crate::id::RequestId;
use crate::placement::Member;
use minicbor::{Decode, Encode};

/// One record of one partition's log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LogRecord {
    /// Whose log.
    #[n(0)]
    pub partition: u16,
    /// In which epoch it was appended.
    #[n(1)]
    pub epoch: u64,
    /// Its position; the first is 1.
    #[n(2)]
    pub index: u64,
    /// The version of what it writes.
    #[n(3)]
    pub version: Timestamp,
    /// What was decided.
    #[n(4)]
    pub decision: Decision,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Decision {
    /// A new epoch begins; nothing else.
    #[n(0)]
    Epoch,
    /// A direct write, and what its caller is told, now and whenever it asks again.
    #[n(1)]
    Write {
        /// Who asked.
        #[n(0)]
        request: RequestId,
        /// What changes; none: the condition did not hold.
        #[n(1)]
        mutation: Option<Mutation>,
        /// The answer.
        #[n(2)]
        written: Written,
    },
    /// The outcome of a job whose home this is, with its writes in this partition.
    #[n(2)]
    Outcome {
        /// The outcome.
        #[n(0)]
        outcome: Outcome,
        /// Writes in this partition.
        #[n(1)]
        mutations: Vec<Mutation>,
        /// Who else has to hear of it: the writes elsewhere are intents there.
        #[n(2)]
        unsettled: Option<Unsettled>,
    },
    /// The writes of a job whose home is elsewhere.
    #[n(3)]
    Effects {
        /// Writes in this partition.
        #[n(0)]
        mutations: Vec<Mutation>,
    },
    /// No commit timestamp above this is given out before a higher ceiling is in the log.
    #[n(4)]
    Ceiling(#[n(0)] Timestamp),
    /// From this record on (whether it is committed or not) these decide about the partition.
    #[n(5)]
    Voters(#[n(0)] Vec<Member>),
    /// What a transaction whose home is elsewhere will write here if it is committed. Replaces an
    /// earlier one of the same transaction.
    #[n(6)]
    Intent(#[n(0)] Intent),
    /// The intent of a transaction takes effect, or is dropped.
    #[n(7)]
    Resolve {
        /// Which transaction.
        #[n(0)]
        txn: TxnId,
        /// Whether it was committed.
        #[n(1)]
        committed: bool,
    },
    /// Everybody has heard of these committed transactions.
    #[n(8)]
    Settled(#[n(0)] Vec<TxnId>),
}

/// A place in one partition's log. A larger one is more up to date; equal ones in two logs mean
/// equal records there and before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Position {
    /// Epoch of the record.
    #[n(0)]
    pub epoch: u64,
    /// Its index; 0: before the first.
    #[n(1)]
    pub index: u64,
}

/// What a node keeps in its log file.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum LogEntry {
    /// A record. With an index that the log already has, that record and all behind it are gone.
    #[n(0)]
    Record(#[n(0)] LogRecord),
    /// This node gave its vote of an epoch away.
    #[n(1)]
    Vote(#[n(0)] Vote),
}

/// The one vote that a node has in an epoch of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Vote {
    /// Whose primary is elected.
    #[n(0)]
    pub partition: u16,
    /// For which epoch.
    #[n(1)]
    pub epoch: u64,
    /// Who got it.
    #[n(2)]
    pub candidate: Member,
}
