//! Every job takes effect exactly once if it is said to have been committed, and never if it is
//! said to have failed.
//!
//! Each job writes a record about itself, beside everything else that it writes, at one version.
//! So what its callers were told, its outcome, and this record must tell the same.

use super::aim::Job;
use super::ledger::{Entry, Told};
use super::settle::{Ended, Facts};

/// What became of a job, from everything that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It took effect at this version, with this result.
    Committed(u64, Job),
    /// It had no effect.
    Aborted,
    /// It read and did not say what.
    Silent,
}

/// The fates of all jobs, and what contradicts itself.
pub(crate) fn fates(entries: &[Entry], facts: &[Facts]) -> (Vec<Fate>, Vec<String>) {
    let mut wrong = Vec::new();
    let fates = entries.iter().zip(facts).map(|(entry, facts)| {
        let fate = fate(entry, facts);
        if let Some(what) = contradiction(entry, facts, &fate) {
            let number = entry.job.number;
            wrong.push(format!("job {number} {what}: {entry:?}, {facts:?}"));
        }
        fate
    });
    (fates.collect(), wrong)
}

/// What its caller was told counts first, then its outcome, then its record.
fn fate(entry: &Entry, facts: &Facts) -> Fate {
    match (&entry.told, &facts.outcome, &facts.record) {
        (Told::Done(version, job), _, _) => Fate::Committed(*version, job.clone()),
        (Told::Unknown(_), _, _) if !entry.job.aim.writes() => Fate::Silent,
        (Told::Refused(_), _, _) | (_, Ended::Nothing | Ended::Failed(_), _) => Fate::Aborted,
        (_, Ended::Committed(version, result), _) => match serde_json::from_slice(result) {
            Ok(job) => Fate::Committed(*version, job),
            Err(_) => Fate::Aborted,
        },
        (_, Ended::NotAsked, Some((version, job))) => Fate::Committed(*version, job.clone()),
        (_, Ended::NotAsked, None) => Fate::Aborted,
    }
}

fn contradiction(entry: &Entry, facts: &Facts, fate: &Fate) -> Option<&'static str> {
    if !entry.job.aim.writes() {
        return None;
    }
    match (fate, &facts.outcome) {
        (Fate::Committed(version, job), Ended::Committed(other, result)) => {
            let same = serde_json::from_slice::<Job>(result).is_ok_and(|result| result == *job);
            if version != other || !same {
                return Some("has another outcome than was told");
            }
        }
        (Fate::Committed(..), Ended::Nothing | Ended::Failed(_)) => {
            return Some("was said to be committed and has no such outcome");
        }
        (Fate::Aborted, Ended::Committed(..)) => {
            return Some("was said to have no effect and has an outcome with one");
        }
        _ => {}
    }
    match (fate, &facts.record) {
        (Fate::Committed(version, job), Some((written, record))) => {
            (version != written || job != record).then_some("wrote another record than was told")
        }
        (Fate::Committed(..), None) => Some("was committed and left no record"),
        (Fate::Aborted | Fate::Silent, Some(_)) => Some("had no effect and left a record"),
        (Fate::Aborted | Fate::Silent, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::aim::Aim;
    use super::*;

    fn job() -> Job {
        let aim = Aim::Give { from: 0, to: 1, amount: 1 };
        Job { number: 3, aim, found: Vec::new() }
    }

    fn seen(told: Told, outcome: Ended, record: Option<(u64, Job)>) -> (Fate, usize) {
        let (job, id) = (job(), None);
        let entry = Entry { job, id, connection: 0, asked_us: 1, told_us: 2, told };
        let (fates, wrong) = fates(&[entry], &[Facts { outcome, record }]);
        (fates[0].clone(), wrong.len())
    }

    fn done(version: u64) -> Told {
        Told::Done(version, job())
    }

    fn committed(version: u64) -> Ended {
        Ended::Committed(version, serde_json::to_vec(&job()).unwrap_or_default())
    }

    fn unknown() -> Told {
        Told::Unknown("late".to_owned())
    }

    fn failed() -> Ended {
        Ended::Failed("no".to_owned())
    }

    #[test]
    fn what_fits_together_is_right() {
        let (yes, no) = (Fate::Committed(7, job()), Fate::Aborted);
        let record = || Some((7, job()));
        for outcome in [committed(7), Ended::NotAsked] {
            assert_eq!(seen(done(7), outcome.clone(), record()), (yes.clone(), 0));
            assert_eq!(seen(unknown(), outcome, record()), (yes.clone(), 0));
        }
        for outcome in [failed(), Ended::Nothing, Ended::NotAsked] {
            let refused = Told::Refused("no".to_owned());
            assert_eq!(seen(refused, outcome.clone(), None), (no.clone(), 0));
            assert_eq!(seen(unknown(), outcome, None), (no.clone(), 0));
        }
    }

    #[test]
    fn what_does_not_is_seen() {
        let refused = || Told::Refused("no".to_owned());
        let record = |version| Some((version, job()));
        let other = || Some((7, Job { number: 4, ..job() }));
        for (told, outcome, record) in [
            (done(7), committed(7), None),
            (done(7), committed(7), record(8)),
            (done(7), committed(7), other()),
            (done(7), committed(8), record(7)),
            (done(7), Ended::Nothing, record(7)),
            (done(7), failed(), None),
            (refused(), committed(7), record(7)),
            (refused(), failed(), record(7)),
            (refused(), Ended::NotAsked, record(7)),
            (unknown(), failed(), record(7)),
            (unknown(), Ended::Nothing, record(7)),
            (unknown(), committed(7), None),
        ] {
            let what = format!("{told:?}, {outcome:?}, {record:?}");
            assert_eq!(seen(told, outcome, record).1, 1, "{what}");
        }
    }
}
