//! The kinds of faults that strike at random times. What messages suffer on their way is in
//! `broker`.

use crate::broker::Party;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FaultKind {
    Kill,
    Absence,
    PowerCut,
    Blackout,
    Retire,
    Pause,
    CutIn,
    CutOut,
    CutBoth,
    CutAll,
    Split,
    Link,
    SlowConsumer,
    WallJump,
    WallStop,
    SyncError,
    DiskFull,
    SlowDisk,
    StateStop,
    Wipe,
}

impl FaultKind {
    pub(crate) const ALL: [Self; 20] = [
        Self::Kill,
        Self::Absence,
        Self::PowerCut,
        Self::Blackout,
        Self::Retire,
        Self::Pause,
        Self::CutIn,
        Self::CutOut,
        Self::CutBoth,
        Self::CutAll,
        Self::Split,
        Self::Link,
        Self::SlowConsumer,
        Self::WallJump,
        Self::WallStop,
        Self::SyncError,
        Self::DiskFull,
        Self::SlowDisk,
        Self::Wipe,
        Self::StateStop,
    ];

    /// What may happen to a primary that has just won: whatever it began stays unfinished.
    pub(crate) const AFTER_WIN: [Self; 7] = [
        Self::Kill,
        Self::PowerCut,
        Self::CutIn,
        Self::CutOut,
        Self::CutBoth,
        Self::Pause,
        Self::Retire,
    ];

    /// What may happen to schedulers and workers; some of it to the connections of clients, too.
    pub(crate) const OF_PLATFORM: [Self; 10] = [
        Self::Kill,
        Self::Retire,
        Self::Pause,
        Self::CutIn,
        Self::CutOut,
        Self::CutBoth,
        Self::Link,
        Self::SlowConsumer,
        Self::WallJump,
        Self::WallStop,
    ];

    /// As `name`, of somebody of the platform or a client.
    pub(crate) const fn name_at(self, party: Party) -> &'static str {
        match (self, party) {
            (Self::Kill, Party::Scheduler(_)) => "fault: scheduler killed",
            (Self::Kill, _) => "fault: worker killed",
            (Self::Retire, Party::Scheduler(_)) => "fault: scheduler retires",
            (Self::Retire, _) => "fault: worker retires",
            (Self::Pause, Party::Scheduler(_)) => "fault: scheduler paused",
            (Self::Pause, _) => "fault: worker paused",
            (Self::CutIn, Party::Scheduler(_)) => "fault: scheduler does not hear",
            (Self::CutIn, Party::Client(_)) => "fault: client does not hear",
            (Self::CutIn, _) => "fault: worker does not hear",
            (Self::CutOut, Party::Scheduler(_)) => "fault: scheduler is not heard",
            (Self::CutOut, Party::Client(_)) => "fault: client is not heard",
            (Self::CutOut, _) => "fault: worker is not heard",
            (Self::CutBoth, Party::Scheduler(_)) => "fault: scheduler cut off",
            (Self::CutBoth, Party::Client(_)) => "fault: client cut off",
            (Self::CutBoth, _) => "fault: worker cut off",
            (Self::Link, Party::Scheduler(_)) => "fault: link of a scheduler cut",
            (Self::Link, _) => "fault: link of a worker cut",
            (Self::SlowConsumer, Party::Scheduler(_)) => "fault: scheduler is a slow consumer",
            (Self::SlowConsumer, _) => "fault: worker is a slow consumer",
            (Self::WallJump, Party::Scheduler(_)) => "fault: wall clock of a scheduler jumps",
            (Self::WallJump, _) => "fault: wall clock of a worker jumps",
            (Self::WallStop, Party::Scheduler(_)) => "fault: wall clock of a scheduler stops",
            (Self::WallStop, _) => "fault: wall clock of a worker stops",
            (other, _) => other.name(),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "fault: process killed",
            Self::Absence => "fault: node away for long",
            Self::PowerCut => "fault: power cut",
            Self::Blackout => "fault: power cut of all nodes",
            Self::Retire => "fault: node retires",
            Self::Pause => "fault: process paused",
            Self::CutIn => "fault: node does not hear",
            Self::CutOut => "fault: node is not heard",
            Self::CutBoth => "fault: node cut off",
            Self::CutAll => "fault: broker away",
            Self::Split => "fault: network split",
            Self::Link => "fault: link between two nodes cut",
            Self::SlowConsumer => "fault: slow consumer",
            Self::WallJump => "fault: wall clock jumps",
            Self::WallStop => "fault: wall clock stops",
            Self::SyncError => "fault: sync fails",
            Self::DiskFull => "fault: disk full",
            Self::SlowDisk => "fault: slow disk",
            Self::StateStop => "fault: state stands still",
            Self::Wipe => "fault: disk replaced",
        }
    }

    /// The mean time between two of them lies between these, in milliseconds.
    pub(crate) const fn usual_ms(self) -> (u64, u64) {
        match self {
            Self::Pause => (1_000, 10_000),
            Self::SlowConsumer => (2_000, 10_000),
            Self::CutIn | Self::CutOut | Self::CutBoth | Self::Split | Self::Link => {
                (2_000, 12_000)
            }
            Self::Kill | Self::PowerCut | Self::WallJump | Self::Retire | Self::SlowDisk => {
                (2_000, 15_000)
            }
            Self::SyncError | Self::WallStop => (5_000, 20_000),
            Self::CutAll | Self::DiskFull | Self::Blackout | Self::StateStop => (8_000, 30_000),
            Self::Wipe | Self::Absence => (10_000, 30_000),
        }
    }
}
