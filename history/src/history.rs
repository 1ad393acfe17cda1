//! A whole history: operations that can have happened, in any order, on any number of keys.

use crate::operation::{Operation, Outcome};
use std::collections::BTreeMap;

/// Operations whose parts fit together. Whether they fit each other is what the checks say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    operations: Vec<Operation>,
}

/// Why something is no history. Nothing was recorded or judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An operation contradicts itself: the recording program is wrong, not the store.
    #[error("not an operation of a history: {operation}: {reason}; correct the recording program")]
    Operation {
        /// Which.
        operation: Box<Operation>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The recorder has as many operations as it was made for.
    #[error("the recorder holds {0} operations, which is its limit; judge them or raise the limit")]
    Full(usize),
    /// The operation was completed before, or by a ticket of another recorder.
    #[error("there is no open operation for this ticket; complete each one once")]
    NotOpen,
}

/// How many operations of a history ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// With an answer.
    pub answered: usize,
    /// Nobody knows whether they took effect.
    pub unknown: usize,
    /// They certainly did not take effect; they prove nothing.
    pub refused: usize,
}

impl History {
    /// A history of these operations, in whatever order they are given.
    ///
    /// # Errors
    /// An operation has an answer that belongs to another call, has an answer but no time of
    /// return, or returned before it was invoked.
    pub fn new(operations: Vec<Operation>) -> Result<Self, Malformed> {
        for operation in &operations {
            if let Some(reason) = operation.defect() {
                return Err(Malformed::Operation {
                    operation: Box::new(operation.clone()),
                    reason,
                });
            }
        }
        Ok(Self { operations })
    }

    /// One of operations that were looked at already.
    pub(crate) fn sound(operations: Vec<Operation>) -> Self {
        debug_assert!(operations.iter().all(|operation| operation.defect().is_none()));
        Self { operations }
    }

    /// The operations, in the order in which they were given.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// How the operations ended. A run whose operations mostly were refused proves little.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for operation in &self.operations {
            match operation.outcome {
                Outcome::Unknown => tally.unknown += 1,
                Outcome::Refused => tally.refused += 1,
                _ => tally.answered += 1,
            }
        }
        tally
    }

    /// The operations of each key, in the order of the keys.
    pub(crate) fn by_key(&self) -> BTreeMap<&str, Vec<&Operation>> {
        let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
        for operation in &self.operations {
            keys.entry(&operation.key).or_default().push(operation);
        }
        keys
    }
}
