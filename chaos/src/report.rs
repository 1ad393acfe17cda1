//! What a run tells, for programs and for people.

use crate::book::{ANSWERED, REFUSED, Seen, UNKNOWN};
use crate::fault::Fault;
use crate::gaps::between;
use crate::jobs::{Entry, Fate, Judged, Sums, Told};
use crate::plan::Plan;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// When something was broken.
pub(crate) struct Event {
    pub(crate) fault: Fault,
    /// Whether it left no majority of its role; then nothing need be answered.
    pub(crate) most: bool,
    /// Microseconds of the book's clock.
    pub(crate) at_us: u64,
    /// Why it was not; none: it was.
    pub(crate) skipped: Option<String>,
}

/// What one kind of fault did: each time, for how long nothing was answered.
#[derive(Clone, Debug, Default)]
struct Effect {
    struck: usize,
    skipped: Option<String>,
    any_key: Vec<Duration>,
    worst_key: Vec<Duration>,
    any_job: Vec<Duration>,
}

/// What became of jobs.
#[derive(Clone, Debug, Default)]
struct Jobs {
    /// By what they were for, in the order of [`COLUMNS`].
    ends: BTreeMap<&'static str, [u64; 4]>,
    costs: Sums,
    errors: BTreeMap<String, (u64, String)>,
}

/// What a caller was told, and, where it was told nothing that settles it, whether the job took
/// effect all the same.
const COLUMNS: [&str; 4] = ["done", "failed", "unknown", "of these done"];

/// What a run did and found.
#[derive(Clone, Debug)]
pub struct Report {
    seed: u64,
    ran: Duration,
    ends: BTreeMap<(&'static str, &'static str), u64>,
    errors: BTreeMap<String, (u64, String)>,
    jobs: Option<Jobs>,
    effects: BTreeMap<(Fault, bool), Effect>,
    wrong: Vec<String>,
    folder: Option<PathBuf>,
}

impl Report {
    pub(crate) fn new(
        plan: &Plan,
        seen: Seen,
        jobs: Option<&(Judged, Sums)>,
        events: &[Event],
        end_us: u64,
    ) -> Self {
        let done = jobs.map(|(judged, _)| done(&judged.closed.entries)).unwrap_or_default();
        let mut effects: BTreeMap<(Fault, bool), Effect> = BTreeMap::new();
        for (number, event) in events.iter().enumerate() {
            let effect = effects.entry((event.fault, event.most)).or_default();
            if event.skipped.is_some() {
                effect.skipped.clone_from(&event.skipped);
                continue;
            }
            effect.struck += 1;
            let until = events.get(number + 1).map_or(end_us, |next| next.at_us);
            if plan.workload.has_store() {
                let gap = between(&seen.answers, plan.keys, event.at_us, until);
                effect.any_key.push(gap.any);
                effect.worst_key.push(gap.one);
            }
            if plan.workload.has_jobs() {
                effect.any_job.push(between(&done, 1, event.at_us, until).any);
            }
        }
        let Seen { ends, errors, .. } = seen;
        Self {
            seed: plan.seed,
            ran: Duration::from_micros(end_us),
            ends,
            errors,
            wrong: jobs.map(|(judged, _)| judged.wrong.clone()).unwrap_or_default(),
            jobs: jobs.map(|(judged, costs)| Jobs::new(judged, costs)),
            effects,
            folder: None,
        }
    }

    pub(crate) fn found(&mut self, wrong: impl IntoIterator<Item = String>) {
        self.wrong.extend(wrong);
    }

    pub(crate) fn kept(&mut self, folder: PathBuf) {
        self.folder = Some(folder);
    }

