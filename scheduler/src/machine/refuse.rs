//! What becomes of a submission that is not admitted.

use super::jobs::{Job, Phase};
use super::submit::{Called, Source, Submission, answer};
use super::{Effect, Scheduler};
use bytes::Bytes;
use catena_protocol::clock::Now;
use catena_protocol::message::commit::End;
use catena_protocol::message::finish::Answer;
use catena_protocol::{AttemptId, Code, Fault, JobId, Timestamp, limit};
use rand::Rng;

impl Scheduler {
    /// Tells the submitter that nothing was started. A message on the queue that can never run
    /// is recorded as failed, or dropped where its home would refuse that; any other comes again
    /// later.
    pub(super) fn refuse(
        &mut self,
        now: Now,
        submission: Submission,
        fault: Fault,
        out: &mut Vec<Effect>,
    ) {
        self.counters.refused += 1;
        let identified = self.identify(now, &submission, None).ok().map(|(job, _)| job);
        // An id that cannot be told yet is made up: nothing was started under it.
        let job = identified.unwrap_or_else(|| JobId::random(0, now.wall_us, self.random.random()));
        match submission.source {
            Source::Run(reply) | Source::Enqueue(Some(reply)) => {
                out.push(answer(reply, job, Timestamp::ZERO, Answer::Fault(fault)));
            }
            Source::Enqueue(None) => {}
            Source::Queue { token, .. } => {
                let hopeless = identified.is_some()
                    && matches!(fault.code, Code::BadRequest | Code::NotFound | Code::TooLarge);
                if hopeless && forgotten(&job, now) {
                    out.push(Effect::Drop { token, fault });
                } else if hopeless && self.check_room(0).is_ok() && self.jobs.find(&job).is_none() {
                    self.bury(now, job, &submission.called, token, fault, out);
                } else {
                    out.push(Effect::Release { token, done: false });
                }
            }
        }
    }

    /// A queued job that cannot run: only its failure is recorded.
    fn bury(
        &mut self,
        now: Now,
        id: JobId,
        called: &Called,
        token: u64,
        fault: Fault,
        out: &mut Vec<Effect>,
    ) {
        let mut job = Job::new(id, called.name(), Bytes::new(), now, 0);
        job.phase = Phase::Recording(End::Failed(fault));
        job.attempt = AttemptId(self.sixteen());
        job.snapshot = self.clock.read(now.wall_us);
        job.keep_ms = Some(limit::OUTCOME_SUBMIT_MS);
        job.tokens.push(token);
        let key = self.jobs.insert(job);
        self.record(now, key, out);
        self.watch(now.mono_ms(), key);
    }
}

/// Whether a job's id says that its home records nothing for it any more.
fn forgotten(job: &JobId, now: Now) -> bool {
    let now_ms = now.wall_us / 1_000;
    job.submitted_ms().is_some_and(|at| now_ms.saturating_sub(at) > limit::OUTCOME_SUBMIT_MS)
}
