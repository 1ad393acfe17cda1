//! What callers are told when there is no answer: what happened, whether the job may have an
//! effect, and what to do.

use super::{Open, Settings, Stage};
use catena_protocol::{Code, Fault};

pub(super) fn too_busy(settings: &Settings) -> Fault {
    Fault::new(
        Code::TooBusy,
        format!(
            "too many jobs are open in this client (limits: {} jobs, {} bytes, {} callers of one \
             job); this one was not sent; try again when some have been answered",
            settings.open, settings.bytes, settings.callers
        ),
    )
}

pub(super) fn too_large(size: usize, most: usize) -> Fault {
    Fault::new(
        Code::TooLarge,
        format!("the input has {size} bytes; at most {most} are allowed; nothing was sent"),
    )
}

pub(super) fn over_before(keyed: bool) -> Fault {
    let fault =
        Fault::new(Code::Deadline, "the time was up before the job was sent; it had no effect");
    of_this_call(fault, keyed)
}

/// What is said of one call need not hold for its job: under an idempotency key another call,
/// of this client or of somebody else, may have been heard before.
pub(super) fn of_this_call(mut fault: Fault, keyed: bool) -> Fault {
    if keyed {
        fault.message.push_str(
            " (this call; an earlier one under the same idempotency key may have had its effect: \
             ask for the job's status)",
        );
    }
    fault
}

pub(super) fn too_late<C>(open: &Open<C>) -> Fault {
    let job = open.submit.job;
    if open.stage == Stage::Refused && !open.may_have_arrived {
        let fault = Fault::new(
            Code::Unavailable,
            "no scheduler is there; start one with `catena scheduler`, or try again; the job had \
             no effect",
        );
        return of_this_call(fault, open.submit.keyed);
    }
    Fault::new(
        Code::Deadline,
        format!(
            "job {job} was not finished in time; it may still take effect; ask for its status, or \
             run it again under the same idempotency key"
        ),
    )
}
