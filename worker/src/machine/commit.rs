//! **commit**: the last worker asks the home partition to let the job take effect, and answers.

use super::held::{Held, Token};
use super::{Effect, Worker};
use catena_protocol::message::commit::{Commit, Costs, Decided, End, Outcome};
use catena_protocol::message::finish::{Answer, AttemptEnd, Explained, Finished};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::store::Tell;
use catena_protocol::{Blob, Code, Fault, limit};

impl Worker {
    pub(super) fn commit(
        &mut self,
        held: Held,
        result: Blob,
        effects: Effects,
        out: &mut Vec<Effect>,
    ) {
        let assignment = &held.assignment;
        let commit = Commit {
            job: assignment.job,
            attempt: assignment.attempt,
            chain: held.chain.name.clone(),
            snapshot: assignment.snapshot,
            isolation: held.chain.isolation,
            effects,
            end: End::Committed(result),
            keep_ms: assignment.record_ms.unwrap_or(limit::OUTCOME_RUN_MS),
            explain: assignment.tries.is_some(),
        };
        let token = self.steps.insert(held);
        out.push(Effect::Commit(token, commit));
    }

    pub(super) fn decided(&mut self, token: Token, tell: Tell, out: &mut Vec<Effect>) {
        let Some(held) = self.steps.remove(token) else { return };
        let end = match tell {
            Tell::Decided(Decided::Outcome(outcome)) => settle(&held, outcome, None, out),
            Tell::Decided(Decided::Explained(outcome, costs)) => {
                settle(&held, outcome, Some(*costs), out)
            }
            Tell::Decided(Decided::Conflict { version, .. }) => AttemptEnd::Conflict { version },
            Tell::Decided(Decided::Busy { wait_ms }) => AttemptEnd::Again {
                fault: Fault::new(
                    Code::Unavailable,
                    format!(
                        "another attempt of the job is being decided about; nothing was recorded \
                         of this one; its outcome is known in about {wait_ms} ms"
                    ),
                ),
            },
            Tell::SnapshotTooOld { horizon } => AttemptEnd::Again {
                fault: Fault::new(
                    Code::Conflict,
                    format!("the snapshot is older than the store keeps (horizon {horizon})"),
                ),
            },
            Tell::Fault(fault) => refused(&held, fault),
            other => AttemptEnd::Again {
                fault: Fault::new(
                    Code::Internal,
                    format!("unexpected answer to a commit: {other:?}"),
                ),
            },
        };
        Self::finish(&held, end, out);
    }
}

fn settle(
    held: &Held,
    outcome: Outcome,
    costs: Option<Costs>,
    out: &mut Vec<Effect>,
) -> AttemptEnd {
    let version = outcome.version;
    let good = matches!(outcome.end, End::Committed(_));
    if let Some(reply) = held.assignment.reply.clone() {
        let (job, result, explained) = (outcome.job, answer(outcome.end), explained(held, costs));
        let finished = Finished { job, version, result, explained };
        out.push(Effect::Answer { reply, finished });
    }
    AttemptEnd::Decided { version, good }
}

/// What the job took, if its caller wants to know.
pub(super) fn explained(held: &Held, commit: Option<Costs>) -> Option<Box<Explained>> {
    let tries = held.assignment.tries?;
    Some(Box::new(Explained { tries, plan: held.assignment.plan.clone(), commit }))
}

/// What a caller is told of a recorded end.
pub fn answer(end: End) -> Answer {
    match end {
        End::Committed(result) => Answer::Result(result),
        End::Failed(fault) | End::Dead(fault) => Answer::Fault(fault),
        End::Cancelled => Answer::Fault(Fault::new(Code::Cancelled, "the job was cancelled")),
    }
}

/// A refused commit changed nothing. Whether trying again can help depends on why.
fn refused(held: &Held, fault: Fault) -> AttemptEnd {
    match fault.code {
        Code::TooLarge | Code::BadRequest | Code::OperatorFailed | Code::NotFound => {
            AttemptEnd::Failed { step: held.index, fault }
        }
        _ => AttemptEnd::Again { fault },
    }
}
