//! What follows when a step has ended, or took too long.

use super::held::{Held, Token};
use super::{Effect, Worker};
use catena_protocol::chain::Effect as Declared;
use catena_protocol::clock::Now;
use catena_protocol::message::finish::{Answer, AttemptEnd, Finished};
use catena_protocol::message::handoff::{Effects, Step};
use catena_protocol::{Blob, Code, Fault, limit};

impl Worker {
    pub(super) fn started(&mut self, now: Now, token: Token) {
        let Some(held) = self.steps.get(token) else { return };
        let left_us = held.assignment.deadline.0.saturating_sub(now.wall_us);
        let limit_us = held.chain.step_timeout_ms.saturating_mul(1000).min(left_us);
        self.steps.set_timeout(token, now.mono_us.saturating_add(limit_us));
    }

    pub(super) fn time_out(&mut self, token: Token, out: &mut Vec<Effect>) {
        let Some(held) = self.steps.remove(token) else { return };
        out.push(Effect::Stop(token));
        let operator = &held.chain.steps[usize::from(held.index)].operator;
        let fault = Fault::new(
            Code::Deadline,
            format!("operator `{operator}` (step {}) did not finish in time", held.index),
        );
        Self::finish(&held, AttemptEnd::Failed { step: held.index, fault }, out);
    }

    pub(super) fn done(
        &mut self,
        now: Now,
        token: Token,
        output: Result<Blob, Fault>,
        effects: Effects,
        out: &mut Vec<Effect>,
    ) {
        let Some(held) = self.steps.remove(token) else { return };
        let output = output.and_then(|result| self.within_limits(&held, result, &effects));
        match output {
            Err(fault) => Self::finish(&held, failure(&held, fault), out),
            Ok(result) if is_last(&held) => self.end(held, result, effects, out),
            Ok(payload) => self.next(now, held, payload, effects, out),
        }
    }

    fn within_limits(&self, held: &Held, result: Blob, effects: &Effects) -> Result<Blob, Fault> {
        let operator = &held.chain.steps[usize::from(held.index)].operator;
        let too_large = |what: &str, bytes: usize, most: usize| {
            Err(Fault::new(
                Code::TooLarge,
                format!(
                    "{what} of operator `{operator}` has {bytes} bytes; at most {most} are allowed; nothing was changed"
                ),
            ))
        };
        if result.len() > limit::PAYLOAD_BYTES {
            return too_large("the result", result.len(), limit::PAYLOAD_BYTES);
        }
        if effects.is_empty() {
            return Ok(result);
        }
        let keys: usize =
            effects.reads.iter().chain(&effects.scans).map(|key| key.as_str().len() + 3).sum();
        let all = result.len() + effects.write_bytes() + 16 * effects.writes.len() + keys;
        if all > self.settings.message_limit {
            return too_large(
                "the result with all reads and writes",
                all,
                self.settings.message_limit,
            );
        }
        Ok(result)
    }

    fn next(
        &mut self,
        now: Now,
        held: Held,
        payload: Blob,
        effects: Effects,
        out: &mut Vec<Effect>,
    ) {
        let Held { assignment, index, chain, .. } = held;
        let index = index + 1;
        let to = assignment.plan[usize::from(index)].clone();
        let step = Step { assignment, index, payload, effects };
        if to != self.settings.id {
            self.recent.note(&step.assignment, &to);
            out.push(Effect::Handoff { to, step });
        } else if step.assignment.deadline.0 <= now.wall_us {
            let fault = Fault::new(Code::Deadline, "the job's deadline has passed");
            let held = Held::new(step.assignment, index, chain);
            Self::finish(&held, AttemptEnd::Failed { step: index, fault }, out);
        } else {
            self.run(step, chain, out);
        }
    }

    fn end(&mut self, held: Held, result: Blob, effects: Effects, out: &mut Vec<Effect>) {
        let must_record = held.assignment.record_ms.is_some() || !effects.writes.is_empty();
        if must_record {
            return self.commit(held, result, effects, out);
        }
        let version = held.assignment.snapshot;
        if let Some(reply) = held.assignment.reply.clone() {
            let job = held.assignment.job;
            let explained = super::commit::explained(&held, None);
            let finished = Finished { job, version, result: Answer::Result(result), explained };
            out.push(Effect::Answer { reply, finished });
        }
        Self::finish(&held, AttemptEnd::Decided { version, good: true }, out);
    }
}

fn is_last(held: &Held) -> bool {
    usize::from(held.index) + 1 == held.chain.steps.len()
}

/// A store that is away or has moved on is no failure of the operator: the job runs again. A
/// service operator that is not there is a failure; what one says is its own, with a code of its
/// own, so that a conflict is the store's there too.
fn failure(held: &Held, fault: Fault) -> AttemptEnd {
    let step = &held.chain.steps[usize::from(held.index)];
    let own = step.effect == Declared::Pure
        || (fault.code == Code::Unavailable && step.service.is_some());
    match fault.code {
        Code::Unavailable | Code::Conflict if !own => AttemptEnd::Again { fault },
        _ => AttemptEnd::Failed { step: held.index, fault },
    }
}
