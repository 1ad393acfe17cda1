//! What must hold in every state.

/// A property. Each is checked after every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// At most one primary serves in an epoch.
    OnePrimary,
    /// What is committed is the same everywhere and stays so: by chained hash; no replica halts.
    EqualPrefixes,
    /// Whoever leads in the epoch in which a record was committed, or in a later one, has it.
    NothingLost,
    /// If all nodes lost power now, nobody could be elected who lacks a committed record.
    NothingVotedAway,
    /// A primary gives out no version at or below a ceiling that was committed in an earlier epoch.
    AboveCeilings,
    /// No version commits at or below a snapshot that was read before.
    AboveSnapshots,
    /// A write that was acknowledged is in the log of every later primary.
    AcknowledgedStays,
    /// Whoever serves knows everything as committed that was committed in earlier epochs.
    ServesAll,
    /// A job has at most one outcome, and nobody is told of another.
    OneOutcome,
    /// A partition ends an intent as the home has decided about its transaction, and no other way.
    AllOrNothing,
    /// Whoever has to write what a committed transaction wrote has its intent on disk.
    NothingDropped,
    /// A home forgets a committed transaction only when it is durable in all partitions.
    NothingForgotten,
    /// When everything has come to rest there is no intent left, no transaction is open, and of
    /// what a job wrote everything is visible or nothing.
    NothingLeft,
}

impl Property {
    /// Those of a log.
    pub const LOG: [Self; 8] = [
        Self::OnePrimary,
        Self::EqualPrefixes,
        Self::NothingLost,
        Self::NothingVotedAway,
        Self::AboveCeilings,
        Self::AboveSnapshots,
        Self::AcknowledgedStays,
        Self::ServesAll,
    ];

    /// Those of commits over several partitions.
    pub const COMMIT: [Self; 5] = [
        Self::OneOutcome,
        Self::AllOrNothing,
        Self::NothingDropped,
        Self::NothingForgotten,
        Self::NothingLeft,
    ];
}

/// A property that does not hold, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub property: Property,
    /// What was seen.
    pub what: String,
}
