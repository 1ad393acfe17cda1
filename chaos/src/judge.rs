//! The judgement over everything that clients saw.

use crate::book::Seen;
use catena_history::{
    FinalRead, History, Limits, Verdict, check, check_snapshots, lost_acknowledged,
};

/// What a search may cost: a minute on a slow machine, and some hundred megabytes.
const LIMITS: Limits = Limits { states: 10_000_000 };

/// What is wrong, in words; empty: nothing.
pub(crate) fn judge(history: &History, seen: &Seen, reads: &[FinalRead]) -> Vec<String> {
    let mut wrong = Vec::new();
    match check(history, LIMITS) {
        // Only then a contradiction with the last reads is a loss.
        Verdict::Linearizable => match lost_acknowledged(history, reads, LIMITS) {
            Verdict::Linearizable => {}
            verdict => wrong.push(format!("something acknowledged is missing: {verdict}")),
        },
        verdict => wrong.push(format!("what clients saw is not linearizable: {verdict}")),
    }
    if let Err(violation) = check_snapshots(history, &seen.snapshots) {
        wrong.push(format!("a read at a time is wrong: {violation}"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use catena_history::{Call, Outcome, Recorder, SnapshotRead};

    /// Writes of `a` at version 10 and `b` at version 20, then a read that found `found`.
    fn history(found: Option<&str>, version: u64) -> History {
        let mut recorder = Recorder::new(10);
        for (at, value, version) in [(1, "a", 10), (3, "b", 20)] {
            let write = Call::Write { value: value.to_owned() };
            let ticket = recorder.invoke(1, "k", write, at).unwrap();
            recorder.complete(ticket, at + 1, Outcome::Done { version }).unwrap();
        }
        let ticket = recorder.invoke(2, "k", Call::Read, 5).unwrap();
        let value = found.map(str::to_owned);
        recorder.complete(ticket, 6, Outcome::Found { value, version }).unwrap();
        recorder.finish()
    }

    fn last(value: Option<&str>, version: u64) -> [FinalRead; 1] {
        [FinalRead { key: "k".to_owned(), value: value.map(str::to_owned), version }]
    }

    fn verdict(history: &History, snapshot: Option<(u64, u64)>, last: &[FinalRead]) -> String {
        let snapshot = snapshot.map(|(at, version)| SnapshotRead {
            key: "k".to_owned(),
            at,
            value: Some(if version == 10 { "a" } else { "b" }.to_owned()),
            version,
        });
        let seen = Seen { snapshots: snapshot.into_iter().collect(), ..Seen::default() };
        judge(history, &seen, last).join("\n")
    }

    #[test]
    fn a_good_history_is_good() {
        let (history, last) = (history(Some("b"), 20), last(Some("b"), 20));
        assert_eq!(verdict(&history, Some((15, 10)), &last), "");
    }

    #[test]
    fn a_broken_history_is_found_out() {
        let good = history(Some("b"), 20);
        for (wrong, part) in [
            (verdict(&history(Some("a"), 10), None, &last(Some("b"), 20)), "not linearizable"),
            (verdict(&history(None, 0), None, &last(Some("b"), 20)), "not linearizable"),
            (verdict(&good, None, &last(Some("a"), 10)), "is missing"),
            (verdict(&good, None, &last(None, 0)), "is missing"),
            (verdict(&good, None, &[]), "nobody read it"),
            (verdict(&good, Some((25, 10)), &last(Some("b"), 20)), "a read at a time"),
        ] {
            assert!(wrong.contains(part), "{part}: {wrong}");
        }
    }
}
