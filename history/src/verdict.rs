//! What a judgement says, for programs and for people.

use crate::operation::{Operation, Shown};
use crate::snapshot::SnapshotRead;
use std::fmt;

/// What a judgement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every key's operations have an order that explains all answers.
    Linearizable,
    /// Those of one key have none.
    Violation(Box<Violation>),
    /// Nobody knows.
    Undecided {
        /// The first key of which nobody knows.
        key: String,
        /// Why.
        reason: String,
    },
}

/// What clients saw and no correct store shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Of which key.
    pub key: String,
    /// What was seen.
    pub evidence: Evidence,
}

/// What was seen that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// No order explains all answers up to a moment.
    NoOrder {
        /// What no order explains.
        rule: Rule,
        /// How many operations had an answer by then.
        answered: usize,
        /// What the key holds, in turn, while the last operation is under way, in one order that
        /// explains all other answers: the last of these.
        held: Vec<Held>,
        /// The last answer. Without it an order was found, or at least none was ruled out.
        last: Box<Operation>,
        /// What else was under way at that time, as far as was known then, the newest first.
        open: Vec<Operation>,
    },
    /// A read at a snapshot contradicts something else that is known.
    Snapshot {
        /// The read.
        read: SnapshotRead,
        /// What it contradicts.
        because: String,
    },
}

/// What no order explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The values that were seen.
    Values,
    /// The versions: of the values alone there may be an order, but in none of them do the
    /// versions grow from write to write and belong to one write each.
    Versions,
}

/// What a key may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The value; none: there is none.
    pub value: Option<String>,
    /// Its version; zero: not known.
    pub version: u64,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linearizable => write!(f, "linearizable"),
            Self::Violation(violation) => violation.fmt(f),
            Self::Undecided { key, reason } => write!(f, "key `{key}`: undecided: {reason}"),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}`: {}", self.key, self.evidence)
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOrder { rule, answered, held, last, open } => {
                let what = match rule {
                    Rule::Values => "values",
                    Rule::Versions => "versions (the values alone may have an order)",
                };
                write!(f, "no order of the first {answered} answers explains the {what}")?;
                write!(f, "\n  last answer: {last}")?;
                write!(
                    f,
                    "\n  without it there is an order; in that the key holds meanwhile, in turn:"
                )?;
                lines(f, held)?;
                write!(f, "\n  under way beside the last answer:")?;
                lines(f, open)
            }
            Self::Snapshot { read, because } => write!(
                f,
                "a read at {} found {} (version {}), but {because}",
                read.at,
                Shown(&read.value),
                read.version
            ),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (version ", Shown(&self.value))?;
        match self.version {
            0 => write!(f, "none or not known)"),
            version => write!(f, "{version})"),
        }
    }
}

/// So many lines of a list are shown.
const SHOWN: usize = 20;

fn lines(f: &mut fmt::Formatter<'_>, list: &[impl fmt::Display]) -> fmt::Result {
    for line in list.iter().take(SHOWN) {
        write!(f, "\n    {line}")?;
    }
    match list.len() {
        0 => write!(f, " nothing"),
        long if long > SHOWN => write!(f, "\n    and {} more", long - SHOWN),
        _ => Ok(()),
    }
}
