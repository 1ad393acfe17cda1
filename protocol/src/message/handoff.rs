//! **handoff**: a worker passes a job on to the worker of the next step.
//!
//! ```text
//! worker --[Step, ...]--> catena.worker.<next>.step
//!        <-- 503 from the server on the reply subject, if <next> is gone
//! ```
//!
//! What earlier operators read and wrote travels along, so that an operator sees the writes of
//! those before it without asking the store. Sent by the scheduler for step 0 (`assign`).

use super::assign::Assignment;
use super::write::Mutation;
use crate::codec::Blob;
use crate::key::Key;
use minicbor::{Decode, Encode};

/// One step of a job, with all that is needed to run it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Step {
    /// The plan of the job. Boxed: steps are moved often on the hot path.
    #[n(0)]
    pub assignment: Box<Assignment>,
    /// Which step.
    #[n(1)]
    pub index: u8,
    /// The input of the step.
    #[n(2)]
    pub payload: Blob,
    /// What the job has read and wants to write so far.
    #[n(3)]
    pub effects: Effects,
}

/// What a job has read and wants to write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Effects {
    /// Keys read from the store.
    #[n(0)]
    pub reads: Vec<Key>,
    /// Prefixes scanned in the store.
    #[n(1)]
    pub scans: Vec<Key>,
    /// Writes, one for each key, in the order of the first.
    #[n(2)]
    pub writes: Vec<Mutation>,
}

impl Effects {
    /// Nothing read and nothing written.
    pub fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.scans.is_empty() && self.writes.is_empty()
    }

    /// Bytes of all writes, keys and values.
    pub fn write_bytes(&self) -> usize {
        self.writes.iter().map(Mutation::bytes).sum()
    }
}
