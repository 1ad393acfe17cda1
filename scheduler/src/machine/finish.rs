//! **finish**: an attempt ended. Either the job has its outcome, or it runs again, or its failure
//! becomes the outcome.

use super::jobs::{Job, JobKey, Phase};
use super::workers::Blocked;
use super::{Effect, Scheduler};
use catena_protocol::clock::Now;
use catena_protocol::message::finish::{AttemptEnd, Finish};
use catena_protocol::{Code, Fault, NodeId, Timestamp};

impl Scheduler {
    pub(super) fn finish(&mut self, now: Now, finish: Finish, out: &mut Vec<Effect>) {
        let Some(key) = self.jobs.find(&finish.job) else {
            self.counters.late += 1;
            return;
        };
        let current =
            self.jobs.get(key).is_some_and(|job| job.attempt == finish.attempt && job.is_running());
        match finish.end {
            AttemptEnd::Decided { version, good } if current => {
                self.decided(now, key, version, good, out);
            }
            AttemptEnd::Decided { .. } => self.decided_before(now, key, out),
            _ if !current => self.counters.late += 1,
            AttemptEnd::Failed { fault, .. } => self.failed(now, key, fault, out),
            AttemptEnd::Conflict { version } => self.lost(now, key, version, out),
            AttemptEnd::Full { worker } => {
                self.elsewhere(now, key, &worker, Blocked::Full, out);
            }
            AttemptEnd::Gone { worker } => {
                self.elsewhere(now, key, &worker, Blocked::Gone, out);
            }
            AttemptEnd::Again { fault } => self.again(now, key, fault, out),
        }
    }

    /// An attempt that was given up has got through after all. Whom it answered is not known
    /// here, so where it left an outcome everybody is answered from that; where it left none the
    /// attempt that is out goes on.
    fn decided_before(&mut self, now: Now, key: JobKey, out: &mut Vec<Effect>) {
        self.counters.late += 1;
        let waits = |job: &Job| matches!(job.phase, Phase::Running | Phase::Delayed);
        if self.jobs.get(key).is_some_and(|job| job.recording && waits(job)) {
            self.ask_home(now, key, out);
            self.watch(now.mono_ms(), key);
        }
    }

    /// The last worker has answered the caller that rode along.
    fn decided(
        &mut self,
        now: Now,
        key: JobKey,
        version: Timestamp,
        good: bool,
        out: &mut Vec<Effect>,
    ) {
        // A version too far ahead of this clock is not believed; nothing depends on it here.
        let _ = self.clock.observe(version, now.wall_us);
        let Some(job) = self.jobs.get_mut(key) else { return };
        job.rider = None;
        if !job.others.is_empty() || (!job.tokens.is_empty() && !job.recording) {
            return self.settle_others(now, key, out);
        }
        if good {
            self.counters.good += 1;
        } else {
            self.counters.bad += 1;
        }
        self.end(key, true, out);
    }

    /// An operator failed: the chain says how often that is tried again.
    fn failed(&mut self, now: Now, key: JobKey, fault: Fault, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        let retries = job.chain.as_ref().map_or(0, |chain| chain.retries);
        if job.retries < retries {
            job.retries += 1;
            self.counters.retries += 1;
            self.pause(now, key, fault);
            self.watch(now.mono_ms(), key);
        } else {
            self.fail(now, key, fault, out);
        }
    }

    /// Another job was faster: run on a snapshot that sees what it did.
    fn lost(&mut self, now: Now, key: JobKey, version: Timestamp, out: &mut Vec<Effect>) {
        self.counters.conflicts += 1;
        let most = self.settings.conflicts;
        // The clock is then past it, and with it the snapshot of the next attempt.
        let _ = self.clock.observe(version, now.wall_us);
        let Some(job) = self.jobs.get_mut(key) else { return };
        job.conflicts += 1;
        let message = format!(
            "job `{}` lost {} times against others that changed the same keys; nothing was \
             changed; try again later",
            job.id, job.conflicts
        );
        let fault = Fault::new(Code::Conflict, message);
        if job.conflicts > most {
            return self.fail(now, key, fault, out);
        }
        self.pause(now, key, fault);
        self.watch(now.mono_ms(), key);
    }

    /// A worker of the plan cannot take its step.
    fn elsewhere(
        &mut self,
        now: Now,
        key: JobKey,
        worker: &NodeId,
        why: Blocked,
        out: &mut Vec<Effect>,
    ) {
        if let Some(worker) = self.workers.find(worker) {
            self.workers.block(worker, why);
        }
        if self.jobs.get(key).is_some_and(|job| job.repeats == 0) {
            self.count_repeat(key);
            self.assign(now, key, out);
        } else {
            let fault = Fault::new(Code::Unavailable, format!("worker `{worker}` took no step"));
            self.again(now, key, fault, out);
        }
    }

    /// Trouble that is nobody's fault: run again, but not for ever.
    fn again(&mut self, now: Now, key: JobKey, fault: Fault, out: &mut Vec<Effect>) {
        let most = self.settings.repeats;
        if self.jobs.get(key).is_some_and(|job| job.repeats >= most) {
            return self.fail(now, key, fault, out);
        }
        self.count_repeat(key);
        self.pause(now, key, fault);
        self.watch(now.mono_ms(), key);
    }

    fn count_repeat(&mut self, key: JobKey) {
        self.counters.repeated += 1;
        if let Some(job) = self.jobs.get_mut(key) {
            job.repeats += 1;
        }
    }
}
