//! The durable queue: what is stored once is delivered until it is acknowledged, at least once.
//!
//! Deliberately unknown here: who is there to take something, and what becomes of messages.

use catena_protocol::JobId;
use catena_scheduler::machine::Queueing;
use std::collections::{BTreeMap, BTreeSet};

/// How long a message may stay without a sign of life before it is delivered again, in
/// microseconds.
const ACK_WAIT_US: u64 = 10_000_000;

/// Messages by their place, and the ids that were ever stored.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    messages: BTreeMap<u64, Queued>,
    ids: BTreeSet<JobId>,
    last: u64,
}

/// A message on the queue.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) job: Queueing,
    pub(crate) delivered: u64,
    pub(crate) stored_us: u64,
    /// When it is to be delivered (again).
    due_us: u64,
}

impl Queue {
    /// Stores a job, once for each id.
    pub(crate) fn store(&mut self, job: Queueing, now_us: u64) {
        if self.ids.insert(job.job) {
            self.last += 1;
            let (stored_us, due_us) = (now_us, now_us);
            self.messages.insert(self.last, Queued { job, delivered: 0, stored_us, due_us });
        }
    }

    /// A message that is to be delivered now, as it is after that.
    pub(crate) fn take_due(&mut self, now_us: u64) -> Option<(u64, Queued)> {
        let (sequence, message) =
            self.messages.iter_mut().find(|(_, message)| message.due_us <= now_us)?;
        message.delivered += 1;
        message.due_us = now_us + ACK_WAIT_US;
        Some((*sequence, message.clone()))
    }

    pub(crate) fn acknowledge(&mut self, sequence: u64) {
        self.messages.remove(&sequence);
    }

    /// It is to come again after a while.
    pub(crate) fn later(&mut self, sequence: u64, now_us: u64, wait_us: u64) {
        if let Some(message) = self.messages.get_mut(&sequence) {
            message.due_us = now_us + wait_us;
        }
    }

    /// It still runs.
    pub(crate) fn progress(&mut self, sequence: u64, now_us: u64) {
        self.later(sequence, now_us, ACK_WAIT_US);
    }

    /// What is left.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Queued> {
        self.messages.values()
    }
}
