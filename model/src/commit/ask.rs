//! What clients ask: that an attempt of the one job be committed, a direct write, a read.

use crate::host::WALL_US;
use bytes::Bytes;
use catena_protocol::chain::Isolation;
use catena_protocol::message::commit::{Commit, End};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::read::{At, Read};
use catena_protocol::message::store::{Ask, Request};
use catena_protocol::message::write::{Change, Condition, Mutation, Write};
use catena_protocol::{AttemptId, Blob, JobId, Key, Name, RequestId, Timestamp};
use catena_storage::machine::Input;

/// Where the outcome of the job is recorded. The other partition is [`AWAY`].
pub(super) const HOME: usize = 0;
pub(super) const AWAY: usize = 1;

fn request(caller: u64, partition: usize, ask: Ask) -> Input<u64> {
    let partition = u16::from(partition == AWAY);
    Input::Requests(vec![(caller, Request { id: caller, partition, ask })])
}

/// The record of a partition that the job writes.
#[allow(clippy::expect_used, reason = "there are keys in every partition")]
fn key(partition: usize) -> Key {
    let mut keys = (0..).filter_map(|number| Key::new(format!("k{number}")).ok());
    keys.find(|key| usize::from(key.partition(2)) == partition).expect("a key of the partition")
}

fn put(partition: usize, value: &'static str) -> Mutation {
    let change = Change::Put(Blob(Bytes::from_static(value.as_bytes())));
    Mutation { key: key(partition), change }
}

/// An attempt asks to be committed. Both attempts write the same records.
#[allow(clippy::expect_used, reason = "a constant")]
pub(super) fn commit(attempt: usize) -> Input<u64> {
    let value = if attempt == 0 { "first" } else { "second" };
    let writes = vec![put(HOME, value), put(AWAY, value)];
    let commit = Commit {
        job: JobId::random(0, WALL_US, [1; 8]),
        attempt: AttemptId([u8::from(attempt == 1) + 1; 16]),
        chain: Name::new("chain").expect("a valid name"),
        snapshot: Timestamp(WALL_US - 1),
        isolation: Isolation::Serializable,
        effects: Effects { reads: Vec::new(), scans: Vec::new(), writes },
        end: End::Committed(Blob(Bytes::from_static(value.as_bytes()))),
        keep_ms: 0,
        explain: false,
    };
    request(attempt as u64, HOME, Ask::Commit(commit))
}

/// Somebody writes the record away from home.
pub(super) fn write(number: u8) -> Input<u64> {
    let mutation = put(AWAY, "other");
    let write = Write { request: RequestId([number; 16]), mutation, condition: Condition::Always };
    request(100 + u64::from(number), AWAY, Ask::Write(write))
}

/// Somebody reads the record of a partition.
pub(super) fn read(partition: usize) -> Input<u64> {
    request(200, partition, Ask::Read(Read { key: key(partition), at: At::Latest }))
}
