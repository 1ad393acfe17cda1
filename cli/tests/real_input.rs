//! Real input through real clusters of three storage nodes, of which one dies in the middle: every
//! stored count is compared with one computed directly.
//!
//! The texts are not part of the project. They are looked for in the folder that
//! `CATENA_TEST_DATA` names, else in `../shared/data`; where they are missing the test says so.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use bytes::Bytes;
use catena_cli::cluster::{Cluster, Plan};
use catena_client::Client;
use catena_link::connect;
use catena_protocol::chain::Effect;
use catena_worker::operator::{Context, Registry};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::sync::Notify;

const IN_FLIGHT: usize = 256;
const WORKERS: usize = 4;

type Counts = BTreeMap<String, i64>;

fn lines_of(name: &str) -> Option<Vec<String>> {
    let folder = std::env::var_os("CATENA_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(folder.join(name)) else {
        println!("skipped: there is no {name} in {}", folder.display());
        return None;
    };
    Some(text.lines().map(str::to_owned).collect())
}

/// Adds one to a counter for each fact of a parsed and enriched line.
fn registry() -> Registry {
    Registry::built_in()
        .typed(
            "tally",
            Effect::Writing,
            "counts facts",
            |context: Context, line: Value| async move {
                for fact in ["status", "class", "hour", "host"] {
                    let value = line[fact].as_str().unwrap_or("none");
                    context.add(format!("log:{fact}:{value}"), 1).await?;
                }
                context.add("log:bytes", line["bytes"].as_i64().unwrap_or(0)).await?;
                Ok(Value::Null)
            },
        )
        .unwrap()
}

struct Platform {
    cluster: Cluster,
    client: Client,
    folder: tempfile::TempDir,
}

/// Who dies.
const VICTIM: &str = "storage-2";

