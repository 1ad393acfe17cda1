//! The state that an order of operations leads to: one value and what is known of its version.

use crate::value::ValueId;

/// What is known of the version of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    /// It is at least this.
    pub(crate) least: u64,
    /// It is exactly that.
    pub(crate) known: bool,
}

/// The state of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Register {
    pub(crate) value: ValueId,
    pub(crate) version: Version,
    /// An operation with unknown outcome wrote this, and the next one has to look at it: who
    /// writes unseen might as well never have.
    pub(crate) unseen: bool,
}

impl Register {
    /// Before everything.
    pub(crate) const EMPTY: Self =
        Self { value: ValueId::ABSENT, version: Version { least: 0, known: true }, unseen: false };
}

impl Version {
    /// The same, after somebody was told that it is `told`; none: it is not.
    pub(crate) fn told(self, told: u64) -> Option<Self> {
        match told {
            0 => Some(self),
            _ if self.known => (told == self.least).then_some(self),
            _ => (told >= self.least).then_some(Self { least: told, known: true }),
        }
    }

    /// That of the next write, of which somebody was told that it is `told`; none: it is not.
    pub(crate) fn next(self, told: u64) -> Option<Self> {
        match told {
            0 => Some(Self { least: self.least.checked_add(1)?, known: false }),
            _ => (told > self.least).then_some(Self { least: told, known: true }),
        }
    }
}
