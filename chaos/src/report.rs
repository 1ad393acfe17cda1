//! What a run tells, for programs and for people.

use crate::book::{ANSWERED, REFUSED, Seen, UNKNOWN};
use crate::fault::Fault;
use crate::gaps::{Gap, between};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// When something was broken.
pub(crate) struct Event {
    pub(crate) fault: Fault,
    /// Whether it left no majority of nodes; then nothing need be answered.
    pub(crate) most: bool,
    /// Microseconds of the book's clock.
    pub(crate) at_us: u64,
    /// Why it was not; none: it was.
    pub(crate) skipped: Option<String>,
}

/// What one kind of fault did.
#[derive(Clone, Debug, Default)]
struct Effect {
    struck: usize,
    skipped: Option<String>,
    gaps: Vec<Gap>,
}

/// What a run did and found.
#[derive(Clone, Debug)]
pub struct Report {
    seed: u64,
    ran: Duration,
    ends: BTreeMap<(&'static str, &'static str), u64>,
    errors: BTreeMap<String, (u64, String)>,
    effects: BTreeMap<(Fault, bool), Effect>,
    wrong: Vec<String>,
    folder: Option<PathBuf>,
}

impl Report {
    pub(crate) fn new(seed: u64, slots: usize, seen: Seen, events: &[Event], end_us: u64) -> Self {
        let mut effects: BTreeMap<(Fault, bool), Effect> = BTreeMap::new();
        for (number, event) in events.iter().enumerate() {
            let effect = effects.entry((event.fault, event.most)).or_default();
            if event.skipped.is_some() {
                effect.skipped.clone_from(&event.skipped);
                continue;
            }
            effect.struck += 1;
            let until = events.get(number + 1).map_or(end_us, |next| next.at_us);
            effect.gaps.push(between(&seen.answers, slots, event.at_us, until));
        }
        let Seen { ends, errors, .. } = seen;
        let ran = Duration::from_micros(end_us);
        Self { seed, ran, ends, errors, effects, wrong: Vec::new(), folder: None }
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

    /// Kinds of faults that happened.
    pub fn kinds(&self) -> usize {
        let struck = self.effects.iter().filter(|(_, effect)| effect.struck > 0);
        struck.map(|((fault, _), _)| fault).collect::<BTreeSet<_>>().len()
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

impl Effect {
    fn json(&self) -> Value {
        let [any, any_most, one, one_most] = self.times();
        json!({
            "struck": self.struck,
            "skipped": self.skipped,
            "any_key_ms": { "median": any, "max": any_most },
            "worst_key_ms": { "median": one, "max": one_most },
        })
    }

    /// Median and maximum without an answer about any key, and about the worst, in milliseconds.
    fn times(&self) -> [u128; 4] {
        let (any, any_most) = middle_and_most(self.gaps.iter().map(|gap| gap.any));
        let (one, one_most) = middle_and_most(self.gaps.iter().map(|gap| gap.one));
        [any, any_most, one, one_most]
    }
}

fn middle_and_most(times: impl Iterator<Item = Duration>) -> (u128, u128) {
    let mut times: Vec<u128> = times.map(|time| time.as_millis()).collect();
    times.sort_unstable();
    let at = |at: usize| times.get(at).copied().unwrap_or(0);
    (at(times.len() / 2), at(times.len().saturating_sub(1)))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {:.0} s under load", self.seed, self.ran.as_secs_f64())?;
        writeln!(f, "\n{:<20} {:>9} {:>9} {:>9}", "operations", ANSWERED, UNKNOWN, REFUSED)?;
        for (what, [answered, unknown, refused]) in self.rows() {
            writeln!(f, "{what:<20} {answered:>9} {unknown:>9} {refused:>9}")?;
        }
        let [answered, unknown, refused] = ENDS.map(|end| self.total(end));
        writeln!(f, "{:<20} {answered:>9} {unknown:>9} {refused:>9}", "all")?;
        for (kind, (count, example)) in &self.errors {
            writeln!(f, "  {count} x {kind}, such as: {example}")?;
        }
        writeln!(f, "\n{:<20} {:>6}   longest time without an answer, in ms", "faults", "struck")?;
        writeln!(f, "{:<27}   any key: median, max   worst key: median, max", "")?;
        for (fault, effect) in &self.effects {
            let fault = row(fault);
            let [any, any_most, one, one_most] = effect.times();
            let struck = effect.struck;
            write!(f, "{fault:<20} {struck:>6}   {any:>15} {any_most:>6} {one:>19} {one_most:>6}")?;
            match &effect.skipped {
                Some(why) => writeln!(f, "   skipped: {why}")?,
                None => writeln!(f)?,
            }
        }
        if self.is_good() {
            writeln!(f, "\ngood: linearizable, nothing acknowledged is missing")?;
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
