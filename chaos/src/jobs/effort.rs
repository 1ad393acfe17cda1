//! What schedulers say that jobs cost them: attempts, conflicts.
//!
//! A scheduler that is killed takes with it what it has not said yet: the sums are the least that
//! there was.

use catena_link::Link;
use futures_util::StreamExt;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout_at};

/// As often as schedulers have something new to say.
const EVERY: Duration = Duration::from_millis(500);
/// How long answers are waited for.
const ANSWERS: Duration = Duration::from_millis(250);

/// What is told of, in words, and the name of the counter.
const COUNTED: [(&str, &str); 5] = [
    ("attempts", "attempts"),
    ("conflicts", "conflicts"),
    ("attempts taken for lost", "lost"),
    ("attempts again", "repeated"),
    ("ends too late to count", "late"),
];

/// Sums, in words.
pub(crate) type Sums = BTreeMap<&'static str, u64>;

/// Listens until it is ended.
pub(super) struct Effort {
    task: JoinHandle<()>,
    seen: Arc<Mutex<BTreeMap<String, Sums>>>,
}

impl Drop for Effort {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Effort {
    pub(super) fn watch(link: Link) -> Self {
        let seen = Arc::default();
        let task = tokio::spawn(watch(link, Arc::clone(&seen)));
        Self { task, seen }
    }

    /// What all schedulers together have said.
    pub(super) fn sums(&self) -> Sums {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums = Sums::new();
        for (what, count) in seen.values().flatten() {
            *sums.entry(what).or_default() += count;
        }
        sums
    }
}

async fn watch(link: Link, seen: Arc<Mutex<BTreeMap<String, Sums>>>) {
    let mut pace = interval(EVERY);
    loop {
        pace.tick().await;
        let inbox = link.client.new_inbox();
        // Without a server nobody says anything; the next time somebody may.
        let Ok(mut answers) = link.client.subscribe(inbox.clone()).await else { continue };
        let subject = "$SRV.STATS.catena-scheduler";
        let asked = link.client.publish_with_reply(subject, inbox, "".into()).await;
        let until = Instant::now() + ANSWERS;
        while asked.is_ok()
            && let Ok(Some(answer)) = timeout_at(until, answers.next()).await
        {
            if let Some((process, sums)) = process(&answer.payload) {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.insert(process, sums);
            }
        }
    }
}

/// Which process it is, and what it has counted since it began.
fn process(answer: &[u8]) -> Option<(String, Sums)> {
    let stats: Value = serde_json::from_slice(answer).ok()?;
    let process = format!("{} {}", stats["id"].as_str()?, stats["started"].as_str()?);
    let counters = &stats["endpoints"][0]["data"]["counters"];
    let count = |(what, name)| (what, counters[name].as_u64().unwrap_or(0));
    Some((process, COUNTED.map(count).into()))
}
