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

pub(super) fn too_late<C>(open: &Open<C>) -> Fault {
    let partition = open.request.partition;
    let heard = open.waits_for.is_none() && !open.may_have_arrived();
    if heard {
        return Fault::new(
            Code::Unavailable,
            format!(
                "partition {partition} has no primary at the moment; nothing was changed; try again"
            ),
        );
    }
    let effect = match &open.request.ask {
        Ask::Write(write) => format!(
            "the write may or may not have happened; read `{}` to find out, or send it again under \
             request id {}",
            write.mutation.key, write.request
        ),
        Ask::Commit(commit) => format!(
            "job {} may or may not have been decided; ask for its outcome to find out",
            commit.job
        ),
        Ask::Read(_) | Ask::Scan(_) | Ask::Outcome(_) => {
            "nothing was changed; try again".to_owned()
        }
    };
    Fault::new(
        Code::Deadline,
        format!("the primary of partition {partition} did not answer in time; {effect}"),
    )
}
