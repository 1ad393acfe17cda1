//! The bank: money is neither made nor lost, and every account has what its jobs left there.

use super::aim::{ACCOUNTS, Aim, BALANCE};
use super::ledger::Entry;
use super::once::Fate;

/// What is wrong, where the accounts hold this at the end.
pub(super) fn judge(entries: &[Entry], fates: &[Fate], ends: &[Option<String>]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut balances = [BALANCE; ACCOUNTS];
    for (entry, fate) in entries.iter().zip(fates) {
        let Fate::Committed(_, job) = fate else { continue };
        for (account, delta) in entry.job.aim.moves().into_iter().flatten() {
            balances[account] += delta;
        }
        if job.aim == Aim::Audit {
            wrong.extend(audited(entry.job.number, &job.found));
        }
    }
    for (account, (expected, found)) in balances.iter().zip(ends).enumerate() {
        if found.as_ref().and_then(|text| text.parse().ok()) != Some(*expected) {
            let what = format!("account {account} ends with {found:?}");
            wrong.push(format!("{what}, its jobs left {expected}"));
        }
    }
    wrong
}

fn audited(number: u64, found: &[(String, Option<String>)]) -> Option<String> {
    let values = found.iter().map(|(_, value)| value.as_ref()?.parse::<i64>().ok());
    let total: Option<i64> = values.sum();
    let all = ACCOUNTS as i64 * BALANCE;
    let right = total == Some(all) && found.len() == ACCOUNTS;
    (!right).then(|| format!("job {number} counted {total:?} instead of {all}: {found:?}"))
}

#[cfg(test)]
mod tests {
    use super::super::aim::{Job, account};
    use super::super::ledger::Told;
    use super::*;

    /// A transfer that was committed, one that was not, and an audit.
    fn run() -> (Vec<Entry>, Vec<Fate>, Vec<Option<String>>) {
        let moved = Aim::Transfer { from: 0, to: 1, amount: 30 };
        let aims = [moved, Aim::Give { from: 2, to: 3, amount: 5 }, Aim::Audit];
        let entry = |(number, aim): (u64, Aim)| {
            let job = Job { number, aim, found: Vec::new() };
            let told = Told::Unknown(String::new());
            Entry { job, id: None, connection: 0, asked_us: 0, told_us: 0, told }
        };
        let entries: Vec<Entry> = (0..).zip(aims).map(entry).collect();
        let balance = |at: usize| [70, 130].get(at).copied().unwrap_or(BALANCE).to_string();
        let found = (0..ACCOUNTS).map(|at| (account(at), Some(balance(at)))).collect();
        let audit = Job { found, ..entries[2].job.clone() };
        let fates = vec![
            Fate::Committed(1, entries[0].job.clone()),
            Fate::Aborted,
            Fate::Committed(2, audit),
        ];
        (entries, fates, (0..ACCOUNTS).map(|at| Some(balance(at))).collect())
    }

    #[test]
    fn right_books_are_right() {
        let (entries, fates, ends) = run();
        assert_eq!(judge(&entries, &fates, &ends), [""; 0]);
    }

    #[test]
    fn wrong_books_are_seen() {
        let (entries, fates, ends) = run();
        for (at, value) in [(0, Some("40")), (1, Some("100")), (7, None)] {
            let mut ends = ends.clone();
            ends[at] = value.map(str::to_owned);
            assert_eq!(judge(&entries, &fates, &ends).len(), 1, "{ends:?}");
        }
        let mut twice = fates.clone();
        twice[1] = Fate::Committed(3, entries[1].job.clone());
        assert_eq!(judge(&entries, &twice, &ends).len(), 2);
        for value in [Some("101"), None] {
            let mut fates = fates.clone();
            if let Fate::Committed(_, audit) = &mut fates[2] {
                audit.found[5].1 = value.map(str::to_owned);
            }
            assert_eq!(judge(&entries, &fates, &ends).len(), 1);
        }
    }
}
