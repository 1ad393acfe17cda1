//! Whether reads at a time show the newest write up to that time, and nothing else.
//!
//! What is known of a key is gathered first: every version that a write was told or a read showed,
//! with its value. A snapshot read must then show the newest of them up to its time.

use crate::history::History;
use crate::operation::{Call, Operation, Outcome, Shown};
use crate::verdict::{Evidence, Violation};
use std::collections::{BTreeMap, HashMap};

/// A read of one key at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRead {
    /// The key.
    pub key: String,
    /// The time: all writes with this version or a smaller one are seen, and no others.
    pub at: u64,
    /// The value; none: there is none.
    pub value: Option<String>,
    /// The version of the write that it comes from; zero: there was none, or it is a delete that
    /// was forgotten.
    pub version: u64,
}

/// The versions of a key that somebody was told of, with their values.
type Known = BTreeMap<u64, Option<String>>;

/// Whether the reads show the newest write up to their time.
///
/// # Errors
/// The first read that contradicts a write, another read, or itself.
pub fn check_snapshots(history: &History, reads: &[SnapshotRead]) -> Result<(), Box<Violation>> {
    let by_key = history.by_key();
    let mut reads_of: BTreeMap<&str, Vec<&SnapshotRead>> = BTreeMap::new();
    for read in reads {
        reads_of.entry(&read.key).or_default().push(read);
    }
    for (key, reads) in reads_of {
        let operations = by_key.get(key).map_or(&[][..], Vec::as_slice);
        judge(operations, &reads).map_err(|(read, because)| {
            let evidence = Evidence::Snapshot { read: read.clone(), because };
            Box::new(Violation { key: key.to_owned(), evidence })
        })?;
    }
    Ok(())
}

type Refuted<'a> = (&'a SnapshotRead, String);

fn judge<'a>(operations: &[&Operation], reads: &[&'a SnapshotRead]) -> Result<(), Refuted<'a>> {
    let written = known(operations.iter().filter_map(|one| written(one)));
    let mut all = written.clone();
    for (version, value) in operations.iter().filter_map(|one| seen(one)) {
        all.entry(version).or_insert(value);
    }
    for read in reads {
        alone(operations, &written, read).map_err(|because| (*read, because))?;
        if read.version != 0 {
            let before = all.entry(read.version).or_insert_with(|| read.value.clone());
            if *before != read.value {
                let because = format!("that version is also {}", Shown(before));
                return Err((read, because));
            }
        }
    }
    let can_delete = operations.iter().any(|one| may_leave(one, &None));
    for read in reads {
        newest(&all, can_delete, read).map_err(|because| (*read, because))?;
    }
    same_at_same_time(reads)?;
    forgotten_deletes(&all, reads)
}

fn known(records: impl Iterator<Item = (u64, Option<String>)>) -> Known {
    records.filter(|(version, _)| *version != 0).collect()
}

/// The version and value that an operation certainly wrote.
fn written(operation: &Operation) -> Option<(u64, Option<String>)> {
    let (version, value) = match (&operation.call, &operation.outcome) {
        (Call::Write { value }, Outcome::Done { version }) => (*version, Some(value.clone())),
        (Call::Delete, Outcome::Done { version }) => (*version, None),
        (
            Call::CompareAndSet { new, .. } | Call::CompareVersion { new, .. },
            Outcome::Done { version },
        ) => (*version, Some(new.clone())),
        (Call::Add { .. }, Outcome::Sum { sum, version }) => (*version, Some(sum.to_string())),
        _ => return None,
    };
    Some((version, value))
}

/// The version and value that an operation found.
fn seen(operation: &Operation) -> Option<(u64, Option<String>)> {
    match &operation.outcome {
        Outcome::Found { value, version } | Outcome::Differs { value, version } => {
            (*version != 0).then(|| (*version, value.clone()))
        }
        _ => None,
    }
}

/// Whether an operation of which no version was told may have left this.
fn may_leave(operation: &Operation, value: &Option<String>) -> bool {
    match operation.outcome {
        Outcome::Unknown | Outcome::Done { version: 0 } => {}
        Outcome::Sum { sum, version: 0 } => return *value == Some(sum.to_string()),
        _ => return false,
    }
    match (&operation.call, value) {
        (Call::Delete, None) => true,
        (Call::Write { value: new }, Some(value))
        | (Call::CompareAndSet { new, .. } | Call::CompareVersion { new, .. }, Some(value)) => {
            new == value
        }
        (Call::Add { .. }, Some(value)) => value.parse::<i64>().is_ok(),
        _ => false,
    }
}

/// Whether a read is sound by itself: from before its time, and something that was written.
fn alone(operations: &[&Operation], written: &Known, read: &SnapshotRead) -> Result<(), String> {
    let SnapshotRead { at, value, version, .. } = read;
    if version > at {
        return Err("that version is younger than the snapshot".to_owned());
    }
    if *version == 0 {
        return if value.is_none() { Ok(()) } else { Err("a value has a version".to_owned()) };
    }
    match written.get(version) {
        Some(wrote) if wrote == value => Ok(()),
        Some(wrote) => Err(format!("that version wrote {}", Shown(wrote))),
        None if operations.iter().any(|one| may_leave(one, value)) => Ok(()),
        None => Err("nobody wrote that".to_owned()),
    }
}

/// Whether a read shows the newest record up to its time.
fn newest(all: &Known, can_delete: bool, read: &SnapshotRead) -> Result<(), String> {
    let Some((version, value)) = all.range(..=read.at).next_back() else { return Ok(()) };
    let forgotten = read.version == 0 && (value.is_none() || can_delete);
    if *version == read.version || forgotten {
        return Ok(());
    }
    Err(format!("version {version} is younger and not above the snapshot: {}", Shown(value)))
}

/// Two reads of one time are equal. A delete may be forgotten in between.
fn same_at_same_time<'a>(reads: &[&'a SnapshotRead]) -> Result<(), Refuted<'a>> {
    let mut first: HashMap<u64, &SnapshotRead> = HashMap::new();
    for read in reads {
        let other = first.entry(read.at).or_insert(read);
        if other.value != read.value {
            let because = format!(
                "another read at that time found {} (version {})",
                Shown(&other.value),
                other.version
            );
            return Err((read, because));
        }
    }
    Ok(())
}

/// A read that found nothing where a value is known says that there was a delete in between, of
/// which no later snapshot can be from before.
fn forgotten_deletes<'a>(all: &Known, reads: &[&'a SnapshotRead]) -> Result<(), Refuted<'a>> {
    for nothing in reads.iter().filter(|read| read.version == 0) {
        let Some((version, Some(_))) = all.range(..=nothing.at).next_back() else { continue };
        let older = |read: &&&SnapshotRead| read.at >= nothing.at && read.version == *version;
        if let Some(read) = reads.iter().find(older) {
            return Err((read, format!("a read at {} already found nothing", nothing.at)));
        }
    }
    Ok(())
}
