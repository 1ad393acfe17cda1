//! Which job a submission means: its id, and with it its home partition.

use super::Scheduler;
use super::chains::Ready;
use super::submit::{Called, Identity, Source, Submission};
use catena_protocol::chain::routing_key;
use catena_protocol::clock::Now;
use catena_protocol::{Code, Fault, JobId, limit, partition};
use rand::{Rng, RngCore};
use std::num::NonZeroU16;

impl Scheduler {
    /// The id of the job, and whether it stands for an idempotency key.
    ///
    /// Where a key decides the home, the number of partitions must be known for sure: a guess
    /// would make two jobs of one key. Any other home will do until then.
    pub(super) fn identify(
        &mut self,
        now: Now,
        submission: &Submission,
        chain: Option<&Ready>,
    ) -> Result<(JobId, bool), Fault> {
        let found = |routing: &Option<String>| {
            routing.clone().or_else(|| routing_key(&submission.input, chain?.key.as_deref()?))
        };
        Ok(match &submission.identity {
            Identity::Given { job, keyed } => (*job, *keyed),
            Identity::Proposed { job } => (*job, false),
            Identity::Key { idempotency, routing } => {
                (self.keyed(submission, idempotency, routing.as_deref())?, true)
            }
            Identity::Request { request, routing } => {
                (self.keyed(submission, request, found(routing).as_deref())?, true)
            }
            Identity::Random { routing } => {
                let home = match found(routing) {
                    Some(key) => partition(&key, self.sure_partitions()?),
                    None => self.random.random_range(0..self.partitions()),
                };
                (JobId::random(home, now.wall_us, self.random.random()), false)
            }
        })
    }

    /// The job that a key stands for, at the home that `routing`, or else the key itself, chooses.
    fn keyed(
        &self,
        submission: &Submission,
        key: &str,
        routing: Option<&str>,
    ) -> Result<JobId, Fault> {
        let home = partition(routing.unwrap_or(key), self.sure_partitions()?);
        let chain = match &submission.called {
            Called::Named(name) => name.as_str(),
            Called::Inline(text) => text,
        };
        Ok(JobId::keyed(home, chain, routing, key))
    }

    /// The chain's `key`, if by it the home of a job is another one than its submitter proposed.
    pub(super) fn better_home(&self, submission: &Submission, chain: &Ready) -> Option<String> {
        let Identity::Proposed { job } = submission.identity else { return None };
        let pointer = chain.key.as_deref()?;
        let home = partition(&routing_key(&submission.input, pointer)?, self.partitions?.get());
        (home != job.home()).then(|| pointer.to_owned())
    }

    fn sure_partitions(&self) -> Result<u16, Fault> {
        self.partitions.map(NonZeroU16::get).ok_or_else(|| {
            let text = "no storage node was heard yet, and a key needs one to know its partition; \
                        nothing was started; try again";
            Fault::new(Code::Unavailable, text)
        })
    }

    /// Refuses an id that this cluster cannot keep its promise for.
    pub(super) fn check_id(&self, now: Now, job: &JobId, source: &Source) -> Result<(), Fault> {
        let partitions = self.partitions();
        if job.home() >= partitions {
            return Err(Fault::bad_request(format!(
                "the home of job `{job}` is partition {}; this cluster has {}; nothing was started",
                job.home(),
                partitions
            )));
        }
        // An id that stands for a key does not say its age, and its home does not refuse it: it must
        // not be begun when its end would come after the outcome of an earlier attempt is gone.
        let (since_ms, kept_ms) = match source {
            Source::Run(_) => (job.submitted_ms(), limit::OUTCOME_RUN_MS),
            Source::Enqueue(_) => (job.submitted_ms(), limit::OUTCOME_SUBMIT_MS),
            Source::Queue { stored_ms, .. } => {
                (Some(*stored_ms), limit::OUTCOME_SUBMIT_MS - limit::DEADLINE_MAX_MS)
            }
        };
        let age_ms = since_ms.map_or(0, |ms| (now.wall_us / 1000).saturating_sub(ms));
        if age_ms > kept_ms {
            return Err(Fault::bad_request(format!(
                "job `{job}` was submitted {} s ago, and its outcome is kept for {} s only; \
                 nothing was started; submit it under a new id",
                age_ms / 1000,
                kept_ms / 1000
            )));
        }
        Ok(())
    }

    /// Sixteen bytes by chance.
    pub(super) fn sixteen(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.random.fill_bytes(&mut bytes);
        bytes
    }
}
