//! Whether anything that was acknowledged is missing at the end.

use crate::check::{Limits, check};
use crate::history::History;
use crate::operation::{Call, Operation, Outcome};
use crate::verdict::Verdict;
use std::collections::BTreeSet;

/// What a key held when all was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalRead {
    /// The key.
    pub key: String,
    /// The value; none: there is none.
    pub value: Option<String>,
    /// The version of the write that it comes from; zero: not told.
    pub version: u64,
}

/// Whether the final reads show all that was acknowledged: they are judged like reads that were
/// invoked after everything had returned.
///
/// A key of the history without a final read makes the verdict undecided: nobody knows what
/// became of it.
pub fn lost_acknowledged(history: &History, reads: &[FinalRead], limits: Limits) -> Verdict {
    let mut operations = history.operations().to_vec();
    let times = operations.iter().map(|one| one.returned.unwrap_or(0).max(one.invoked));
    let end = times.max().unwrap_or(0).saturating_add(1);
    operations.extend(reads.iter().map(|read| as_operation(read, end)));
    let verdict = check(&History::sound(operations), limits);
    let read: BTreeSet<&str> = reads.iter().map(|read| read.key.as_str()).collect();
    let unread = history.operations().iter().find(|one| !read.contains(one.key.as_str()));
    match (verdict, unread) {
        (Verdict::Linearizable, Some(operation)) => Verdict::Undecided {
            key: operation.key.clone(),
            reason: "nobody read it at the end; read every key of the history".to_owned(),
        },
        (verdict, _) => verdict,
    }
}

fn as_operation(read: &FinalRead, end: u64) -> Operation {
    Operation {
        process: u64::MAX,
        key: read.key.clone(),
        call: Call::Read,
        invoked: end,
        returned: Some(end),
        outcome: Outcome::Found { value: read.value.clone(), version: read.version },
    }
}
