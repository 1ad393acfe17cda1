//! What can be measured.

use clap::ValueEnum;
use clap::builder::PossibleValue;

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

/// What `--case` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// A kind of measurement of one cluster in this process.
    Kind(Kind),
    /// The replicated store beside JetStream KV.
    Replicated,
    /// How long partitions are without a primary when storage nodes are killed.
    Failover,
    /// Jobs that rewrite records which others want too.
    Contention,
    /// Chains with a commit beside the same written by hand.
    ByHand,
    /// What storage nodes take of disk and memory under a constant load.
    Soak,
}

impl ValueEnum for Choice {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Kind(Kind::Chain),
            Self::Kind(Kind::ChainCommit),
            Self::Kind(Kind::StoreRead),
            Self::Kind(Kind::StoreWrite),
            Self::Kind(Kind::StoreCas),
            Self::Replicated,
            Self::Failover,
            Self::Contention,
            Self::ByHand,
            Self::Soak,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Kind(kind) => kind.to_possible_value(),
            Self::Replicated => Some(
                PossibleValue::new("replicated")
                    .help("Reads, writes and updates of a replicated store, beside JetStream KV"),
            ),
            Self::Failover => Some(
                PossibleValue::new("failover")
                    .help("Time until partitions take writes again when storage nodes are killed"),
            ),
            Self::Contention => Some(
                PossibleValue::new("contention")
                    .help("Jobs that read and rewrite records which others want too"),
            ),
            Self::ByHand => Some(
                PossibleValue::new("by-hand")
                    .help("Chains that commit, beside the same by hand over JetStream KV"),
            ),
            Self::Soak => Some(
                PossibleValue::new("soak")
                    .help("Disk and memory of storage nodes under a constant load of writes"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_be_chosen() {
        for kind in Kind::ALL {
            assert!(Choice::value_variants().contains(&Choice::Kind(kind)), "{}", kind.name());
        }
    }
}
