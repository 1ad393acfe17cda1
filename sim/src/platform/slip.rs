//! Known mistakes of platforms like this one, put back one at a time where messages and rules meet.

/// A mistake. Each names the rule that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slip {
    /// A worker runs a step that was handed over without what the steps before wrote.
    DropHandedWrites,
    /// A worker forgets what the steps before read.
    DropHandedReads,
    /// A job that is run again reads at the snapshot of its first attempt.
    OldSnapshot,
    /// A worker answers the caller before its commit is decided.
    AnswerBeforeDecided,
    /// A scheduler tells its callers that a job failed without asking its home to close it.
    FailWithoutHome,
    /// A message on the durable queue is acknowledged when it is taken.
    AcknowledgeWhenTaken,
    /// A message on the durable queue is acknowledged whatever became of its job.
    AcknowledgeAnyEnd,
    /// A client sends a job again under another id.
    AnotherId,
}

impl Slip {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::DropHandedWrites,
        Self::DropHandedReads,
        Self::OldSnapshot,
        Self::AnswerBeforeDecided,
        Self::FailWithoutHome,
        Self::AcknowledgeWhenTaken,
        Self::AcknowledgeAnyEnd,
        Self::AnotherId,
    ];
}
