//! **assign**: a new attempt at a job, planned as a whole and published to its first worker.

use super::jobs::{JobKey, Phase};
use super::{Effect, Scheduler, balance};
use catena_protocol::clock::Now;
use catena_protocol::message::assign::Assignment;
use catena_protocol::message::handoff::{Effects, Step};
use catena_protocol::{AttemptId, Blob, Fault};
use rand::Rng;

/// Longest pause before a job is tried again, in microseconds.
const PAUSE_MAX_US: u64 = 200_000;

impl Scheduler {
    /// Plans anew and publishes; where there is no room the job waits a moment for some.
    pub(super) fn assign(&mut self, now: Now, key: JobKey, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        self.workers.give_back(&mut job.plan);
        let Some(chain) = &job.chain else { return };
        match balance::plan(&mut self.workers, &mut self.operators, chain, &mut job.plan) {
            Ok(()) => self.publish(now, key, out),
            // Nothing was started yet: in the queue it finds other schedulers and better times.
            Err(_) if job.attempts == 0 && !job.has_callers() => self.end(key, false, out),
            Err(fault) => self.pause(now, key, fault),
        }
        self.watch(now.mono_ms(), key);
    }

    /// Publishes the first step of a fresh attempt along the plan that the job has.
    pub(super) fn publish(&mut self, now: Now, key: JobKey, out: &mut Vec<Effect>) {
        let attempt = AttemptId(self.sixteen());
        let Some(job) = self.jobs.get_mut(key) else { return };
        let Some(chain) = &job.chain else { return };
        let nodes = job.plan.iter().filter_map(|worker| self.workers.get(*worker));
        let plan: Vec<_> = nodes.map(|worker| worker.node.clone()).collect();
        let Some(first) = plan.first().cloned() else { return };
        job.attempt = attempt;
        job.snapshot = self.clock.read(now.wall_us).max(job.after);
        job.phase = Phase::Running;
        job.since_ms = now.mono_ms();
        job.attempts += 1;
        job.recording = job.keep_ms.is_some();
        self.counters.attempts += 1;
        self.counters.steps += plan.len() as u64;
        let assignment = Assignment {
            job: job.id,
            attempt,
            chain: chain.hash,
            scheduler: self.settings.id.clone(),
            plan,
            snapshot: job.snapshot,
            deadline: job.deadline,
            reply: job.rider.as_ref().map(|caller| caller.reply.clone()),
            record_ms: job.keep_ms,
            trace: job.trace.clone(),
            tries: job.explain.then(|| job.tries()),
        };
        let payload = Blob(job.input.clone());
        let step = Step {
            assignment: Box::new(assignment),
            index: 0,
            payload,
            effects: Effects::default(),
        };
        out.push(Effect::Assign { worker: first, step });
    }

    /// Lets a job wait before its next attempt: longer each time and never in step with others
    /// that met the same trouble.
    pub(super) fn pause(&mut self, now: Now, key: JobKey, trouble: Fault) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        self.workers.give_back(&mut job.plan);
        job.pauses += 1;
        let doublings = job.pauses.min(8);
        let most = (1_000_u64 << doublings).min(PAUSE_MAX_US);
        let due_us = now.mono_us + self.random.random_range(0..=most);
        job.trouble = Some(Box::new(trouble));
        job.phase = Phase::Delayed;
        job.since_ms = now.mono_ms();
        self.delayed.insert((due_us, key));
    }

    /// Starts the attempts whose pause is over.
    pub(super) fn resume(&mut self, now: Now, out: &mut Vec<Effect>) {
        while let Some((due_us, key)) = self.delayed.first().copied() {
            if due_us > now.mono_us {
                break;
            }
            self.delayed.pop_first();
            if self.jobs.get(key).is_some_and(|job| job.phase == Phase::Delayed) {
                self.assign(now, key, out);
            }
        }
    }
}
