//! Opening what is on disk: state, then the log from where the state ends.

use crate::disk::{Disk, Folder};
use crate::error::Error;
use crate::log::{Identity, Log, LogError, SEGMENT_BYTES};
use crate::machine::{Node, Settings};
use crate::state::FjallState;
use std::path::PathBuf;

/// Log files are made longer by so much at a time: a slow sync after every so many bytes.
const AHEAD_BYTES: u64 = 1024 * 1024;

/// Everything that a node consists of, ready to begin.
pub(crate) struct Opened<C> {
    pub(crate) node: Node<C>,
    pub(crate) state: FjallState,
    pub(crate) log: Log<Folder>,
}

/// Where what is opened lies, and whose it must be.
pub(crate) struct Place {
    pub(crate) log: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) ids: Identity,
    /// Whether there was a log before.
    pub(crate) begun: bool,
}

pub(crate) fn open<C>(place: Place, settings: Settings) -> Result<Opened<C>, Error> {
    let Place { log: log_path, state: state_path, ids, begun } = place;
    let disk = Folder::open(&log_path).map_err(|source| Error::Data {
        doing: "open",
        path: log_path.clone(),
        source,
    })?;
    let state = FjallState::open(&state_path)?;
    let empty = disk.list().is_ok_and(|names| names.is_empty());
    if empty && begun {
        return Err(Error::LogMissing { path: log_path });
    }
    let mut node = Node::new(settings, &state)?;
    let mut failed = None;
    let log = Log::open(disk, ids, SEGMENT_BYTES, |entries| {
        node.restore(entries, &state).map_err(|error| {
            let text = error.to_string();
            failed = Some(Error::from(error));
            text
        })
    });
    let log = match (log, failed) {
        (Err(LogError::Refused(_)), Some(error)) => return Err(error),
        (log, _) => log?.with_room_ahead(AHEAD_BYTES),
    };
    Ok(Opened { node, state, log })
}
