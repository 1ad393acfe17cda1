//! **read**: one record, now or at a snapshot.

use super::Node;
use super::effect::Verdict;
use crate::state::{State, StateError};
use catena_protocol::Timestamp;
use catena_protocol::clock::Now;
use catena_protocol::message::read::{At, Read, Record};
use catena_protocol::message::store::{Ask, Tell};

impl<C> Node<C> {
    pub(super) fn read<S: State>(
        &mut self,
        now: Now,
        partition: u16,
        read: Read,
        state: &S,
    ) -> Result<Verdict, StateError> {
        let at = match read.at {
            At::Latest => Timestamp::MAX,
            At::Snapshot(snapshot) => {
                if let Err(tell) = self.open_snapshot(now, snapshot) {
                    return Ok(Verdict::Tell(tell));
                }
                let ceiling = self.raise_ceiling(now, partition, snapshot);
                let pending = &self.partitions[usize::from(partition)].pending;
                let frame = ceiling.max(pending.undecided(&read.key, snapshot));
                if let Some(frame) = frame {
                    return Ok(self.wait(frame, Ask::Read(read)));
                }
                snapshot
            }
        };
        let found = self.partitions[usize::from(partition)].committed(&read.key, at, state)?;
        let record = found.map_or_else(Record::default, Record::from);
        // Who reads at a snapshot knows its time already.
        let version = if at == Timestamp::MAX { record.version } else { Timestamp::ZERO };
        Ok(Verdict::Seen { version, tell: Tell::Record(record) })
    }

    /// Has a read looked at again when `frame` is durable, if there is room to wait.
    pub(super) fn wait(&self, frame: u64, ask: Ask) -> Verdict {
        match self.admit_wait() {
            Ok(()) => Verdict::Again { frame, ask },
            Err(tell) => Verdict::Tell(tell),
        }
    }
}
