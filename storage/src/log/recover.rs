//! Reads the whole log at start, and decides what a bad end means.

use super::segment::{self, BadHeader};
use super::{Identity, LogError, Reach, frame};
use crate::disk::{Disk, DiskFile};
use catena_protocol::message::replicate::LogEntry;

/// What was found.
pub(super) struct Recovered<F> {
    /// All full files, in order, and how far they reach.
    pub(super) sealed: Vec<(u64, Reach)>,
    /// The file to go on with.
    pub(super) last: Option<Last<F>>,
    /// Number for a new file, if there is none to go on with.
    pub(super) next: u64,
}

/// The file to go on with.
pub(super) struct Last<F> {
    pub(super) file: F,
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) length: u64,
    pub(super) reach: Reach,
}

/// Gives every batch of every file to `replay`, in order.
pub(super) fn read_all<D: Disk>(
    disk: &D,
    identity: Identity,
    mut replay: impl FnMut(Vec<LogEntry>) -> Result<(), String>,
) -> Result<Recovered<D::File>, LogError> {
    let numbers = numbers(disk)?;
    let mut found =
        Recovered { sealed: Vec::new(), last: None, next: numbers.last().map_or(1, |n| n + 1) };
    for (position, number) in numbers.iter().copied().enumerate() {
        let is_last = position + 1 == numbers.len();
        match read_one(disk, identity, number, is_last, &mut replay)? {
            Some(file) if is_last => found.last = Some(file),
            Some(file) => found.sealed.push((number, file.reach)),
            None => found.next = number,
        }
    }
    Ok(found)
}

fn numbers<D: Disk>(disk: &D) -> Result<Vec<u64>, LogError> {
    let names = disk.list().map_err(failed("list", "the folder"))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    numbers.sort_unstable();
    let gap = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]);
    match gap {
        None => Ok(numbers),
        Some(pair) => Err(LogError::Damaged {
            file: segment::name(pair[0] + 1),
            offset: 0,
            why: "the file is missing".to_owned(),
        }),
    }
}

fn read_one<D: Disk>(
    disk: &D,
    identity: Identity,
    number: u64,
    is_last: bool,
    replay: &mut impl FnMut(Vec<LogEntry>) -> Result<(), String>,
) -> Result<Option<Last<D::File>>, LogError> {
    let name = segment::name(number);
    let mut file = disk.open(&name).map_err(failed("open", &name))?;
    let bytes = file.read().map_err(failed("read", &name))?;
    let damaged = |offset, why: String| LogError::Damaged { file: name.clone(), offset, why };

    match segment::check(&bytes, identity, number) {
        Ok(()) => {}
        Err(BadHeader::Foreign(why)) => return Err(LogError::Foreign { file: name, why }),
        // A file is only written to after its header was synced: a crash came in between.
        Err(BadHeader::Damaged(_)) if is_last && frame::search(&bytes, 0).is_none() => {
            disk.remove(&name).map_err(failed("remove", &name))?;
            disk.sync_names().map_err(failed("sync the folder of", &name))?;
            return Ok(None);
        }
        Err(BadHeader::Damaged(why)) => return Err(damaged(0, why.to_owned())),
    }

    let mut at = segment::HEADER;
    let mut last_batch = 0;
    let mut reach = Reach::default();
    let mut length = bytes.len() as u64;
    // Room that was made ahead of need.
    let used = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    loop {
        if at >= used {
            break;
        }
        match frame::read(&bytes, at) {
            frame::Found::End => break,
            frame::Found::Batch { entries, end } => {
                entries.iter().for_each(|entry| reach.take_logged(entry));
                replay(entries).map_err(LogError::Refused)?;
                last_batch = at;
                at = end;
            }
            frame::Found::Unreadable(why) => return Err(damaged(at, why)),
            frame::Found::Bad(why) if !is_last => return Err(damaged(at, why)),
            frame::Found::Bad(why) => {
                if let Some(good) = frame::search(&bytes[..used], at + 1) {
                    return Err(damaged(at, format!("{why}, but a good one follows at {good}")));
                }
                file.truncate(at as u64).map_err(failed("cut", &name))?;
                length = at as u64;
                break;
            }
        }
    }
    if is_last {
        write_again(&mut file, last_batch, &bytes[last_batch..at], &name)?;
        disk.sync_names().map_err(failed("sync the folder of", &name))?;
    }
    Ok(Some(Last { file, number, bytes: at as u64, length, reach }))
}

/// The last batch can be read, but the process that wrote it may have died before its sync, or of a
/// sync that failed; then the system believes that nothing is left to be written. All before it was
/// synced before it was written.
fn write_again(
    file: &mut impl DiskFile,
    at: usize,
    batch: &[u8],
    name: &str,
) -> Result<(), LogError> {
    file.write(at as u64, batch).map_err(failed("write to", name))?;
    file.sync().map_err(failed("sync", name))
}

fn failed(doing: &'static str, file: &str) -> impl FnOnce(std::io::Error) -> LogError {
    let file = file.to_owned();
    move |source| LogError::Disk { doing, file, source }
}
