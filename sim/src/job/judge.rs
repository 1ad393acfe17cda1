//! Whether everything that jobs have seen and left behind fits together.

use super::{Aim, Attempt, Broken, Jobs, ONCE, Rows, Write};
use catena_history::{Fate, Level, Transaction, check_mixed};
use std::collections::BTreeMap;

const SNAPSHOT: &str = "5: all reads of a job are at its one snapshot";
const SERIAL: &str = "5: jobs have the order that they were promised";
const FIRST: &str = "5: of two jobs that replace the same record unseen, the first wins";
const PRESENT: &str = "6: what was acknowledged is seen by whoever looks afterwards";
const TOTAL: &str = "5: what is moved between accounts is neither lost nor made";

/// The values of one record, by the versions that they came with, and the attempts that wrote
/// them.
type Course = BTreeMap<u64, (Option<String>, usize)>;

/// The courses of all records.
type Courses = BTreeMap<String, Course>;

/// What a record held at a time.
fn at(courses: &Courses, key: &str, time: u64) -> Option<String> {
    let last = courses.get(key).and_then(|course| course.range(..=time).next_back());
    last.and_then(|(_, (value, _))| value.clone())
}

/// What was on a shelf at a time.
fn on(courses: &Courses, shelf: &str, time: u64) -> Rows {
    let range = courses.range(shelf.to_owned()..);
    let keys = range.map(|(key, _)| key).take_while(|key| key.starts_with(shelf));
    keys.filter_map(|key| at(courses, key, time).map(|value| (key.clone(), value))).collect()
}

/// What an attempt saw that was not so at a time.
fn differs(attempt: &Attempt, courses: &Courses, time: u64) -> Option<String> {
    let read = attempt.reads.iter().find_map(|(key, found)| {
        let was = at(courses, key, time);
        (*found != was).then(|| format!("`{key}` as {found:?}, it was {was:?} at {time}"))
    });
    read.or_else(|| {
        attempt.scans.iter().find_map(|(shelf, found)| {
            let was = on(courses, shelf, time);
            (*found != was).then(|| format!("`{shelf}` as {found:?}, it was {was:?} at {time}"))
        })
    })
}

/// A record that an attempt has replaced at a time, and when somebody else did after its snapshot.
fn overwritten<'a>(
    attempt: &'a Attempt,
    courses: &Courses,
    version: u64,
) -> Option<(&'a str, u64)> {
    let replaced = attempt.writes.iter().flatten();
    let replaced = replaced.filter(|(_, write)| !matches!(write, Write::Add(_)));
    replaced.filter_map(|(key, _)| Some((key, courses.get(key)?))).find_map(|(key, course)| {
        let between = course.range(attempt.snapshot + 1..version.max(attempt.snapshot + 1)).next();
        between.map(|(between, _)| (key.as_str(), *between))
    })
}

impl Jobs {
    /// Looks at everything, at the end.
    pub(crate) fn judge(&self) -> Result<(), Broken> {
        let courses = self.courses()?;
        for (key, found) in &self.finals {
            let last = courses.get(key).and_then(|course| course.last_key_value());
            let last = last.and_then(|(_, (value, _))| value.clone());
            if *found != last {
                return Err((ONCE, format!("`{key}` ends as {found:?}, {last:?} was written")));
            }
        }
        for (number, attempt) in self.attempts.iter().enumerate() {
            self.judge_reads(number, attempt, &courses)?;
        }
        self.judge_told()?;
        self.judge_looks()?;
        self.judge_lists()?;
        self.judge_turns()
    }

    /// Whoever looks when somebody was told that a job was committed sees what it wrote.
    fn judge_looks(&self) -> Result<(), Broken> {
        let mut written: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
        for attempt in &self.attempts {
            let Some(version) = self.version(attempt) else { continue };
            let told_us = self.jobs[attempt.job].told_us;
            for (key, _) in attempt.writes.iter().flatten() {
                written.entry(key).or_default().push((told_us, version));
            }
        }
        for look in &self.looks {
            let of_it = written.get(look.key.as_str()).into_iter().flatten();
            let before = of_it.filter(|(told_us, _)| *told_us < look.asked_us);
            let least = before.map(|(_, version)| *version).max().unwrap_or(0);
            if look.version < least {
                return Err((PRESENT, format!("{look:?}, but {least} was told before")));
            }
        }
        Ok(())
    }

