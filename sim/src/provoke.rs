//! Plans that make a known bug likely to show: little but what it takes, often.

use crate::fault::FaultKind;
use crate::mistake::Mistake;
use crate::plan::Plan;
use crate::platform::Slip;
use catena_storage::machine::Bug;

impl Plan {
    /// A plan of a seed in which a bug is put back and likely to show.
    pub fn provoking(mistake: Mistake, seed: u64) -> Self {
        match mistake {
            Mistake::Store(bug) => Self::of_store(bug, seed),
            Mistake::Platform(slip) => Self::of_platform(slip, seed),
        }
    }

    fn of_platform(slip: Slip, seed: u64) -> Self {
        let mut plan = Self::of(seed);
        plan.slip = Some(slip);
        plan.jobs(&[]);
        plan.through_platform = 100;
        plan.queued = 20;
        plan.every_platform.clear();
        let mut strikes = |kind, ms: u64| {
            plan.every_platform.insert(kind, ms * 1_000);
        };
        match slip {
            Slip::DropHandedWrites | Slip::DropHandedReads | Slip::OldSnapshot => {}
            Slip::AnswerBeforeDecided => {}
            Slip::AcknowledgeWhenTaken => {
                strikes(FaultKind::Kill, 2_000);
                plan.queued = 80;
            }
            Slip::AcknowledgeAnyEnd => {
                strikes(FaultKind::Retire, 2_000);
                plan.queued = 80;
            }
            Slip::FailWithoutHome => {
                plan.queued = 0;
                strikes(FaultKind::CutOut, 1_500);
                strikes(FaultKind::Pause, 1_500);
                plan.lasts_us = (1_000_000, 6_000_000);
            }
            Slip::AnotherId => {
                strikes(FaultKind::CutBoth, 1_000);
                strikes(FaultKind::Kill, 2_000);
            }
        }
        plan
    }

