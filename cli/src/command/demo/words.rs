//! Word statistics: each line of a text is a job, each word a key that it adds to.

use super::check::{Check, count};
use super::load::load;
use super::report::Phase;
use crate::failure::Failure;
use crate::progress::Progress;
use catena_client::{Client, Entry, Key};
use serde_json::json;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Poems in the public domain, by Carroll, Shelley, Blake, Coleridge, Shakespeare, Wordsworth,
/// Poe, Tennyson and Lear.
const TEXT: &str = include_str!("../../../demo/poems.txt");
const CHAIN: &str = "demo-words";
const AT_ONCE: usize = 64;
const STEPS: u64 = 2;
/// More words than the text has.
const MOST_WORDS: usize = 100_000;
/// Most passes over the text.
const PASSES: u32 = 10_000;

/// Counts for so long, then finishes the pass over the text.
pub(super) async fn run(client: &Client, run: &str, time: Duration) -> Result<Phase, Failure> {
    // Each word lives where it falls: a line is a job over as many partitions as it has words.
    let prefix = format!("demo-{run}:word:");
    let settings = json!({ "store": true, "prefix": prefix });
    let chain = json!({
        "steps": ["lowercase", { "operator": "word-count", "settings": settings }],
        "description": "counts the words of a line into the store",
    });
    client.chains().set(CHAIN, chain.to_string()).await?;

    let mut progress = Progress::new("counting words: jobs", None);
    let (began, passes) = (Instant::now(), Cell::new(0));
    let another = || {
        let more = passes.get() == 0 || (began.elapsed() < time && passes.get() < PASSES);
        passes.set(passes.get() + u32::from(more));
        more.then(|| TEXT.lines())
    };
    let lines = std::iter::from_fn(another).flatten();
    let mut failures = Vec::new();
    let job = |line: &'static str| client.run(CHAIN, line).into_future();
    let timings = load(lines, AT_ONCE, &mut progress, job, |result| {
        failures.extend(result.err());
    })
    .await?;
    progress.clear();

    let passes = i64::from(passes.get());
    let found = stored(&prefix, client.store().scan(&prefix, MOST_WORDS).await?);
    let mut checks = vec![Check::none("jobs without a result", failures.len())];
    checks.extend(compare(&expected(TEXT, passes), &found));
    Ok(Phase {
        name: "words",
        about: format!(
            "{} lines, each a job `lowercase -> word-count`, {passes} times",
            TEXT.lines().count()
        ),
        steps: timings.jobs * STEPS,
        timings,
        notes: Vec::new(),
        trouble: failures.first().map(ToString::to_string),
        checks,
    })
}

/// The count of each word, found in another way than the operator does.
fn expected(text: &str, passes: i64) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '\'' {
            word.extend(c.to_lowercase());
            continue;
        }
        let bare = word.trim_matches('\'');
        if !bare.is_empty() {
            *counts.entry(bare.to_owned()).or_default() += passes;
        }
        word.clear();
    }
    counts
}

/// What the store has; a value that is no number counts as a wrong one.
fn stored(prefix: &str, records: Vec<(Key, Entry)>) -> BTreeMap<String, i64> {
    let word = |key: &Key| key.as_str().strip_prefix(prefix).unwrap_or_default().to_owned();
    let number = |entry: &Entry| entry.text().and_then(|text| text.parse().ok()).unwrap_or(-1);
    records.iter().map(|(key, entry)| (word(key), number(entry))).collect()
}

fn compare(expected: &BTreeMap<String, i64>, found: &BTreeMap<String, i64>) -> [Check; 3] {
    let words = expected.keys().chain(found.keys().filter(|word| !expected.contains_key(*word)));
    let wrong = words.filter(|word| expected.get(*word) != found.get(*word)).count();
    [
        Check::new("words counted", expected.values().sum(), found.values().sum()),
        Check::new("different words", count(expected.len()), count(found.len())),
        Check::none("words with a wrong count", wrong),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_as_people_count_them() {
        let counts = expected("'Twas brillig--and 'Brillig'\nthey'd", 2);
        let expected = [("and", 2), ("brillig", 4), ("they'd", 2), ("twas", 2)];
        assert_eq!(counts, expected.map(|(word, count)| (word.to_owned(), count)).into());
    }

    #[test]
    fn a_wrong_a_missing_and_a_foreign_count_are_seen() {
        let good = expected(TEXT, 3);
        assert!(compare(&good, &good).iter().all(|check| check.ok));
        let mut bad = good.clone();
        *bad.get_mut("walrus").unwrap() += 1;
        *bad.get_mut("oysters").unwrap() -= 1;
        bad.remove("xanadu");
        bad.insert("foreign".to_owned(), 3);
        let [total, different, wrong] = compare(&good, &bad);
        assert!(total.ok && different.ok, "these two do not see it");
        assert_eq!((wrong.found, wrong.ok), (4, false));
        bad.remove("foreign");
        assert!(compare(&good, &bad).iter().all(|check| !check.ok));
    }
}
