//! One operation of one client on one key: what was asked, when, and what came back.
//!
//! Values are text. Versions are what the store gave; zero stands for "none was told".

use serde::{Deserialize, Serialize};
use std::fmt;

/// One operation on one key, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Who asked. For people only: the order is judged by times.
    pub process: u64,
    /// What it was about.
    pub key: String,
    /// What was asked.
    pub call: Call,
    /// When it was asked, in microseconds of a clock that all processes of the history share.
    pub invoked: u64,
    /// When the answer came, on the same clock; none: it never did. An operation comes before
    /// another if it returned before (not: when) the other was invoked.
    pub returned: Option<u64>,
    /// What the answer was.
    pub outcome: Outcome,
}

/// What was asked of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// The newest value.
    Read,
    /// This value, whatever there was.
    Write {
        /// The new value.
        value: String,
    },
    /// No value, whatever there was.
    Delete,
    /// This value if there is that one.
    CompareAndSet {
        /// The value that must be there; none: there must be none.
        expected: Option<String>,
        /// The new value.
        new: String,
    },
    /// This value if the record has that version.
    CompareVersion {
        /// The version that must be there; zero: there must be no value.
        expected: u64,
        /// The new value.
        new: String,
    },
    /// This on top of the integer that is there; no value counts as 0.
    Add {
        /// What is added.
        delta: i64,
    },
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answer to a read.
    Found {
        /// The value; none: there is none.
        value: Option<String>,
        /// The version of the write that it comes from; zero: not told.
        version: u64,
    },
    /// A write, delete or comparison took effect.
    Done {
        /// The version that it wrote; zero: not told.
        version: u64,
    },
    /// An addition took effect.
    Sum {
        /// The value after it.
        sum: i64,
        /// The version that it wrote; zero: not told.
        version: u64,
    },
    /// A comparison did not hold, nothing was changed; this was found.
    Differs {
        /// The value; none: there is none.
        value: Option<String>,
        /// The version of the write that it comes from; zero: not told.
        version: u64,
    },
    /// No answer, or one that leaves open what happened: it may have taken effect at any time
    /// since it was invoked, may still do so, or never.
    Unknown,
    /// It certainly did not take effect, and told nothing about the value.
    Refused,
}

impl Operation {
    /// Why this cannot have happened to any store; none: it can.
    pub(crate) fn defect(&self) -> Option<&'static str> {
        use {Call as C, Outcome as O};
        let open = matches!(self.outcome, O::Unknown | O::Refused);
        match (&self.call, &self.outcome) {
            _ if self.returned.is_none() && !open => Some("it has an answer but did not return"),
            _ if self.returned.is_some_and(|returned| returned < self.invoked) => {
                Some("it returned before it was invoked")
            }
            (_, O::Unknown | O::Refused)
            | (C::Read, O::Found { .. })
            | (C::Write { .. } | C::Delete, O::Done { .. })
            | (C::CompareAndSet { .. } | C::CompareVersion { .. }, O::Done { .. })
            | (C::CompareAndSet { .. } | C::CompareVersion { .. }, O::Differs { .. })
            | (C::Add { .. }, O::Sum { .. }) => None,
            _ => Some("its answer belongs to another kind of call"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}, from {} to ", self.process, self.invoked)?;
        match self.returned {
            Some(returned) => write!(f, "{returned} us: ")?,
            None => write!(f, "... us: ")?,
        }
        write!(f, "{} -> {}", self.call, self.outcome)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => write!(f, "read"),
            Self::Write { value } => write!(f, "write `{value}`"),
            Self::Delete => write!(f, "delete"),
            Self::CompareAndSet { expected, new } => {
                write!(f, "set `{new}` if the value is {}", Shown(expected))
            }
            Self::CompareVersion { expected, new } => {
                write!(f, "set `{new}` if the version is {expected}")
            }
            Self::Add { delta } => write!(f, "add {delta}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { value, version } => write!(f, "{} (version {version})", Shown(value)),
            Self::Done { version } => write!(f, "done (version {version})"),
            Self::Sum { sum, version } => write!(f, "sum {sum} (version {version})"),
            Self::Differs { value, version } => {
                write!(f, "differs: {} (version {version})", Shown(value))
            }
            Self::Unknown => write!(f, "unknown"),
            Self::Refused => write!(f, "refused"),
        }
    }
}

/// A value for people.
pub(crate) struct Shown<'a>(pub(crate) &'a Option<String>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "`{value}`"),
            None => write!(f, "nothing"),
        }
    }
}
