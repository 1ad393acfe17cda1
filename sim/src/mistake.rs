//! Known mistakes, of the store and of the platform above it, that can be put back.

use crate::platform::Slip;
use catena_storage::machine::Bug;
use std::fmt;

/// A known mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Of the store.
    Store(Bug),
    /// Of schedulers, workers or clients.
    Platform(Slip),
}

impl Mistake {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let of_platform = Slip::ALL.into_iter().map(Self::Platform);
        Bug::ALL.into_iter().map(Self::Store).chain(of_platform)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(bug) => fmt::Debug::fmt(bug, f),
            Self::Platform(slip) => fmt::Debug::fmt(slip, f),
        }
    }
}
