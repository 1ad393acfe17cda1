//! Known mistakes of systems like this one, put back one at a time, so that the simulator can show
//! that it would see them. Without the feature `bugs` none of them can be made.

/// A mistake. Each names the rule that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// A primary answers reads of the present without asking whether it still leads.
    NoLease,
    /// The lease is counted from when an acknowledgement arrived, not from when was sent what it
    /// acknowledges, and replicas promise nothing.
    LeaseFromReceipt,
    /// A vote is given to a log that is behind.
    VoteForAnybody,
    /// A vote is told before it is durable, and never written.
    VoteNotDurable,
    /// A record is acknowledged, and counted, before it is durable.
    AckBeforeSync,
    /// Records of earlier epochs are committed by counting who has them (Raft, figure 8).
    CommitOldEpochs,
    /// A new primary serves before a record of its own epoch is committed.
    ServeAtOnce,
    /// A follower of a new primary cuts its log at what it knows to be committed (KIP-101).
    TruncateToCommit,
    /// What an earlier primary sends is taken in.
    NoFencing,
    /// Reads see records that are not committed.
    DirtyRead,
    /// A request that comes again is carried out again.
    NoDedupe,
    /// A new primary does not start above the ceiling of the one before.
    ForgetCeiling,
    /// A replica answers reads at snapshots that are not closed.
    ReadUnclosed,
    /// A timestamp is closed although records on their way lie below it.
    CloseInFlight,
    /// What is told of as closed counts without the records that it covers.
    CloseWithoutCommit,
    /// A copy of the state is laid over what was there before.
    MergeCopy,
    /// A copy counts before it is durable.
    CopyNotDurable,
    /// Whoever takes a copy of the state still answers for the past that is missing in it.
    CopyWithoutHorizon,
    /// What is forgotten while a copy is taken is not missed in its later pieces.
    CopyRevives,
    /// What was committed before a copy goes to the state as if it were the copy.
    CopyVouchedEarly,
    /// Who wants a copy waits until the one who gives it hands to the state what is committed.
    CopyAwaitsState,
    /// A node whose data is gone votes as the one that it was.
    WipedVoter,
    /// The applied index is kept apart from the data.
    MarkApart,
    /// A write is told before the wall clock has reached its version.
    AnswerEarly,
    /// A second vote is given in an epoch.
    VoteTwice,
    /// A candidate asks to succeed a primary that has not yielded to it.
    UninvitedHeir,
    /// A deposed primary keeps who waits for a record, and answers when another primary has
    /// committed something at its index.
    AnswerByIndex,
    /// A sync counts for whatever stands at the index now, also if what was synced there has been
    /// cut off since.
    SyncedByIndex,
    /// A piece of log is taken in behind any record with the right index, whatever its epoch.
    PositionByIndex,
    /// A follower takes records in although its disk cannot keep up.
    TakeWithoutEnd,
    /// Snapshots are served, and versions given out, above the ceiling.
    ServeAboveCeiling,
    /// Timestamps are closed above the ceiling.
    CloseAboveCeiling,
    /// A process goes on after a sync that failed.
    IgnoreSyncError,
    /// What can be read of the log at a start is taken for durable.
    TrustUnsynced,
    /// What the log had behind the records that the state contains is taken for their
    /// continuation at a start, although it was cut off.
    StaleSuffix,
    /// A commit is decided by whichever partition it is sent to.
    AnyHome,
    /// A job over several partitions commits at another time than everybody was asked about.
    CommitAtNewTime,
    /// What a job read in other partitions than its home is not checked.
    TrustForeignReads,
    /// Whoever is left with an intent never asks how it ended.
    NeverInquire,
    /// A home that is asked about a job that it is deciding about says that it has no effect.
    AbortUndecided,
    /// A new primary says how transactions ended before it knows what of earlier epochs counts.
    InquiredTooEarly,
    /// The end of one try counts for every try of the job.
    ResolveByJob,
    /// Additions to one record take effect in the order in which their ends are heard of.
    DeltasOutOfOrder,
    /// A new primary takes commits below what was read from the one before.
    ForgetReads,
    /// What was read may be changed at or before that by a commit from elsewhere.
    NoReadMarks,
    /// Timestamps are closed above intents.
    ClosePastIntents,
    /// Reads of the present do not wait for what committed jobs wrote and this log has not yet.
    ReadPastEnds,
    /// Reads do not wait for intents below their snapshot.
    ReadPastIntents,
    /// Whoever was ready for an earlier time counts for a later one.
    CountOldAnswers,
    /// Somebody says that it is ready before its intent is on a majority.
    ReadyTooEarly,
    /// A process forgets intents with its memory.
    ForgetIntents,
    /// A home forgets a committed transaction before all have heard of it.
    SettleAtOnce,
    /// How a job ended is forgotten although it may come again.
    ForgetOutcome,
    /// Whoever lost on a record is told so at once and does not stand in line for it.
    NobodyInLine,
    /// What came to be where a job had looked at all records with a prefix is not checked.
    TrustScans,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 55] = [
        Self::NoLease,
        Self::LeaseFromReceipt,
        Self::VoteForAnybody,
        Self::VoteNotDurable,
        Self::AckBeforeSync,
        Self::CommitOldEpochs,
        Self::ServeAtOnce,
        Self::TruncateToCommit,
        Self::NoFencing,
        Self::DirtyRead,
        Self::NoDedupe,
        Self::ForgetCeiling,
        Self::ReadUnclosed,
        Self::CloseInFlight,
        Self::CloseWithoutCommit,
        Self::MergeCopy,
        Self::CopyNotDurable,
        Self::CopyWithoutHorizon,
        Self::CopyRevives,
        Self::CopyVouchedEarly,
        Self::CopyAwaitsState,
        Self::WipedVoter,
        Self::MarkApart,
        Self::AnswerEarly,
        Self::VoteTwice,
        Self::UninvitedHeir,
        Self::AnswerByIndex,
        Self::SyncedByIndex,
        Self::PositionByIndex,
        Self::TakeWithoutEnd,
        Self::ServeAboveCeiling,
        Self::CloseAboveCeiling,
        Self::IgnoreSyncError,
        Self::TrustUnsynced,
        Self::StaleSuffix,
        Self::AnyHome,
        Self::CommitAtNewTime,
        Self::TrustForeignReads,
        Self::NeverInquire,
        Self::AbortUndecided,
        Self::InquiredTooEarly,
        Self::ResolveByJob,
        Self::DeltasOutOfOrder,
        Self::ForgetReads,
        Self::NoReadMarks,
        Self::ClosePastIntents,
        Self::ReadPastEnds,
        Self::ReadPastIntents,
        Self::CountOldAnswers,
        Self::ReadyTooEarly,
        Self::ForgetIntents,
        Self::SettleAtOnce,
        Self::ForgetOutcome,
        Self::NobodyInLine,
        Self::TrustScans,
    ];
}