    fn of_store(bug: Bug, seed: u64) -> Self {
        let mut plan = Self::of(seed);
        plan.bug = Some(bug);
        plan.through_platform = 0;
        match bug {
            Bug::NoLease => plan.stale_reads(),
            Bug::UninvitedHeir => plan.impatience(),
            Bug::LeaseFromReceipt => plan.slow_answers(),
            Bug::VoteNotDurable | Bug::VoteTwice | Bug::VoteForAnybody | Bug::StaleSuffix => {
                plan.rivals();
            }
            Bug::CommitOldEpochs => plan.short_reigns(),
            Bug::SyncedByIndex => plan.late_syncs(),
            Bug::MergeCopy => plan.copies(),
            Bug::CopyNotDurable => {
                plan.copies();
                // The power fails while a copy is on its way to the disk.
                plan.apply_bytes = 0;
                plan.state_us = (20_000, 300_000);
            }
            Bug::CopyVouchedEarly => plan.small_copies(),
            Bug::CopyAwaitsState => plan.copies_from_successors(),
            Bug::TakeWithoutEnd => plan.lasting_stops(),
            Bug::CopyWithoutHorizon => plan.copies_from_the_future(),
            Bug::CopyRevives => plan.copies_in_pieces(),
            Bug::ForgetCeiling | Bug::ServeAboveCeiling | Bug::CloseAboveCeiling => {
                plan.future_snapshots();
            }
            Bug::MarkApart | Bug::AckBeforeSync => {
                plan.only(&[(FaultKind::PowerCut, 2_000), (FaultKind::Blackout, 6_000)]);
            }
            Bug::IgnoreSyncError => {
                plan.only(&[(FaultKind::SyncError, 3_000), (FaultKind::Kill, 4_000)]);
            }
            Bug::TrustUnsynced => {
                plan.only(&[
                    (FaultKind::SyncError, 2_000),
                    (FaultKind::Kill, 2_000),
                    (FaultKind::PowerCut, 1_000),
                ]);
                plan.off_us = (10_000, 400_000);
            }
            Bug::WipedVoter => {
                plan.only(&[
                    (FaultKind::Wipe, 3_000),
                    (FaultKind::Link, 1_500),
                    (FaultKind::CutIn, 1_500),
                    (FaultKind::Kill, 4_000),
                ]);
                plan.small();
                plan.off_us = (10_000, 1_000_000);
            }
            Bug::CommitAtNewTime
            | Bug::TrustForeignReads
            | Bug::TrustScans
            | Bug::DeltasOutOfOrder
            | Bug::ReadPastEnds
            | Bug::ReadPastIntents
            | Bug::ClosePastIntents => plan.jobs(&[]),
            Bug::AnyHome | Bug::AbortUndecided => plan.jobs(&[(FaultKind::Pause, 2_000)]),
            Bug::ForgetOutcome => {
                plan.jobs(&[]);
                plan.network.lost_ppm = 30_000;
                plan.apply_ms = 100;
                plan.apply_bytes = 0;
            }
            Bug::NobodyInLine => plan.hot(),
            Bug::NoReadMarks => plan.near_clocks(),
            Bug::CountOldAnswers => plan.far_clocks(),
            Bug::NeverInquire | Bug::SettleAtOnce => plan.lost_ends(),
            Bug::ResolveByJob => plan.late_ends(),
            Bug::ReadyTooEarly | Bug::ForgetIntents => plan.lost_homes(),
            Bug::ForgetReads => plan.lost_reads(),
            Bug::InquiredTooEarly => {
                plan.jobs(&[]);
                plan.short_reigns();
                plan.only(&[(FaultKind::PowerCut, 800), (FaultKind::Split, 900)]);
                plan.partitions = 2;
                plan.network.lost_ppm = 50_000;
                plan.off_us = (10_000, 300_000);
                plan.lasts_us = (300_000, 800_000);
                plan.jobs = 900;
            }
            Bug::ServeAtOnce
            | Bug::TruncateToCommit
            | Bug::NoFencing
            | Bug::DirtyRead
            | Bug::NoDedupe
            | Bug::ReadUnclosed
            | Bug::CloseInFlight
            | Bug::CloseWithoutCommit
            | Bug::AnswerByIndex
            | Bug::PositionByIndex
            | Bug::AnswerEarly => {}
        }
        plan
    }

    /// These faults and no others, with their mean times in milliseconds.
    fn only(&mut self, faults: &[(FaultKind, u64)]) {
        self.every = faults.iter().map(|(kind, ms)| (*kind, ms * 1_000)).collect();
    }

    /// The fewest replicas among which there is a majority, and few keys, so that whatever goes
    /// wrong meets somebody who looks.
    fn small(&mut self) {
        self.nodes = 3;
        self.replicas = 3;
        self.partitions = 1;
        self.jobs = 0;
        self.load.clients = 6;
        self.load.keys = 2;
        self.network.latency_us = (50, 1_000);
        self.network.slow_ppm = 0;
        self.network.lost_ppm = 0;
        self.network.twice_ppm = 0;
        self.disk_us = (100, 2_000);
        self.drift_ppm = 0;
        self.skew_us = 0;
        self.at_primary = 50;
        self.after_win = 0;
        self.lasts_us = (300_000, 1_500_000);
    }

    /// Jobs over several partitions that meet each other, and little else.
    fn jobs(&mut self, faults: &[(FaultKind, u64)]) {
        self.only(faults);
        self.small();
        self.partitions = 4;
        self.jobs = 900;
        self.operations = 100;
        self.load.accounts = 3;
        self.load.lists = 3;
        self.load.shelves = 2;
        self.of_snapshot = 0;
        self.network.latency_us = (200, 3_000);
        self.retention_ms = 20_000;
    }

    /// Many jobs at once that rewrite one record, and nothing that fails. They begin when
    /// partitions are not handed over any more: with that lines are forgotten.
    fn hot(&mut self) {
        self.jobs(&[]);
        self.intents = 16_384;
        self.pending_bytes = 1_000_000;
        self.hot = true;
        self.jobs_from_us = 4_000_000;
        self.load.lists = 1;
        self.load.clients = 8;
        self.faults_us = 8_000_000;
        self.jobs = 600;
        self.operations = 50;
    }

