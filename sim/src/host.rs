//! A storage node as a process on a machine: the real rules and the real log, on a disk that may
//! lose what was not synced, tear what was being written, refuse, fill up, or be gone.

use crate::clock::Clock;
use catena_protocol::message::gossip::Sender;
use catena_protocol::placement::Member;
use catena_protocol::{DiskId, NodeId};
use catena_storage::disk::{MemoryDisk, Survival};
use catena_storage::log::{Identity, Log};
use catena_storage::machine::{Effect, Entry, Node, Settings};
use catena_storage::state::{Changes, MemoryState, State, StateWriter};
use std::collections::{BTreeMap, VecDeque};

/// Whoever asked a node: a client, and nothing else.
pub(crate) type Caller = u64;

/// A machine with a storage node.
pub(crate) struct Host {
    pub(crate) node: NodeId,
    pub(crate) disk_id: DiskId,
    pub(crate) disk: MemoryDisk,
    /// What of the state survives a power cut.
    pub(crate) persisted: MemoryState,
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
    pub(crate) partitions: u16,
    /// The mistake of keeping the applied index apart from the data is made.
    pub(crate) marks_apart: bool,
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
    pub(crate) applying: VecDeque<(u64, Changes, bool)>,
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
        let log = Log::open(self.disk.clone(), identity, segment_bytes, |entries| {
            machine.restore(entries, &state).map_err(|error| error.to_string())
        })
        .map_err(|error| error.to_string())?;
        let now = self.clock.now(at_us, at_us);
        machine.begin(now, out).map_err(|error| error.to_string())?;
        self.process = Some(Process {
            boot: self.boots,
            since_us: at_us,
            machine,
            log,
            state,
            writing: VecDeque::new(),
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
            self.disk.fail_syncs(true);
            let _ = process.log.append(&entries);
            self.disk.fail_syncs(false);
        }
        match death {
            Death::Kill => {
                self.disk.crash(Survival::All);
                self.kept = process.state;
            }
            Death::PowerCut(torn) => {
                self.disk.crash(torn.map_or(Survival::Synced, Survival::Torn));
                self.kept = self.persisted.clone();
                if self.marks_apart {
                    self.keep_newer_marks(&process.state);
                }
            }
        }
        self.persisted = self.kept.clone();
    }

    /// What the data is said to contain survives, the data does not.
    fn keep_newer_marks(&mut self, newer: &MemoryState) {
        let marks =
            (0..self.partitions).filter_map(|number| Some((number, newer.mark(number).ok()?)));
        let marks = marks.collect();
        let applied = self.kept.apply(&[Changes { marks, ..Changes::default() }]);
        debug_assert!(applied.is_ok(), "memory does not fail");
    }

    /// All data is gone.
    pub(crate) fn wipe(&mut self, disk: DiskId) {
        self.process = None;
        self.disk = MemoryDisk::default();
        self.disk_id = disk;
        self.persisted = MemoryState::default();
        self.kept = MemoryState::default();
        self.is_failing = false;
        self.is_full = false;
        self.is_slow = false;
    }
}

impl Process {
    /// The oldest batch of changes reaches the state. Returns its number, and whether the state
    /// must be made durable.
    pub(crate) fn apply(&mut self) -> Option<(u64, bool)> {
        let (batch, changes, durable) = self.applying.pop_front()?;
        let applied = self.state.apply(&[changes]);
        debug_assert!(applied.is_ok(), "memory does not fail");
        Some((batch, durable))
    }
}
