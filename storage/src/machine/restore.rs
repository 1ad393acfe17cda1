//! A node starts: what the log has and the state has not is taken in, then it leads.

use super::append::{Frames, draft};
use super::partition::Partition;
use super::retention::Retention;
use super::{Effect, Node, Settings};
use crate::state::{Content, NotAnInteger, State, StateError};
use catena_protocol::clock::{HybridClock, Now};
use catena_protocol::message::replicate::{Decision, LogRecord};
use catena_protocol::message::write::Mutation;
use catena_protocol::{Key, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// Log and state do not fit together. Nothing may be served from them.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The log names a partition that there is not.
    #[error("the log has a record of partition {partition}, but there are only {partitions}")]
    Partition {
        /// Which.
        partition: u16,
        /// How many there are.
        partitions: u16,
    },
    /// A record is missing.
    #[error(
        "the log of partition {partition} goes on at record {found} where {expected} is expected: records that were acknowledged are missing"
    )]
    Gap {
        /// Which.
        partition: u16,
        /// What should come.
        expected: u64,
        /// What comes.
        found: u64,
    },
    /// The state has what the log has lost.
    #[error(
        "the log of partition {partition} ends at record {last}, but the state already contains record {applied}: the log lost records that were acknowledged"
    )]
    LogTooShort {
        /// Which.
        partition: u16,
        /// Where the log ends.
        last: u64,
        /// What the state contains.
        applied: u64,
    },
    /// A record cannot be applied.
    #[error("record {index} of partition {partition} cannot be applied: {reason}")]
    Impossible {
        /// Which partition.
        partition: u16,
        /// Which record.
        index: u64,
        /// Why.
        reason: NotAnInteger,
    },
}

impl<C> Node<C> {
    /// A node whose state is `state`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn new<S: State>(settings: Settings, state: &S) -> Result<Self, StateError> {
        let settings = Settings { partitions: settings.partitions.max(1), ..settings };
        let mut partitions = Vec::with_capacity(usize::from(settings.partitions));
        let mut latest = Timestamp::ZERO;
        for number in 0..settings.partitions {
            let mark = state.mark(number)?;
            latest = latest.max(mark.newest).max(mark.ceiling);
            partitions.push(Partition::new(number, mark));
        }
        Ok(Self {
            settings,
            clock: HybridClock::starting_at(latest),
            horizon: state.horizon()?,
            partitions,
            frames: Frames::new(),
            applying: VecDeque::new(),
            next_batch: 0,
            early: BTreeMap::new(),
            held: 0,
            pending_bytes: 0,
            retention: Retention::new(),
            deadline_us: None,
        })
    }

    /// Takes in records from the log, in order. Those that the state contains are passed over.
    /// The `Apply` that comes out must be done, and said to be done, before the next call.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore<S: State>(
        &mut self,
        records: Vec<LogRecord>,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), RestoreError> {
        let mut last: BTreeMap<u16, u64> = BTreeMap::new();
        for record in records {
            let (partition, index) = (record.partition, record.index);
            if self.adopt(record, state)? {
                last.insert(partition, index);
            }
        }
        if !last.is_empty() {
            self.committed(0, last.into_iter().collect(), out);
        }
        Ok(())
    }

    /// Whether the record is new.
    fn adopt<S: State>(&mut self, record: LogRecord, state: &S) -> Result<bool, RestoreError> {
        let (number, index) = (record.partition, record.index);
        let partitions = self.settings.partitions;
        let Some(partition) = self.partitions.get_mut(usize::from(number)) else {
            return Err(RestoreError::Partition { partition: number, partitions });
        };
        partition.logged = index;
        if index <= partition.last {
            return Ok(false);
        }
        if index != partition.last + 1 {
            let expected = partition.last + 1;
            return Err(RestoreError::Gap { partition: number, expected, found: index });
        }
        let rows = rows(partition, &record.decision, state)?
            .map_err(|reason| RestoreError::Impossible { partition: number, index, reason })?;
        let draft = draft(&record, 0, rows);
        let latest = draft.version.max(draft.ceiling.unwrap_or_default());
        self.clock = HybridClock::starting_at(self.clock.read(latest.0));
        self.pending_bytes += draft.bytes;
        partition.last = index;
        partition.epoch = record.epoch;
        partition.pending.push(draft);
        Ok(true)
    }

    /// Everything is restored: a new epoch begins in every partition.
    ///
    /// # Errors
    /// [`RestoreError::LogTooShort`].
    pub fn begin(&mut self, now: Now, out: &mut Vec<Effect<C>>) -> Result<(), RestoreError> {
        for partition in &self.partitions {
            let (last, applied) = (partition.logged, partition.last);
            if last != 0 && last < applied {
                return Err(RestoreError::LogTooShort {
                    partition: partition.number,
                    last,
                    applied,
                });
            }
        }
        for number in 0..self.settings.partitions {
            self.partitions[usize::from(number)].epoch += 1;
            self.append(number, Timestamp::ZERO, Decision::Epoch, Vec::new());
        }
        self.close_frame(out);
        self.retention.start(now);
        self.set_deadline(now);
        Ok(())
    }
}

/// What the writes of a record make of their keys.
fn rows<S: State>(
    partition: &Partition,
    decision: &Decision,
    state: &S,
) -> Result<Result<Vec<(Key, Content)>, NotAnInteger>, StateError> {
    let mut rows = Vec::new();
    for Mutation { key, change } in mutations(decision) {
        let head = partition.head(key, state)?;
        match Content::after(change, head.as_ref().map(|stored| &stored.content)) {
            Ok(content) => rows.push((key.clone(), content)),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    Ok(Ok(rows))
}

fn mutations(decision: &Decision) -> &[Mutation] {
    match decision {
        Decision::Write { mutation, .. } => mutation.as_slice(),
        Decision::Outcome { mutations, .. } | Decision::Effects { mutations } => mutations,
        Decision::Epoch | Decision::Ceiling(_) => &[],
    }
}
