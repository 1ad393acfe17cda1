//! What a request weighs, and whether it can change the store.

use catena_protocol::message::commit::End;
use catena_protocol::message::read::At;
use catena_protocol::message::store::Ask;
use catena_protocol::message::write::Change;

/// Whether a request can change the store.
pub(super) const fn changes(ask: &Ask) -> bool {
    matches!(ask, Ask::Write(_) | Ask::Commit(_))
}

/// Whether a replica may answer that is far enough.
pub(super) const fn at_snapshot(ask: &Ask) -> bool {
    match ask {
        Ask::Read(read) => matches!(read.at, At::Snapshot(_)),
        Ask::Scan(scan) => matches!(scan.at, At::Snapshot(_)),
        _ => false,
    }
}

/// Bytes of keys and values, about.
pub(super) fn bytes(ask: &Ask) -> usize {
    let payload = match ask {
        Ask::Read(read) => read.key.as_str().len(),
        Ask::Scan(scan) => scan.prefix.len(),
        Ask::Write(write) => match &write.mutation.change {
            Change::Put(value) => value.len() + write.mutation.key.as_str().len(),
            Change::Delete | Change::Add(_) => write.mutation.key.as_str().len(),
        },
        Ask::Commit(commit) => {
            let result = match &commit.end {
                End::Committed(result) => result.len(),
                End::Failed(fault) | End::Dead(fault) => fault.message.len(),
                End::Cancelled => 0,
            };
            let reads = commit.effects.reads.iter().chain(&commit.effects.scans);
            let keys: usize = reads.map(|key| key.as_str().len() + 3).sum();
            commit.effects.write_bytes() + commit.effects.writes.len() * 8 + keys + result
        }
        Ask::Outcome(_) => 0,
    };
    payload + 64
}
