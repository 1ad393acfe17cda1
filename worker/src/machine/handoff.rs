//! **handoff**: remembering for a moment what was handed to whom, so that the server's "nobody is
//! there" can be turned into "these jobs must run elsewhere".

use super::{Effect, Worker, finish};
use catena_protocol::message::assign::Assignment;
use catena_protocol::message::finish::AttemptEnd;
use catena_protocol::{AttemptId, JobId, NodeId};
use std::collections::VecDeque;

/// Hand-offs remembered at most. The server answers within a round trip, so that even the busiest
/// worker needs only those of the last milliseconds; for a forgotten one the scheduler's own
/// watch is enough.
const MOST: usize = 8_192;

#[derive(Debug)]
struct Sent {
    number: u64,
    to: NodeId,
    scheduler: NodeId,
    job: JobId,
    attempt: AttemptId,
}

/// The last hand-offs, by the number of the turn that they went out in.
#[derive(Debug, Default)]
pub struct Recent {
    number: u64,
    sent: VecDeque<Sent>,
}

impl Recent {
    /// The number of this turn.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) const fn turn_over(&mut self) {
        self.number += 1;
    }

    pub(super) fn note(&mut self, assignment: &Assignment, to: &NodeId) {
        if self.sent.len() == MOST {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent {
            number: self.number,
            to: to.clone(),
            scheduler: assignment.scheduler.clone(),
            job: assignment.job,
            attempt: assignment.attempt,
        });
    }
}

impl Worker {
    /// Gives the hand-offs of turn `number` to worker `to` back to their schedulers.
    pub(super) fn unreached(&mut self, number: u64, to: &NodeId, out: &mut Vec<Effect>) {
        let lost = |sent: &Sent| sent.number == number && sent.to == *to;
        out.extend(self.recent.sent.iter().filter(|sent| lost(sent)).map(|sent| {
            let end = AttemptEnd::Gone { worker: to.clone() };
            finish(sent.scheduler.clone(), sent.job, sent.attempt, end)
        }));
        self.recent.sent.retain(|sent| !lost(sent));
    }
}
