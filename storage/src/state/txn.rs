//! What the state remembers of transactions over several partitions, until they have ended.

use catena_protocol::message::gossip::Item;
use catena_protocol::message::prepare::{Intent, TxnId, Unsettled};

/// A transaction that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenTxn {
    /// What it will write here if it is committed.
    Intent(Intent),
    /// It is committed, its home is here, and not everybody has heard of it.
    Unsettled(Unsettled),
}

/// A transaction begins or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnChange {
    /// Takes the place of an earlier one of the same transaction.
    Intent(Intent),
    /// Its intent is gone.
    Resolved(TxnId),
    /// See [`OpenTxn::Unsettled`].
    Unsettled(Unsettled),
    /// Everybody has heard of it.
    Settled(TxnId),
}

/// Where an open transaction is kept among those of its partition: of a kind, by its name.
pub(super) type Place = [u8; 33];

const INTENT: u8 = b'i';
const UNSETTLED: u8 = b'u';

fn place(kind: u8, txn: TxnId) -> Place {
    let mut bytes = [kind; 33];
    bytes[1..17].copy_from_slice(&txn.job.0);
    bytes[17..25].copy_from_slice(&txn.epoch.to_be_bytes());
    bytes[25..].copy_from_slice(&txn.number.to_be_bytes());
    bytes
}

impl TxnChange {
    /// Where something changes.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Intent(Intent { txn, .. }) | Self::Resolved(txn) => place(INTENT, *txn),
            Self::Unsettled(Unsettled { txn, .. }) | Self::Settled(txn) => place(UNSETTLED, *txn),
        }
    }

    /// What is kept there from now on.
    pub(super) fn kept(&self) -> Option<OpenTxn> {
        match self {
            Self::Intent(intent) => Some(OpenTxn::Intent(intent.clone())),
            Self::Unsettled(unsettled) => Some(OpenTxn::Unsettled(unsettled.clone())),
            Self::Resolved(_) | Self::Settled(_) => None,
        }
    }
}

impl From<OpenTxn> for Item {
    fn from(open: OpenTxn) -> Self {
        match open {
            OpenTxn::Intent(intent) => Self::Intent(intent),
            OpenTxn::Unsettled(unsettled) => Self::Unsettled(unsettled),
        }
    }
}

impl OpenTxn {
    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Intent(intent) => intent.mutations.iter().map(|write| write.bytes() + 16).sum(),
            Self::Unsettled(unsettled) => 64 + 2 * unsettled.partitions.len(),
        }
    }
}
