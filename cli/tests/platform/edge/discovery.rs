//! `nats service ls/info/stats`: every node as a NATS service (ADR-32).

use crate::support::Platform;
use catena_testing::within;
use futures_util::StreamExt;
use serde_json::Value;
use std::collections::BTreeSet;

/// All answers to a request that everybody hears.
async fn gather(platform: &Platform, subject: &str, count: usize) -> Vec<Value> {
    let inbox = platform.client.new_inbox();
    let answers = platform.client.subscribe(inbox.clone()).await.unwrap();
    platform.client.publish_with_reply(subject.to_owned(), inbox, "".into()).await.unwrap();
    let what = format!("{count} answers on {subject}");
    let answers = within(5, &what, answers.take(count).collect::<Vec<_>>()).await;
    answers.iter().map(|answer| serde_json::from_slice(&answer.payload).unwrap()).collect()
}

fn is_name(value: &Value) -> bool {
    let text = value.as_str().unwrap();
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_semver(value: &Value) -> bool {
    let parts: Vec<_> = value.as_str().unwrap().split('-').next().unwrap().split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
}

fn strings(value: &Value) -> bool {
    value.as_object().unwrap().values().all(Value::is_string)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_answers_as_the_convention_says() {
    let platform = Platform::of(2, 2).await;
    platform.still_works().await;
    platform.inline("nonsense", "x").await.bad(404);
    platform.ask("catena.storage.nonsense.x", &[], "x").await.bad(400);
    let expected: BTreeSet<String> =
        ["scheduler-1", "scheduler-2", "worker-1", "worker-2", "storage-1"]
            .map(ToOwned::to_owned)
            .into();
    for verb in ["PING", "INFO", "STATS"] {
        let all = gather(&platform, &format!("$SRV.{verb}"), 5).await;
        let ids: BTreeSet<String> =
            all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids, expected);
        for one in &all {
            let kind = format!("io.nats.micro.v1.{}_response", verb.to_lowercase());
            assert_eq!(one["type"], kind.as_str(), "{one}");
            assert!(is_name(&one["name"]) && is_name(&one["id"]), "{one}");
            assert!(is_semver(&one["version"]), "{one}");
            assert!(strings(&one["metadata"]), "{one}");
            match verb {
                "INFO" => info(one),
                "STATS" => stats(one),
                _ => {}
            }
        }
    }
    let one = gather(&platform, "$SRV.PING.catena-worker.worker-2", 1).await;
    assert_eq!(one[0]["id"], "worker-2");
    assert_eq!(gather(&platform, "$SRV.INFO.catena-scheduler", 2).await.len(), 2);
    counted(&platform).await;
    platform.stop().await;
}

fn info(one: &Value) {
    assert!(one["description"].is_string(), "{one}");
    for endpoint in one["endpoints"].as_array().unwrap() {
        assert!(is_name(&endpoint["name"]), "{endpoint}");
        assert!(endpoint["subject"].as_str().unwrap().starts_with("catena."), "{endpoint}");
        assert!(endpoint["queue_group"].is_string() && strings(&endpoint["metadata"]), "{one}");
    }
}

fn stats(one: &Value) {
    assert!(one["started"].as_str().unwrap().ends_with('Z'), "{one}");
    let endpoints = one["endpoints"].as_array().unwrap();
    assert!(!endpoints.is_empty(), "{one}");
    for endpoint in endpoints {
        assert!(is_name(&endpoint["name"]), "{endpoint}");
        assert!(endpoint["subject"].is_string() && endpoint["queue_group"].is_string());
        assert!(endpoint["last_error"].is_string(), "{endpoint}");
        for number in ["num_requests", "num_errors", "processing_time", "average_processing_time"] {
            assert!(endpoint[number].is_u64(), "{number} in {endpoint}");
        }
    }
}

/// Requests and errors were counted where they were answered.
async fn counted(platform: &Platform) {
    let sum = |all: &[Value], endpoint: &str, what: &str| -> u64 {
        let endpoints = all.iter().flat_map(|one| one["endpoints"].as_array().unwrap());
        endpoints.filter(|e| e["name"] == endpoint).map(|e| e[what].as_u64().unwrap()).sum()
    };
    let schedulers = gather(platform, "$SRV.STATS.catena-scheduler", 2).await;
    assert!(sum(&schedulers, "run", "num_requests") >= 3, "{schedulers:?}");
    assert!(
        sum(&schedulers, "run", "num_errors") >= 1,
        "a refused job is an error: {schedulers:?}"
    );
    let workers = gather(platform, "$SRV.STATS.catena-worker", 2).await;
    assert!(sum(&workers, "step", "num_requests") >= 6, "{workers:?}");
    let storage = gather(platform, "$SRV.STATS.catena-storage", 1).await;
    let errors: u64 = storage[0]["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| endpoint["num_errors"].as_u64().unwrap())
        .sum();
    assert!(errors >= 1, "{storage:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_publishes_events_that_nobody_asked_for() {
    let platform = Platform::start().await;
    let mut events = platform.client.subscribe("catena.event.>").await.unwrap();
    platform.client.flush().await.unwrap();
    platform.still_works().await;
    platform.client.flush().await.unwrap();
    assert!(futures_util::FutureExt::now_or_never(events.next()).is_none());
    platform.stop().await;
}
