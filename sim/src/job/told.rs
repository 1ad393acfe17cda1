//! Whether what callers of the platform were told is what became of their jobs.

use super::{Broken, Job, Jobs, ONCE, Path, Told};
use catena_protocol::message::commit::End;

const TOLD: &str = "7: what a caller is told of its job is what became of it";
const KEPT: &str = "7: every job that is accepted has a durable end";

impl Jobs {
    /// Looks at every job that went through the platform, at the end.
    pub(super) fn judge_told(&self) -> Result<(), Broken> {
        for (number, job) in self.jobs.iter().enumerate() {
            let broken = match job.path {
                Path::Direct => continue,
                Path::Queued if job.accepted && job.outcome.is_none() => {
                    Err((KEPT, "it was accepted and has no outcome".to_owned()))
                }
                Path::Run | Path::Shared | Path::Queued => {
                    job.told.iter().try_for_each(|told| self.fits(job, told))
                }
            };
            broken.map_err(|(rule, what)| (rule, format!("job {number} ({}): {what}", job.id)))?;
        }
        Ok(())
    }

    fn fits(&self, job: &Job, told: &Told) -> Result<(), Broken> {
        let committed = job.outcome.as_ref().filter(|o| matches!(o.end, End::Committed(_)));
        match (told, committed) {
            (Told::Nothing(words), Some(outcome)) => {
                Err((TOLD, format!("told `{words}`, but it is committed: {outcome:?}")))
            }
            (Told::Good { version, number }, Some(outcome)) => {
                let by = number.and_then(|number| self.attempts.get(number));
                let fits =
                    outcome.version.0 == *version && by.is_some_and(|by| by.id == outcome.attempt);
                if fits { Ok(()) } else { Err((ONCE, format!("{told:?}, but {outcome:?}"))) }
            }
            (Told::Good { .. }, None) if job.recorded => {
                Err((TOLD, format!("{told:?}, but it has not taken effect: {:?}", job.outcome)))
            }
            (Told::Good { version, number }, None) => {
                let by = number.and_then(|number| self.attempts.get(number));
                let fits =
                    by.is_some_and(|by| by.snapshot == *version && self.jobs[by.job].id == job.id);
                if fits { Ok(()) } else { Err((TOLD, format!("{told:?} of attempt {by:?}"))) }
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Aim, Attempt};
    use catena_protocol::chain::Isolation;
    use catena_protocol::message::commit::Outcome;
    use catena_protocol::{AttemptId, Fault, JobId, Name, Timestamp};

    fn jobs(path: Path, told: Option<Told>, end: Option<End>) -> Jobs {
        let mut jobs = Jobs::default();
        let id = JobId::random(0, 1, [1; 8]);
        let outcome = end.zip(Name::new("work").ok()).map(|(end, chain)| Outcome {
            job: id,
            attempt: AttemptId([7; 16]),
            chain,
            version: Timestamp(50),
            end,
            expires: Timestamp(90),
        });
        jobs.begin(Job {
            id,
            client: 0,
            aim: Aim::Deposit,
            isolation: Isolation::Serializable,
            keys: Vec::new(),
            attempts: 0,
            outcome,
            told_us: 0,
            after: 0,
            lost: None,
            path,
            told: told.into_iter().collect(),
            accepted: path == Path::Queued,
            recorded: true,
            request: None,
        });
        let (reads, scans) = Default::default();
        let id = AttemptId([7; 16]);
        jobs.attempts.push(Attempt { job: 0, id, snapshot: 40, reads, scans, writes: None });
        jobs
    }

    fn seen(path: Path, told: Option<Told>, end: Option<End>) -> Option<&'static str> {
        jobs(path, told, end).judge_told().err().map(|(rule, _)| rule)
    }

    #[test]
    fn what_was_told_and_is_not_so_is_seen() {
        let good = |version, number| Some(Told::Good { version, number: Some(number) });
        let nothing = || Some(Told::Nothing("nothing was changed".to_owned()));
        let committed = || Some(End::Committed("0".into()));
        let failed = || Some(End::Failed(Fault::bad_request("x")));
        assert_eq!(seen(Path::Run, good(50, 0), committed()), None);
        assert_eq!(seen(Path::Run, good(51, 0), committed()), Some(ONCE));
        assert_eq!(seen(Path::Run, good(50, 1), committed()), Some(ONCE));
        assert_eq!(seen(Path::Run, good(50, 0), failed()), Some(TOLD));
        assert_eq!(seen(Path::Run, good(50, 0), None), Some(TOLD));
        assert_eq!(seen(Path::Run, nothing(), committed()), Some(TOLD));
        assert_eq!(seen(Path::Run, nothing(), failed()), None);
        assert_eq!(seen(Path::Run, Some(Told::Unclear), committed()), None);
        assert_eq!(seen(Path::Queued, None, None), Some(KEPT));
        assert_eq!(seen(Path::Queued, None, failed()), None);
    }
}