    /// Clocks that differ by less than timestamps are closed behind them.
    fn near_clocks(&mut self) {
        self.jobs(&[]);
        self.skew_us = 8_000;
        self.jobs = 2_000;
    }

    /// Clocks that differ by so much that times have to be asked for again.
    fn far_clocks(&mut self) {
        self.jobs(&[]);
        self.skew_us = 60_000;
        self.network.twice_ppm = 100_000;
        self.network.slow_ppm = 100_000;
        self.network.slow_us = 200_000;
    }

    /// Nobody hears how a transaction ended.
    fn lost_ends(&mut self) {
        self.jobs(&[(FaultKind::Link, 2_000), (FaultKind::Kill, 3_000)]);
        self.network.lost_ppm = 100_000;
    }

    /// What is said of one try comes when the next one is under way.
    fn late_ends(&mut self) {
        self.jobs(&[(FaultKind::Pause, 3_000)]);
        self.network.twice_ppm = 200_000;
        self.network.slow_ppm = 100_000;
        self.network.slow_us = 400_000;
    }

    /// Processes that go away between being ready and hearing how it ended.
    fn lost_homes(&mut self) {
        self.jobs(&[(FaultKind::Kill, 1_500), (FaultKind::PowerCut, 1_500)]);
        self.at_primary = 90;
        self.disk_us = (1_000, 20_000);
        self.off_us = (10_000, 1_500_000);
        self.network.lost_ppm = 50_000;
        self.tail_bytes = 4_000;
    }

    /// Primaries that go away between two jobs of which the later one has the earlier time.
    fn lost_reads(&mut self) {
        self.jobs(&[(FaultKind::Kill, 1_000), (FaultKind::Split, 4_000)]);
        self.at_primary = 90;
        self.skew_us = 50_000;
        self.off_us = (10_000, 500_000);
        self.jobs = 2_500;
        self.network.lost_ppm = 100_000;
    }

    /// Primaries that are alone with some of the clients for a while.
    fn stale_reads(&mut self) {
        self.only(&[
            (FaultKind::Split, 1_500),
            (FaultKind::Link, 1_500),
            (FaultKind::Pause, 3_000),
        ]);
        self.small();
        self.operations *= 3;
        self.load.reads = 60;
    }

    /// Acknowledgements that were sent long before they arrive.
    fn slow_answers(&mut self) {
        self.stale_reads();
        self.operations *= 2;
        self.network.slow_ppm = 150_000;
        self.network.slow_us = 900_000;
    }

    /// Nodes that do not hear their primary while others do, and whose log is not behind for that,
    /// because little is written.
    fn impatience(&mut self) {
        self.only(&[(FaultKind::Link, 700)]);
        self.small();
        self.operations *= 5;
        self.load.reads = 93;
        self.load.snapshots = 0;
        self.lasts_us = (700_000, 1_200_000);
        self.network.slow_ppm = 50_000;
        self.network.slow_us = 400_000;
        self.after_win = 0;
    }

    /// Candidates that do not hear of each other, and voters that begin anew.
    fn rivals(&mut self) {
        self.only(&[(FaultKind::Kill, 1_500), (FaultKind::Split, 2_500), (FaultKind::Link, 2_000)]);
        self.small();
        self.after_win = 90;
        self.off_us = (10_000, 400_000);
        self.network.latency_us = (1_000, 10_000);
    }

    /// Primaries whose records reach a few of the others, one at a time, before they are gone.
    fn short_reigns(&mut self) {
        self.only(&[(FaultKind::PowerCut, 3_000), (FaultKind::Split, 2_500)]);
        self.small();
        self.message_bytes = 1;
        self.after_win = 90;
        self.off_us = (10_000, 2_000_000);
        self.tail_bytes = 1_000_000;
        self.network.latency_us = (500, 5_000);
        self.disk_us = (100, 60_000);
    }