impl Platform {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan {
            schedulers: 2,
            workers: WORKERS,
            storage: 3,
            registry: registry(),
            apart: Some((VICTIM.to_owned(), env!("CARGO_BIN_EXE_catena").into())),
            ..Plan::new(folder.path())
        };
        let cluster = Cluster::start(plan).await.unwrap();
        let link = connect(cluster.settings().clone(), "test", false).await.unwrap();
        let client = Client::over(link).await.unwrap();
        Self { cluster, client, folder }
    }

    /// Runs a job for each line. When a third is done a storage node dies; when two thirds are it
    /// is started again.
    async fn run_all(&mut self, chain: &str, lines: &[String]) {
        let (client, moments) = (&self.client, [Notify::new(), Notify::new()]);
        let mut done = 0;
        let running = stream::iter(lines)
            .map(|line| client.run(chain, Bytes::copy_from_slice(line.as_bytes())).into_future())
            .buffer_unordered(IN_FLIGHT)
            .try_for_each(|_| {
                done += 1;
                for (third, moment) in (1..).zip(&moments) {
                    if done == third * lines.len() / 3 {
                        moment.notify_one();
                    }
                }
                std::future::ready(Ok(()))
            });
        let data = self.folder.path().join(VICTIM);
        let dying = async {
            moments[0].notified().await;
            self.cluster.kill_service(VICTIM).await.unwrap();
            moments[1].notified().await;
            self.cluster.add_storage(VICTIM, data).unwrap();
            self.cluster.ready().await.unwrap();
        };
        // A job that fails ends the test, also before the node has died.
        let running = async { running.await.unwrap() };
        tokio::join!(running, dying);
        assert_eq!(done, lines.len());
    }

    async fn stored(&self, prefix: &str) -> Counts {
        let found = self.client.store().scan(prefix, 1_000_000).await.unwrap();
        let count = |text: Option<&str>| text.unwrap().parse().unwrap();
        found.into_iter().map(|(key, entry)| (key.to_string(), count(entry.text()))).collect()
    }

    /// Steps that each worker has run, as `nats service stats` shows them. Jobs that were under way
    /// when the node died, or lost against others, may have been run again.
    async fn spread(&self, steps: usize) {
        let mut done = Vec::new();
        for n in 1..=WORKERS {
            let subject = format!("$SRV.STATS.catena-worker.worker-{n}");
            // The figures are renewed with each heartbeat.
            let figure = |stats: &Value| stats["endpoints"][0]["num_requests"].as_u64().unwrap();
            let answer = self.client.link().client.request(subject, "".into()).await.unwrap();
            done.push(figure(&serde_json::from_slice(&answer.payload).unwrap()));
        }
        let all = done.iter().sum::<u64>();
        let equal = all as f64 / WORKERS as f64;
        println!("{steps} steps, {all} with those done again, over {WORKERS} workers: {done:?}");
        assert!(all >= steps as u64, "{done:?}");
        for steps in &done {
            assert!((*steps as f64 - equal).abs() <= 0.05 * equal, "{done:?} is not even");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_log_is_parsed_enriched_and_tallied() {
    let Some(lines) = lines_of("access.log") else { return };
    let mut platform = Platform::start().await;
    let parse = r#"capture("^(?<host>\\S+) \\S+ \\S+ \\[[^:]+:(?<hour>[0-9]+)[^\\]]*\\] \"(?<request>.*)\" (?<status>[0-9]+) (?<bytes>[0-9-]+)( |$)")"#;
    let enrich = r#".bytes |= (tonumber? // 0) | .class = (.status[0:1] + "xx")"#;
    let chain = serde_json::json!({ "steps": [
        { "operator": "jq", "settings": { "filter": parse, "raw": true } },
        { "operator": "jq", "settings": { "filter": enrich } },
        "tally",
    ]});
    platform.client.chains().set("access", chain.to_string()).await.unwrap();
    platform.run_all("access", &lines).await;
    let stored = platform.stored("log:").await;
    let expected = tallied(&lines);
    assert!(expected["log:bytes"] > 1_000_000 && expected.len() > 1_000);
    assert_eq!(stored, expected);
    platform.spread(lines.len() * 3).await;
    platform.cluster.stop().await.unwrap();
}

/// The same facts, without Catena, jq or regular expressions.
fn tallied(lines: &[String]) -> Counts {
    let mut counts = Counts::new();
    for line in lines {
        let host = line.split(' ').next().unwrap();
        let hour = line.split('[').nth(1).unwrap().split(':').nth(1).unwrap();
        let request = line.find('"').unwrap() + 1;
        // The status follows the first closing quote that is followed by a number.
        let (_, rest) = line[request..]
            .match_indices("\" ")
            .map(|(at, _)| line.split_at(request + at + 2))
            .find(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap();
        let mut numbers = rest.split(' ');
        let (status, bytes) = (numbers.next().unwrap(), numbers.next().unwrap());
        let facts = [
            format!("log:status:{status}"),
            format!("log:class:{}xx", &status[..1]),
            format!("log:hour:{hour}"),
            format!("log:host:{host}"),
        ];
        for fact in facts {
            *counts.entry(fact).or_default() += 1;
        }
        *counts.entry("log:bytes".into()).or_default() += bytes.parse().unwrap_or(0);
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_shakespeare_are_counted() {
    let Some(lines) = lines_of("shakespeare.txt") else { return };
    let mut platform = Platform::start().await;
    let chain =
        r#"["trim", {"operator": "word-count", "settings": {"store": true, "prefix": "w:"}}]"#;
    platform.client.chains().set("words", chain).await.unwrap();
    platform.run_all("words", &lines).await;
    let mut expected = Counts::new();
    for line in &lines {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '\'');
        // `'tis` is counted as `tis`: apostrophes count inside a word only.
        for word in words.map(|word| word.trim_matches('\'')).filter(|word| !word.is_empty()) {
            *expected.entry(format!("w:{}", word.to_lowercase())).or_default() += 1;
        }
    }
    let stored = platform.stored("w:").await;
    assert!(expected.len() > 10_000);
    for (word, count) in &expected {
        assert_eq!(stored.get(word), Some(count), "{word}");
    }
    assert_eq!(stored.len(), expected.len());
    platform.spread(lines.len() * 2).await;
    platform.cluster.stop().await.unwrap();
}
