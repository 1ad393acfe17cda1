//! The lists: there is an order of the jobs that explains what each has read, and whoever was told
//! of a job before another was begun over the same connection is before it in that order.

use super::aim::{self, Aim, Job, elements};
use super::ledger::Entry;
use super::once::Fate;
use catena_history::{Level, Transaction, check_transactions};
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong, where the lists hold this at the end.
pub(super) fn judge(
    entries: &[Entry],
    fates: &[Fate],
    ends: &BTreeMap<String, Option<String>>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let rounds = rounds(entries);
    for round in &rounds {
        // Jobs of different rounds have no list in common, and so no circle.
        let of_round = |entry: &Entry| of_round(entry, *round);
        let both = entries.iter().zip(fates).filter(|(entry, _)| of_round(entry));
        let mut transactions: Vec<Transaction> =
            both.map(|(e, fate)| transaction(e, fate)).collect();
        transactions.push(last(*round, ends));
        if let Err(anomaly) = check_transactions(&transactions, Level::Serializable) {
            wrong.push(format!("lists of round {round}: {anomaly}"));
        }
        wrong.extend(missing(&transactions));
    }
    wrong.extend(unseen(entries, fates));
    wrong
}

/// The rounds that jobs were about.
pub(super) fn rounds(entries: &[Entry]) -> BTreeSet<u64> {
    let round = |entry: &Entry| match entry.job.aim {
        Aim::Append { round, .. } => Some(round),
        _ => None,
    };
    entries.iter().filter_map(round).collect()
}

fn of_round(entry: &Entry, wanted: u64) -> bool {
    matches!(entry.job.aim, Aim::Append { round, .. } if round == wanted)
}

/// What a job appends, whether it took effect or not.
fn appends(job: &Job) -> Vec<(String, u64)> {
    let Aim::Append { round, appends, .. } = &job.aim else { return Vec::new() };
    let append = |(place, list): (usize, &usize)| (aim::list(*round, *list), job.element(place));
    appends.iter().enumerate().map(append).collect()
}

fn reads(job: &Job) -> Vec<(String, Vec<u64>)> {
    job.found.iter().map(|(list, value)| (list.clone(), elements(value.as_deref()))).collect()
}

fn transaction(entry: &Entry, fate: &Fate) -> Transaction {
    let (id, appends) = (entry.job.number, appends(&entry.job));
    match fate {
        Fate::Committed(_, job) => {
            let fate = catena_history::Fate::Committed;
            Transaction { id, reads: reads(job), appends, fate }
        }
        Fate::Aborted | Fate::Silent => {
            let fate = catena_history::Fate::Aborted;
            Transaction { id, reads: Vec::new(), appends, fate }
        }
    }
}

/// The reader of everything at the end.
fn last(round: u64, ends: &BTreeMap<String, Option<String>>) -> Transaction {
    let of_round = (0..aim::LISTS).filter_map(|list| {
        let key = aim::list(round, list);
        let found = elements(ends.get(&key)?.as_deref());
        Some((key, found))
    });
    let (reads, appends) = (of_round.collect(), Vec::new());
    Transaction { id: u64::MAX, reads, appends, fate: catena_history::Fate::Committed }
}

/// Everything that was committed is there at the end.
fn missing(transactions: &[Transaction]) -> Option<String> {
    let last: BTreeSet<(&str, u64)> = transactions
        .last()?
        .reads
        .iter()
        .flat_map(|(list, elements)| elements.iter().map(|element| (list.as_str(), *element)))
        .collect();
    let committed = transactions.iter().filter(|one| one.fate == catena_history::Fate::Committed);
    let gone: Vec<_> = committed
        .flat_map(|one| &one.appends)
        .filter(|(list, element)| !last.contains(&(list.as_str(), *element)))
        .collect();
    (!gone.is_empty()).then(|| format!("appended, committed, and not there at the end: {gone:?}"))
}

/// A job sees what its own connection was told before it was begun.
fn unseen(entries: &[Entry], fates: &[Fate]) -> Vec<String> {
    let mut told: BTreeMap<(usize, String), Vec<(u64, u64)>> = BTreeMap::new();
    for (entry, fate) in entries.iter().zip(fates) {
        if entry.is_settled() && matches!(fate, Fate::Committed(..)) {
            for (list, element) in appends(&entry.job) {
                let known = told.entry((entry.connection, list)).or_default();
                known.push((entry.told_us, element));
            }
        }
    }
    let missing = entries.iter().zip(fates).filter_map(|(entry, fate)| {
        let Fate::Committed(_, job) = fate else { return None };
        reads(job).into_iter().find_map(|(list, found)| {
            let known = told.get(&(entry.connection, list.clone()))?;
            let lacks =
                |(at, element): &&(u64, u64)| *at < entry.asked_us && !found.contains(element);
            let (at, element) = known.iter().find(lacks)?;
            Some(format!(
                "job {} did not see {element} in `{list}`, of which its connection was told {} us \
                 before it was begun",
                entry.job.number,
                entry.asked_us - at
            ))
        })
    });
    missing.collect()
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Told;
    use super::*;

    /// A job that reads lists 0 and 1 and appends to some.
    fn entry(number: u64, times: (u64, u64), found: [&str; 2], to: &[usize]) -> Entry {
        let aim = Aim::Append { round: 0, reads: vec![0, 1], appends: to.to_vec() };
        let value = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let found = (0..).zip(found).map(|(list, text)| (aim::list(0, list), value(text)));
        let job = Job { number, aim, found: found.collect() };
        let told = Told::Done(number, job.clone());
        Entry { job, id: None, connection: 0, asked_us: times.0, told_us: times.1, told }
    }

    fn verdict(entries: &[Entry], aborted: &[usize], ends: [&str; 2]) -> String {
        let fate = |(at, entry): (usize, &Entry)| match aborted.contains(&at) {
            true => Fate::Aborted,
            false => Fate::Committed(entry.job.number, entry.job.clone()),
        };
        let fates: Vec<Fate> = entries.iter().enumerate().map(fate).collect();
        let ends = (0..).zip(ends).map(|(at, text)| (aim::list(0, at), Some(text.to_owned())));
        judge(entries, &fates, &ends.collect()).join("\n")
    }

    #[test]
    fn one_behind_the_other_is_right() {
        let entries = [entry(1, (0, 5), ["", ""], &[0, 1]), entry(2, (6, 9), ["16", "17"], &[1])];
        assert_eq!(verdict(&entries, &[], ["16", "17,32"]), "");
    }

    #[test]
    fn each_anomaly_is_seen() {
        let first = || entry(1, (0, 5), ["", ""], &[0, 1]);
        let second = |found| entry(2, (3, 9), found, &[1]);
        for (entries, aborted, ends, part) in [
            // Half of the first was seen.
            (vec![first(), second(["16", ""])], vec![], ["16", "17,32"], "GSingle"),
            // What was written between read and write is overwritten.
            (vec![first(), second(["", ""])], vec![], ["16", "32"], "not there at the end"),
            (vec![first(), second(["16", "17"])], vec![0], ["16", "17,32"], "G1a"),
            (vec![first(), second(["16", "17"])], vec![], ["16", "17,17,32"], "Doubled"),
            (vec![first(), second(["16", "18"])], vec![], ["16", "17,32"], "Invented"),
            // Told at 5, and not seen by one that began at 6.
            (vec![first(), entry(2, (6, 9), ["", ""], &[])], vec![], ["16", "17"], "did not see"),
        ] {
            let verdict = verdict(&entries, &aborted, ends);
            assert!(verdict.contains(part), "{part}: {verdict}");
        }
    }
}
