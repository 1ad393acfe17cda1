//! What callers are told when there is no answer: what happened, whether anything was changed,
//! and what to do.

use super::{Open, Settings};
use catena_protocol::message::store::Ask;
use catena_protocol::{Code, Fault};

pub(super) fn too_busy(settings: &Settings) -> Fault {
    Fault::new(
        Code::TooBusy,
        format!(
            "too many store requests are open here (limits: {} requests, {} bytes); nothing was \
             changed; try again when some have been answered",
            settings.open, settings.bytes
        ),
    )
}

/// Nobody leads: an election takes its time, or a majority is away.
pub(super) fn no_primary<C>(open: &Open<C>) -> Fault {
    let partition = open.request.partition;
    Fault::new(
        Code::Unavailable,
        format!(
            "partition {partition} has no primary: too few of its storage nodes are there for a \
             majority, or they are about to elect one; {}",
            effect(open, open.may_have_arrived() || open.waits_for.is_some())
        ),
    )
}

/// Whoever was asked last did not answer.
pub(super) fn silent<C>(open: &Open<C>) -> Fault {
    let partition = open.request.partition;
    Fault::new(
        Code::Deadline,
        format!(
            "the primary of partition {partition} did not answer in time; {}",
            effect(open, true)
        ),
    )
}

/// Another attempt of the same job was being decided about to the end.
pub(super) fn undecided<C>(open: &Open<C>) -> Fault {
    Fault::new(
        Code::TooBusy,
        format!(
            "another attempt of the job was being decided about in partition {} all the time; this \
             one changed nothing; ask for the job's outcome",
            open.request.partition
        ),
    )
}

/// What a request has done that may have arrived somewhere.
fn effect<C>(open: &Open<C>, arrived: bool) -> String {
    match &open.request.ask {
        Ask::Write(write) if arrived => format!(
            "the write may or may not have happened; read `{}` to find out, or send it again under \
             request id {}",
            write.mutation.key, write.request
        ),
        Ask::Commit(commit) if arrived => format!(
            "job {} may or may not have been decided; ask for its outcome to find out",
            commit.job
        ),
        _ => "nothing was changed; try again".to_owned(),
    }
}
