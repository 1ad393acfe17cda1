//! Why a run failed.

use std::fmt;

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which: the number and name of the invariant in ARCHITECTURE.md.
    pub rule: &'static str,
    /// When, in simulated microseconds.
    pub at_us: u64,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at {:.3} s): {}", self.rule, self.at_us as f64 / 1e6, self.what)
    }
}