    /// Replicas that come back when neither the log nor the deleted records are there any more.
    fn copies(&mut self) {
        self.only(&[(FaultKind::Absence, 6_000), (FaultKind::PowerCut, 2_000)]);
        self.small();
        self.load.deletes = 25;
        self.tail_bytes = 400;
        self.message_bytes = 400;
        self.retention_ms = 2_000;
    }

    /// Copies of one piece, to nodes that did not hear for a while and whose state is behind.
    /// Additions tell whether something is missing.
    fn small_copies(&mut self) {
        self.jobs(&[(FaultKind::Link, 800), (FaultKind::Kill, 800)]);
        self.lasts_us = (500_000, 2_000_000);
        self.off_us = (10_000, 300_000);
        self.tail_bytes = 400;
        self.message_bytes = 100_000;
        self.apply_bytes = 1_000_000;
        self.pending_bytes = 2_000_000;
        self.apply_ms = 2_000;
        self.state_us = (100_000, 500_000);
        self.network.lost_ppm = 50_000;
        self.jobs = 2_500;
    }

    /// Copies that are begun by one primary and go on with another, whose state is far behind.
    fn copies_from_successors(&mut self) {
        self.only(&[(FaultKind::Absence, 2_000), (FaultKind::CutBoth, 1_000)]);
        self.small();
        self.partitions = 4;
        self.operations *= 4;
        self.load.reads = 10;
        self.load.keys = 100;
        self.tail_bytes = 400;
        self.message_bytes = 300;
        self.apply_bytes = 3_000;
        self.pending_bytes = 100_000;
        self.apply_ms = 60_000;
        self.state_us = (50_000, 300_000);
        self.off_us = (10_000, 500_000);
        self.lasts_us = (600_000, 1_500_000);
    }

    /// States that stand still for so long that what others decide fills the memory.
    fn lasting_stops(&mut self) {
        self.only(&[(FaultKind::StateStop, 6_000)]);
        self.small();
        self.partitions = 4;
        self.operations *= 10;
        self.load.reads = 5;
        self.load.snapshots = 0;
        self.apply_bytes = 0;
        self.message_bytes = 2_000;
        self.pending_bytes = 5_000;
        self.at_primary = 0;
        self.lasts_us = (5_000_000, 8_000_000);
    }

    /// Copies from a node whose clock is far ahead, so that it has forgotten what others have not.
    fn copies_from_the_future(&mut self) {
        self.copies();
        self.only(&[(FaultKind::Absence, 5_000), (FaultKind::WallJump, 1_000)]);
        self.load.snapshots = 40;
        self.load.deletes = 8;
        self.apply_bytes = 0;
    }

    /// Copies that take so long that what came with their first pieces is old before the last.
    fn copies_in_pieces(&mut self) {
        self.copies_from_the_future();
        // Long enough apart that records stay gone.
        self.load.keys = 16;
        self.load.deletes = 30;
        self.message_bytes = 200;
        self.state_us = (50_000, 300_000);
    }

    /// Reads at snapshots ahead of the clocks, just before another one leads.
    fn future_snapshots(&mut self) {
        self.only(&[
            (FaultKind::Kill, 2_000),
            (FaultKind::WallJump, 2_000),
            (FaultKind::Split, 3_000),
        ]);
        self.small();
        self.load.snapshots = 40;
        self.load.ahead_us = 400_000;
        self.skew_us = 200_000;
        self.at_primary = 90;
    }

    /// Records that reach few of many, and are still on their way to a slow disk there when
    /// another primary, elected by the rest, replaces them.
    fn late_syncs(&mut self) {
        self.only(&[(FaultKind::SlowDisk, 1_000), (FaultKind::Kill, 1_200)]);
        self.small();
        self.nodes = 5;
        self.replicas = 5;
        self.load.reads = 10;
        self.network.lost_ppm = 200_000;
        self.after_win = 70;
        self.off_us = (200_000, 1_500_000);
        self.lasts_us = (800_000, 4_000_000);
    }
}
