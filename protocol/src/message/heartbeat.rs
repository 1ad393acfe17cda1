//! Heartbeats: every service says twice a second that it lives and how loaded it is.
//!
//! They carry load, never job ids. A service that was silent for `limit::SILENCE_MS` is taken
//! for dead, one that says `draining` gets nothing new.

use crate::chain::Effect;
use crate::id::{Name, NodeId};
use crate::subject::Role;
use minicbor::{Decode, Encode};

/// One sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Heartbeat {
    /// Who.
    #[n(0)]
    pub node: NodeId,
    /// Random, new at each start: the same id with another boot is another process.
    #[n(1)]
    pub boot: u64,
    /// Whether it is about to leave and takes nothing new.
    #[n(2)]
    pub draining: bool,
    /// What its role has to say.
    #[n(3)]
    pub load: Load,
}

/// What a heartbeat says, by role.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Load {
    /// A scheduler.
    #[n(0)]
    Scheduler {
        /// Jobs in flight.
        #[n(0)]
        jobs: u32,
        /// The longest deadline of all chains that are defined, in milliseconds: for so long
        /// jobs may read at one snapshot.
        #[n(1)]
        longest_ms: u64,
    },
    /// A worker.
    #[n(1)]
    Worker {
        /// Steps that it holds.
        #[n(0)]
        outstanding: u32,
        /// Steps that each live scheduler may have on it at once.
        #[n(1)]
        credit: u32,
        /// What it can run, by name.
        #[n(2)]
        operators: Vec<Offer>,
    },
    /// A storage node.
    #[n(2)]
    Storage {
        /// Partitions of the cluster.
        #[n(0)]
        partitions: u16,
        /// Partitions that it leads, with their epochs.
        #[n(1)]
        led: Vec<Led>,
    },
}

impl Load {
    /// Whose it is.
    pub const fn role(&self) -> Role {
        match self {
            Self::Scheduler { .. } => Role::Scheduler,
            Self::Worker { .. } => Role::Worker,
            Self::Storage { .. } => Role::Storage,
        }
    }
}

/// An operator that a worker can run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Offer {
    /// Its name.
    #[n(0)]
    pub name: Name,
    /// Whether it touches the store.
    #[n(1)]
    pub effect: Effect,
    /// One line of help, settings included.
    #[n(2)]
    pub help: String,
    /// Whether it came with the worker, or was added by its author.
    #[n(3)]
    pub native: bool,
}

/// A partition that a storage node leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Led {
    /// Which.
    #[n(0)]
    pub partition: u16,
    /// Since which epoch.
    #[n(1)]
    pub epoch: u64,
}
