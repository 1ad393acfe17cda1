//! What was expected, and what was found.

use serde::Serialize;

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What is compared.
    pub(super) what: String,
    /// What it should be.
    pub(super) expected: i64,
    /// What it is.
    pub(super) found: i64,
    /// Whether they are equal.
    pub(super) ok: bool,
}

impl Check {
    pub(super) fn new(what: impl Into<String>, expected: i64, found: i64) -> Self {
        Self { what: what.into(), expected, found, ok: expected == found }
    }

    /// Counts what must not be there at all.
    pub(super) fn none(what: impl Into<String>, found: usize) -> Self {
        Self::new(what, 0, count(found))
    }
}

/// A number of things, as checks compare it.
pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
