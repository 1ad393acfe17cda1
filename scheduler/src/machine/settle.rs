//! How a job ends here: its outcome is at its home or needs none, every caller is answered, its
//! place and its input are given back.

use super::jobs::{Job, JobKey, Phase};
use super::submit::answer;
use super::{Effect, Scheduler};
use catena_protocol::chain::Isolation;
use catena_protocol::clock::Now;
use catena_protocol::message::commit::{Commit, Decided, End, Outcome};
use catena_protocol::message::finish::Answer;
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Code, Fault, JobId, Timestamp};

/// How long after the deadline it is tried to record a failure, in milliseconds.
pub(super) const RECORD_GRACE_MS: u64 = 15_000;

impl Scheduler {
    /// A job failed for good. If it needs an outcome, its home decides whether this is it.
    pub(super) fn fail(&mut self, now: Now, key: JobKey, fault: Fault, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        self.workers.give_back(&mut job.plan);
        if job.keep_ms.is_none() {
            let snapshot = job.snapshot;
            return self.close(key, snapshot, Answer::Fault(fault), out);
        }
        job.phase = Phase::Recording(End::Failed(fault));
        job.since_ms = now.mono_ms();
        self.record(now, key, out);
        self.watch(now.mono_ms(), key);
    }

    /// Sends the end of a job to its home, again and again until it answers.
    pub(super) fn record(&mut self, now: Now, key: JobKey, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        let Phase::Recording(end) = &job.phase else { return };
        job.since_ms = now.mono_ms();
        let commit = Commit {
            job: job.id,
            attempt: job.attempt,
            chain: job.called().clone(),
            snapshot: job.snapshot,
            isolation: Isolation::Snapshot,
            effects: Effects::default(),
            end: end.clone(),
            keep_ms: job.keep_ms.unwrap_or_default(),
            explain: false,
        };
        out.push(Effect::Ask { job: job.id, ask: Ask::Commit(commit) });
    }

    /// Asks home whether the job has an outcome; the attempt that was out does not count here
    /// any more, though it may still be the one that commits.
    pub(super) fn ask_home(&mut self, now: Now, key: JobKey, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        self.workers.give_back(&mut job.plan);
        job.phase = Phase::Asking;
        job.since_ms = now.mono_ms();
        out.push(Effect::Ask { job: job.id, ask: Ask::Outcome(job.id) });
    }

    /// The caller that rode along was answered by the worker; the others need the outcome.
    pub(super) fn settle_others(&mut self, now: Now, key: JobKey, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        if job.recording {
            self.ask_home(now, key, out);
            self.watch(now.mono_ms(), key);
            return;
        }
        // Nothing was recorded, so it had no effect: run it again for the others.
        if job.rider.is_none() && !job.others.is_empty() {
            job.rider = Some(job.others.remove(0));
        }
        self.assign(now, key, out);
    }

    /// The home of a job answered.
    pub(super) fn told(&mut self, now: Now, id: JobId, tell: Tell, out: &mut Vec<Effect>) {
        let Some(key) = self.jobs.find(&id) else { return };
        let Some(job) = self.jobs.get(key) else { return };
        match (tell, &job.phase) {
            (Tell::Decided(Decided::Outcome(outcome)) | Tell::Outcome(Some(outcome)), _)
                if outcome.job == id =>
            {
                self.conclude(now, key, outcome, out);
            }
            (Tell::Outcome(None), Phase::Asking) => self.assign(now, key, out),
            (Tell::Fault(fault), Phase::Asking) => {
                // The next attempt finds the outcome if there is one.
                self.pause(now, key, fault);
                self.watch(now.mono_ms(), key);
            }
            (Tell::Fault(fault), Phase::Recording(_)) => self.not_recorded(now, key, fault, out),
            // Any other answer leaves the job as it is; it asks again when its time comes.
            _ => {}
        }
    }

    fn conclude(&mut self, now: Now, key: JobKey, outcome: Outcome, out: &mut Vec<Effect>) {
        let _ = self.clock.observe(outcome.version, now.wall_us);
        let result = match outcome.end {
            End::Committed(result) => Answer::Result(result),
            End::Failed(fault) | End::Dead(fault) => Answer::Fault(fault),
            End::Cancelled => {
                let message = format!("job `{}` was cancelled; it changed nothing", outcome.job);
                Answer::Fault(Fault::new(Code::Cancelled, message))
            }
        };
        self.close(key, outcome.version, result, out);
    }

    /// The store could not be reached. It is tried again for a while.
    fn not_recorded(&mut self, now: Now, key: JobKey, fault: Fault, out: &mut Vec<Effect>) {
        let now_ms = now.mono_ms();
        let Some(job) = self.jobs.get_mut(key) else { return };
        job.trouble = Some(Box::new(fault));
        if now_ms > job.deadline_ms.saturating_add(RECORD_GRACE_MS) {
            self.give_up(key, out);
        } else {
            self.watch(now_ms, key);
        }
    }

    /// Ends a job whose outcome could not be recorded. Its queue message comes again.
    pub(super) fn give_up(&mut self, key: JobKey, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        let id = job.id;
        let why = job.trouble.take().map_or_else(String::new, |fault| format!(": {fault}"));
        let fault = Fault::new(
            Code::Unavailable,
            format!(
                "the outcome of job `{id}` is not known, its home does not answer{why}; ask \
                 again for its status or send it again under the same id"
            ),
        );
        self.counters.bad += 1;
        answer_all(job, Timestamp::ZERO, &Answer::Fault(fault), out);
        self.end(key, false, out);
    }

    /// Answers everybody and ends the job.
    fn close(&mut self, key: JobKey, version: Timestamp, result: Answer, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        match result {
            Answer::Result(_) => self.counters.good += 1,
            Answer::Fault(_) | Answer::Elsewhere { .. } => self.counters.bad += 1,
        }
        answer_all(job, version, &result, out);
        self.end(key, true, out);
    }

    /// Gives back what a job holds.
    pub(super) fn end(&mut self, key: JobKey, done: bool, out: &mut Vec<Effect>) {
        let Some(mut job) = self.jobs.remove(key) else { return };
        self.workers.give_back(&mut job.plan);
        for token in job.tokens {
            out.push(Effect::Release { token, done });
        }
        // Its room serves the next job.
        if self.plan.capacity() == 0 {
            self.plan = job.plan;
        }
    }
}

/// Answers every caller that still waits.
pub(super) fn answer_all(
    job: &mut Job,
    version: Timestamp,
    result: &Answer,
    out: &mut Vec<Effect>,
) {
    for caller in job.rider.take().into_iter().chain(job.others.drain(..)) {
        out.push(answer(caller.reply, job.id, version, result.clone()));
    }
}
