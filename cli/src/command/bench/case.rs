//! What can be measured.

use clap::ValueEnum;

/// A kind of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Chains of operators that do nothing.
    Chain,
    /// Chains with one read and one committed write.
    ChainCommit,
    /// Reads of the latest value.
    StoreRead,
    /// Writes.
    StoreWrite,
    /// `updateIfValueIs`.
    StoreCas,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Chain, Self::ChainCommit, Self::StoreRead, Self::StoreWrite, Self::StoreCas];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::ChainCommit => "chain-commit",
            Self::StoreRead => "store-read",
            Self::StoreWrite => "store-write",
            Self::StoreCas => "store-cas",
        }
    }

    pub(crate) const fn has_steps(self) -> bool {
        matches!(self, Self::Chain | Self::ChainCommit)
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    /// Steps of the chain; 0 for store operations.
    pub(crate) steps: usize,
    /// Bytes of input or value.
    pub(crate) payload: usize,
    /// Jobs or operations in flight.
    pub(crate) in_flight: usize,
}

impl Case {
    /// The bytes that are sent.
    pub(crate) fn bytes(&self) -> bytes::Bytes {
        vec![b'x'; self.payload].into()
    }
}