    /// Whether nothing was wrong: every answer is explained, nothing acknowledged is missing, and
    /// every process did what it should.
    pub const fn is_good(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Everything that was wrong, in words.
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    /// Operations that were answered, reads at a time among them.
    pub fn answered(&self) -> u64 {
        self.total(ANSWERED)
    }

    /// Jobs whose caller was told that they took effect.
    pub fn done(&self) -> u64 {
        self.jobs.iter().flat_map(|jobs| jobs.ends.values()).map(|[done, ..]| done).sum()
    }

    /// Kinds of faults that happened.
    pub fn kinds(&self) -> usize {
        let struck = self.effects.iter().filter(|(_, effect)| effect.struck > 0);
        struck.map(|((fault, _), _)| fault).collect::<BTreeSet<_>>().len()
    }

    /// How often a fault happened.
    pub fn struck(&self, fault: Fault) -> usize {
        self.of(fault).map(|effect| effect.struck).sum()
    }

    /// Why a fault that should have happened could not here; none: it was never to, or it did.
    pub fn why_skipped(&self, fault: Fault) -> Option<&str> {
        self.of(fault).find_map(|effect| effect.skipped.as_deref())
    }

    fn of(&self, fault: Fault) -> impl Iterator<Item = &Effect> {
        self.effects.iter().filter(move |((this, _), _)| *this == fault).map(|(_, effect)| effect)
    }

    /// Kinds of faults that should have happened and could not here, with the reason.
    pub fn skipped(&self) -> Vec<String> {
        let skipped = self.effects.iter().filter_map(|(fault, effect)| {
            effect.skipped.as_ref().map(|why| format!("{} ({why})", row(fault)))
        });
        skipped.collect()
    }

    /// The folder with logs and history, where it was kept.
    pub fn folder(&self) -> Option<&PathBuf> {
        self.folder.as_ref()
    }

    fn total(&self, end: &str) -> u64 {
        self.ends.iter().filter(|((_, this), _)| *this == end).map(|(_, count)| count).sum()
    }

    fn rows(&self) -> BTreeMap<&'static str, [u64; 3]> {
        let mut rows: BTreeMap<&'static str, [u64; 3]> = BTreeMap::new();
        for ((what, end), count) in &self.ends {
            let at = ENDS.iter().position(|this| this == end).unwrap_or(0);
            rows.entry(what).or_default()[at] += count;
        }
        rows
    }

    fn write_operations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<20} {:>9} {:>9} {:>9}", "operations", ANSWERED, UNKNOWN, REFUSED)?;
        for (what, [answered, unknown, refused]) in self.rows() {
            writeln!(f, "{what:<20} {answered:>9} {unknown:>9} {refused:>9}")?;
        }
        let [answered, unknown, refused] = ENDS.map(|end| self.total(end));
        writeln!(f, "{:<20} {answered:>9} {unknown:>9} {refused:>9}", "all")?;
        write_errors(f, &self.errors)
    }

    /// The same as JSON.
    pub fn json(&self) -> Value {
        let operations: serde_json::Map<String, Value> = self
            .rows()
            .into_iter()
            .map(|(what, [answered, unknown, refused])| {
                let ends = json!({ ANSWERED: answered, UNKNOWN: unknown, REFUSED: refused });
                (what.to_owned(), ends)
            })
            .collect();
        let faults: serde_json::Map<String, Value> =
            self.effects.iter().map(|(fault, effect)| (row(fault), effect.json())).collect();
        json!({
            "good": self.is_good(),
            "wrong": self.wrong,
            "seed": self.seed,
            "seconds": self.ran.as_secs_f64(),
            "operations": operations,
            "jobs": self.jobs.as_ref().map(Jobs::json),
            "faults": faults,
            "folder": self.folder,
        })
    }
}

/// How a fault is called in a report.
fn row((fault, most): &(Fault, bool)) -> String {
    match (fault, most) {
        (Fault::KillAll, _) | (_, false) => fault.name().to_owned(),
        (_, true) => format!("{} two nodes", fault.name()),
    }
}

const ENDS: [&str; 3] = [ANSWERED, UNKNOWN, REFUSED];

impl Jobs {
    fn new(judged: &Judged, costs: &Sums) -> Self {
        let mut ends: BTreeMap<&'static str, [u64; 4]> = BTreeMap::new();
        for (entry, fate) in judged.closed.entries.iter().zip(&judged.fates) {
            let row = ends.entry(entry.job.aim.name()).or_default();
            match entry.told {
                Told::Done(..) => row[0] += 1,
                Told::Refused(_) => row[1] += 1,
                Told::Unknown(_) => {
                    row[2] += 1;
                    row[3] += u64::from(matches!(fate, Fate::Committed(..)));
                }
            }
        }
        Self { ends, costs: costs.clone(), errors: judged.closed.errors.clone() }
    }

    fn json(&self) -> Value {
        let row = |(aim, row): (&&str, &[u64; 4])| {
            let counts: serde_json::Map<String, Value> = COLUMNS
                .iter()
                .zip(row)
                .map(|(name, count)| (name.replace(' ', "_"), (*count).into()))
                .collect();
            ((*aim).to_owned(), Value::Object(counts))
        };
        let rows: serde_json::Map<String, Value> = self.ends.iter().map(row).collect();
        json!({ "by_aim": rows, "at_least": self.costs })
    }
}

impl fmt::Display for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [done, failed, unknown, of_these] = COLUMNS;
        writeln!(f, "\n{:<20} {done:>9} {failed:>9} {unknown:>9} {of_these:>14}", "jobs")?;
        let mut all = [0; 4];
        for (aim, row) in &self.ends {
            let [done, failed, unknown, of_these] = row;
            writeln!(f, "{aim:<20} {done:>9} {failed:>9} {unknown:>9} {of_these:>14}")?;
            all.iter_mut().zip(row).for_each(|(all, one)| *all += one);
        }
        let [done, failed, unknown, of_these] = all;
        writeln!(f, "{:<20} {done:>9} {failed:>9} {unknown:>9} {of_these:>14}", "all")?;
        let costs = self.costs.iter().map(|(what, count)| format!("{count} {what}"));
        writeln!(f, "  at least: {}", costs.collect::<Vec<_>>().join(", "))?;
        write_errors(f, &self.errors)
    }
}