    /// What the committed attempts have made of each record, in the order of their versions.
    fn courses(&self) -> Result<Courses, Broken> {
        let mut committed: Vec<(u64, usize)> = Vec::new();
        for (number, attempt) in self.attempts.iter().enumerate() {
            committed.extend(self.version(attempt).map(|version| (version, number)));
        }
        committed.sort_unstable();
        let mut courses = Courses::new();
        for ((key, version), value) in &self.placed {
            let course = courses.entry(key.clone()).or_default();
            course.insert(*version, (Some(value.clone()), usize::MAX));
        }
        for (version, number) in committed {
            for (key, write) in self.attempts[number].writes.iter().flatten() {
                let course = courses.entry(key.clone()).or_default();
                let before = course.range(..version).next_back();
                let before = before.and_then(|(_, (value, _))| value.clone());
                let value = match write {
                    Write::Put(value) => Some(value.clone()),
                    Write::Delete => None,
                    Write::Add(delta) => {
                        let before = before.map_or(0, |text| text.parse().unwrap_or(0_i64));
                        Some((before + delta).to_string())
                    }
                };
                if let Some((_, other)) = course.insert(version, (value, number)) {
                    let what = format!("attempts {other} and {number} wrote `{key}` at {version}");
                    return Err((SERIAL, what));
                }
            }
        }
        Ok(courses)
    }

    fn judge_reads(
        &self,
        number: usize,
        attempt: &Attempt,
        courses: &Courses,
    ) -> Result<(), Broken> {
        let job = &self.jobs[attempt.job];
        let snapshot = attempt.snapshot;
        if let Some(differs) = differs(attempt, courses, snapshot) {
            return Err((SNAPSHOT, format!("attempt {number} read at {snapshot}: {differs}")));
        }
        let complete = attempt.reads.len() == job.keys.len();
        if job.aim == Aim::Audit && complete {
            let values = attempt.reads.values().flatten();
            let total: i64 = values.filter_map(|text| text.parse::<i64>().ok()).sum();
            if total != 0 {
                return Err((TOTAL, format!("attempt {number} counted {total}: {attempt:?}")));
            }
        }
        let Some(version) = self.version(attempt) else { return Ok(()) };
        if let Some((key, between)) = overwritten(attempt, courses, version) {
            let what = format!(
                "attempt {number} read at {snapshot} and wrote `{key}` at {version}, but somebody \
                 else had written it at {between}"
            );
            return Err((FIRST, what));
        }
        match differs(attempt, courses, version - 1) {
            Some(differs) if job.is_serializable() => {
                Err((SERIAL, format!("attempt {number} committed at {version}: {differs}")))
            }
            _ => Ok(()),
        }
    }

    /// The graph of dependencies, which knows nothing of versions.
    fn judge_lists(&self) -> Result<(), Broken> {
        let lists = self.attempts.iter().enumerate();
        let lists =
            lists.filter(|(_, attempt)| matches!(self.jobs[attempt.job].aim, Aim::Append(_)));
        let transactions: Vec<Transaction> =
            lists.map(|(number, attempt)| self.transaction(number as u64, attempt)).collect();
        let level = |number: u64| match self.is_serializable(number) {
            true => Level::Serializable,
            false => Level::Snapshot,
        };
        check_mixed(&transactions, level).map_err(|anomaly| (SERIAL, anomaly.to_string()))
    }

    /// Whether an attempt was promised a serial order.
    fn is_serializable(&self, number: u64) -> bool {
        let attempt = usize::try_from(number).ok().and_then(|number| self.attempts.get(number));
        attempt.is_none_or(|attempt| self.jobs[attempt.job].is_serializable())
    }

    fn transaction(&self, id: u64, attempt: &Attempt) -> Transaction {
        let reads = attempt.reads.iter().map(|(key, value)| (key.clone(), elements(value)));
        let appends = attempt.writes.iter().flatten().map(|(key, _)| (key.clone(), id << 8));
        let appends = (0..).zip(appends).map(|(at, (key, first))| (key, first + at));
        let fate = match self.version(attempt) {
            Some(_) => Fate::Committed,
            None => Fate::Aborted,
        };
        let by_list = |(list, read): (String, Vec<u64>)| {
            let named = read.iter().map(|number| self.named(*number, &list)).collect();
            (list, named)
        };
        Transaction { id, reads: reads.map(by_list).collect(), appends: appends.collect(), fate }
    }

    /// An element of a list has a name of its own in each list.
    fn named(&self, number: u64, list: &str) -> u64 {
        let attempt = usize::try_from(number).ok().and_then(|number| self.attempts.get(number));
        let writes = attempt.and_then(|attempt| attempt.writes.as_ref());
        let at = writes.and_then(|writes| writes.iter().position(|(key, _)| key == list));
        at.map_or(u64::MAX, |at| (number << 8) + at as u64)
    }
}

/// The attempts whose elements a list holds.
fn elements(value: &Option<String>) -> Vec<u64> {
    let parts = value.iter().flat_map(|text| text.split(','));
    parts.filter_map(|part| part.parse().ok()).collect()
}
