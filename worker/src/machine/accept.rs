//! **assign** and **handoff**, seen from the worker that a step arrives at.

use super::held::{Held, Waiting};
use super::{Effect, Run, Worker, finish};
use catena_protocol::chain::Chain;
use catena_protocol::clock::Now;
use catena_protocol::message::finish::AttemptEnd;
use catena_protocol::message::handoff::Step;
use catena_protocol::{ChainHash, Code, Fault};
use std::sync::Arc;

/// How long a scheduler has to send a chain before it is asked again.
const ASK_AGAIN_US: u64 = 500_000;
/// How often a scheduler is asked before the steps go back to it.
const ASKED_MOST: u8 = 3;

impl Worker {
    pub(super) fn accept(&mut self, now: Now, step: Step, out: &mut Vec<Effect>) {
        if self.draining || self.outstanding() >= self.settings.capacity {
            let worker = self.settings.id.clone();
            return give_back(&step, AttemptEnd::Full { worker }, out);
        }
        let index = usize::from(step.index);
        if step.assignment.plan.get(index) != Some(&self.settings.id) {
            let fault = Fault::bad_request("the step is not planned for this worker");
            return give_back(&step, AttemptEnd::Again { fault }, out);
        }
        let hash = step.assignment.chain;
        match self.chains.get(&hash) {
            Some(chain) => self.take(now, step, chain, out),
            None => self.want(now, hash, step, out),
        }
    }

    fn take(&mut self, now: Now, step: Step, chain: Arc<Chain>, out: &mut Vec<Effect>) {
        if usize::from(step.index) >= chain.steps.len()
            || step.assignment.plan.len() != chain.steps.len()
        {
            let fault = Fault::bad_request("the plan does not fit the chain");
            return give_back(&step, AttemptEnd::Again { fault }, out);
        }
        if step.assignment.deadline.0 <= now.wall_us {
            let fault = Fault::new(Code::Deadline, "the job's deadline has passed");
            return give_back(&step, AttemptEnd::Failed { step: step.index, fault }, out);
        }
        self.run(step, chain, out);
    }

    pub(super) fn run(&mut self, step: Step, chain: Arc<Chain>, out: &mut Vec<Effect>) {
        let Step { assignment, index, payload, effects } = step;
        let (job, attempt) = (assignment.job, assignment.attempt);
        let (snapshot, hash) = (assignment.snapshot, assignment.chain);
        let trace = assignment.trace.clone();
        let token = self.steps.insert(Held::new(assignment, index, Arc::clone(&chain)));
        out.push(Effect::Run(Run {
            token,
            chain,
            hash,
            index,
            job,
            attempt,
            snapshot,
            trace,
            payload,
            effects,
        }));
    }

    fn want(&mut self, now: Now, hash: ChainHash, step: Step, out: &mut Vec<Effect>) {
        let retry_us = now.mono_us + ASK_AGAIN_US;
        let waiting = self.chains.wanted.entry(hash).or_insert_with(|| {
            out.push(Effect::Want { scheduler: step.assignment.scheduler.clone(), chain: hash });
            Waiting { steps: Vec::new(), retry_us, asked: 1 }
        });
        waiting.steps.push(step);
    }

    pub(super) fn chain(
        &mut self,
        now: Now,
        hash: ChainHash,
        chain: Option<Arc<Chain>>,
        out: &mut Vec<Effect>,
    ) {
        let Some(waiting) = self.chains.wanted.remove(&hash) else { return };
        let Some(chain) = chain else {
            let fault =
                Fault::new(Code::Internal, "the scheduler does not know the chain any more");
            for step in &waiting.steps {
                give_back(step, AttemptEnd::Again { fault: fault.clone() }, out);
            }
            return;
        };
        if let Some(forgotten) = self.chains.insert(hash, Arc::clone(&chain)) {
            out.push(Effect::Forget(forgotten));
        }
        for step in waiting.steps {
            self.take(now, step, Arc::clone(&chain), out);
        }
    }

    pub(super) fn retry_chains(&mut self, now: Now, out: &mut Vec<Effect>) {
        let due: Vec<ChainHash> = self
            .chains
            .wanted
            .iter()
            .filter(|(_, waiting)| waiting.retry_us <= now.mono_us)
            .map(|(hash, _)| *hash)
            .collect();
        for hash in due {
            let Some(waiting) = self.chains.wanted.get_mut(&hash) else { continue };
            if waiting.asked >= ASKED_MOST {
                self.chain(now, hash, None, out);
                continue;
            }
            waiting.asked += 1;
            waiting.retry_us = now.mono_us + ASK_AGAIN_US;
            // Another of the waiting steps may come from a scheduler that still lives.
            let asked = usize::from(waiting.asked) % waiting.steps.len().max(1);
            if let Some(step) = waiting.steps.get(asked) {
                let scheduler = step.assignment.scheduler.clone();
                out.push(Effect::Want { scheduler, chain: hash });
            }
        }
    }
}

fn give_back(step: &Step, end: AttemptEnd, out: &mut Vec<Effect>) {
    let assignment = &step.assignment;
    out.push(finish(assignment.scheduler.clone(), assignment.job, assignment.attempt, end));
}