/// When jobs were done, in order.
fn done(entries: &[Entry]) -> Vec<(u64, usize)> {
    let done = entries.iter().filter(|entry| matches!(entry.told, Told::Done(..)));
    let mut done: Vec<(u64, usize)> = done.map(|entry| (entry.told_us, 0)).collect();
    done.sort_unstable();
    done
}

impl Effect {
    fn json(&self) -> Value {
        let times = |times: &[Duration]| {
            middle_and_most(times).map(|(median, max)| json!({ "median": median, "max": max }))
        };
        json!({
            "struck": self.struck,
            "skipped": self.skipped,
            "any_key_ms": times(&self.any_key),
            "worst_key_ms": times(&self.worst_key),
            "any_job_ms": times(&self.any_job),
        })
    }
}

/// Median and maximum in milliseconds; none of nothing.
fn middle_and_most(times: &[Duration]) -> Option<(u128, u128)> {
    let mut times: Vec<u128> = times.iter().map(Duration::as_millis).collect();
    times.sort_unstable();
    Some((*times.get(times.len() / 2)?, *times.last()?))
}

/// The same for people.
fn both(times: &[Duration]) -> String {
    middle_and_most(times).map_or_else(|| "-".to_owned(), |(mid, most)| format!("{mid} {most:>6}"))
}

fn write_errors(
    f: &mut fmt::Formatter<'_>,
    errors: &BTreeMap<String, (u64, String)>,
) -> fmt::Result {
    for (kind, (count, example)) in errors {
        writeln!(f, "  {count} x {kind}, such as: {example}")?;
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {:.0} s under load", self.seed, self.ran.as_secs_f64())?;
        if !self.ends.is_empty() {
            self.write_operations(f)?;
        }
        if let Some(jobs) = &self.jobs {
            write!(f, "{jobs}")?;
        }
        let what = "longest time without an answer, in ms: median, max";
        writeln!(f, "\n{:<24} {:>6}   {what}", "faults", "struck")?;
        writeln!(f, "{:<31} {:>16} {:>16} {:>16}", "", "any key", "worst key", "any job")?;
        for (fault, effect) in &self.effects {
            let (fault, struck) = (row(fault), effect.struck);
            let [any, worst, job] =
                [&effect.any_key, &effect.worst_key, &effect.any_job].map(|times| both(times));
            write!(f, "{fault:<24} {struck:>6} {any:>16} {worst:>16} {job:>16}")?;
            match &effect.skipped {
                Some(why) => writeln!(f, "   skipped: {why}")?,
                None => writeln!(f)?,
            }
        }
        let skipped = self.skipped();
        if !skipped.is_empty() {
            writeln!(f, "\nSKIPPED, so that this run says nothing of it: {}", skipped.join("; "))?;
        }
        if self.is_good() {
            writeln!(f)?;
            if !self.ends.is_empty() {
                writeln!(f, "good: linearizable, nothing acknowledged is missing")?;
            }
            if self.jobs.is_some() {
                writeln!(f, "good: jobs have a serial order, and each is there once or never")?;
            }
        }
        for wrong in &self.wrong {
            writeln!(f, "\nWRONG: {wrong}")?;
        }
        match &self.folder {
            Some(folder) => writeln!(f, "\nlogs and history: {}", folder.display()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_is_said_and_why() {
        let event = |fault, skipped: Option<&str>| {
            let skipped = skipped.map(str::to_owned);
            Event { fault, most: false, at_us: 0, skipped }
        };
        let events = [event(Fault::DiskFull, Some("no room")), event(Fault::Kill, None)];
        let plan = Plan::new("catena", Vec::new());
        let report = Report::new(&plan, Seen::default(), None, &events, 1);
        assert_eq!([Fault::DiskFull, Fault::Kill].map(|fault| report.struck(fault)), [0, 1]);
        assert_eq!(report.why_skipped(Fault::DiskFull), Some("no room"));
        assert_eq!(report.why_skipped(Fault::Kill), None);
        let text = report.to_string();
        let said = "\nSKIPPED, so that this run says nothing of it: disk-full (no room)\n";
        assert!(text.contains(said), "{text}");
        let text = Report::new(&plan, Seen::default(), None, &events[1..], 1).to_string();
        assert!(!text.contains("SKIPPED"), "{text}");
    }
}
