//! A storage node as a process on a machine: the real rules and the real log, on a disk that may
//! lose what was not synced, tear what was being written, refuse, fill up, or be gone.

use crate::clock::Clock;
use catena_protocol::message::gossip::Sender;
use catena_protocol::placement::Member;
use catena_protocol::{DiskId, NodeId};
use catena_storage::disk::{MemoryDisk, Survival, Syncs};
use catena_storage::log::{Identity, Log};
use catena_storage::machine::{Effect, Entry, Node, Settings};
use catena_storage::state::{Changes, Mark, MemoryState, StateWriter};
use std::collections::{BTreeMap, VecDeque};

/// Whoever asked a node.
pub(crate) type Caller = crate::broker::Inbox;

/// A machine with a storage node.
pub(crate) struct Host {
    pub(crate) node: NodeId,
    pub(crate) disk_id: DiskId,
    pub(crate) disk: MemoryDisk,
    /// What of the state survives the death of the process.
    pub(crate) kept: MemoryState,
    pub(crate) clock: Clock,
    pub(crate) boots: u64,
    pub(crate) process: Option<Process>,
    pub(crate) paused_until_us: u64,
    pub(crate) is_failing: bool,
    pub(crate) is_full: bool,
    /// Its disk takes up to a second for a sync.
    pub(crate) is_slow: bool,
    /// The mistake of keeping the applied index apart from the data is made.
    pub(crate) marks_apart: bool,
    /// The mistake of taking for durable what can be read at a start is made.
    pub(crate) trusts_what_it_reads: bool,
}

/// A running process.
pub(crate) struct Process {
    /// Tells it from those before it.
    pub(crate) boot: u64,
    pub(crate) since_us: u64,
    pub(crate) machine: Node<Caller>,
    pub(crate) log: Log<MemoryDisk>,
    pub(crate) state: MemoryState,
    pub(crate) writing: VecDeque<(u64, Vec<Entry>)>,
    /// How far the state is.
    pub(crate) applied: BTreeMap<u16, u64>,
    pub(crate) applying: VecDeque<(u64, Vec<Changes>)>,
    pub(crate) log_busy_us: u64,
    pub(crate) state_busy_us: u64,
    /// What it was about to do when it was paused.
    pub(crate) unsent: Vec<Effect<Caller>>,
    /// The wake-up that counts.
    pub(crate) alarm: u64,
    pub(crate) leads: BTreeMap<u16, u64>,
}

/// How a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The machine goes on: what was written stays, synced or not.
    Kill,
    /// The machine is off: what was not synced is gone, the last write may be torn after so many
    /// bytes.
    PowerCut(Option<usize>),
}

impl Host {
    pub(crate) fn member(&self) -> Member {
        Member { node: self.node.clone(), disk: self.disk_id }
    }

    /// What syncs do while nothing else is pretended.
    const fn syncs(&self) -> Syncs {
        if self.is_failing { Syncs::Fail } else { Syncs::Work }
    }

    pub(crate) fn sender(&self) -> Sender {
        Sender { member: self.member(), boot: self.boots, beat: 0 }
    }

    /// Starts the process.
    pub(crate) fn start(
        &mut self,
        settings: Settings,
        segment_bytes: u64,
        at_us: u64,
        out: &mut Vec<Effect<Caller>>,
    ) -> Result<(), String> {
        self.boots += 1;
        let settings = Settings { me: self.member(), boot: self.boots, ..settings };
        let state = self.kept.clone();
        let mut machine = Node::new(settings, &state).map_err(|error| error.to_string())?;
        let identity = Identity { cluster: [7; 16], disk: self.disk_id.0 };
        if self.trusts_what_it_reads {
            self.disk.syncs_will(Syncs::Pretend);
        }
        let log = Log::open(self.disk.clone(), identity, segment_bytes, |entries| {
            machine.restore(entries, &state).map_err(|error| error.to_string())
        })
        .map_err(|error| error.to_string())?;
        if self.trusts_what_it_reads {
            self.disk.syncs_will(self.syncs());
        }
        let now = self.clock.now(at_us, at_us);
        machine.begin(now, out).map_err(|error| error.to_string())?;
        self.process = Some(Process {
            boot: self.boots,
            since_us: at_us,
            machine,
            log,
            state,
            writing: VecDeque::new(),
            applied: BTreeMap::new(),
            applying: VecDeque::new(),
            log_busy_us: at_us,
            state_busy_us: at_us,
            unsent: Vec::new(),
            alarm: 0,
            leads: BTreeMap::new(),
        });
        Ok(())
    }

    /// The process dies.
    pub(crate) fn stop(&mut self, death: Death) {
        let Some(mut process) = self.process.take() else { return };
        self.paused_until_us = 0;
        // What was on its way to the disk may have got there, whole or in part, unsynced.
        if let Some((_, entries)) = process.writing.pop_front() {
            self.disk.syncs_will(Syncs::NeverCome);
            let _ = process.log.append(&entries);
            self.disk.syncs_will(self.syncs());
        }
        self.disk.crash(match death {
            Death::Kill => Survival::All,
            Death::PowerCut(torn) => torn.map_or(Survival::Synced, Survival::Torn),
        });
        if let Some((_, changes)) = process.applying.pop_front() {
            let apart = self.marks_apart;
            let part = |changes| if apart { only_marks(changes) } else { self.part_of(changes) };
            let applied = process.state.apply(&changes.into_iter().map(part).collect::<Vec<_>>());
            debug_assert!(applied.is_ok(), "memory does not fail");
        }
        self.kept = process.state;
    }

    /// What of a change gets to the disk when the process dies over it: the records before the
    /// marks and what comes with these, or nothing yet. A partition that is cleared says so first.
    fn part_of(&self, changes: Changes) -> Changes {
        if self.boots.is_multiple_of(2) {
            return Changes::default();
        }
        let Some(cleared) = changes.clear else {
            return Changes { txns: Vec::new(), marks: Vec::new(), forget: None, ..changes };
        };
        let marks = changes.marks.into_iter().filter(|(partition, _)| *partition == cleared);
        let begun = |(partition, mark)| (partition, Mark { copying: true, ..mark });
        Changes { clear: Some(cleared), marks: marks.map(begun).collect(), ..Changes::default() }
    }

    /// All data is gone.
    pub(crate) fn wipe(&mut self, disk: DiskId) {
        self.process = None;
        self.disk = MemoryDisk::default();
        self.disk_id = disk;
        self.kept = MemoryState::default();
        self.is_failing = false;
        self.is_full = false;
        self.is_slow = false;
    }
}

/// What the state is said to contain gets to the disk, the contents do not.
fn only_marks(changes: Changes) -> Changes {
    Changes { marks: changes.marks, ..Changes::default() }
}

impl Process {
    /// The oldest batch of changes reaches the state. Returns its number, and how far the log is
    /// of no more use.
    pub(crate) fn apply(&mut self) -> Option<(u64, BTreeMap<u16, u64>)> {
        let (batch, changes) = self.applying.pop_front()?;
        let marks = changes.iter().flat_map(|changes| &changes.marks);
        self.applied.extend(marks.map(|(partition, mark)| (*partition, mark.applied.index)));
        let applied = self.state.apply(&changes);
        debug_assert!(applied.is_ok(), "memory does not fail");
        Some((batch, self.applied.clone()))
    }
}
