//! `nats req catena.run.<chain>`: jobs that somebody waits for.

use crate::support::Platform;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_run_by_name_and_inline() {
    let platform = Platform::start().await;
    platform.chain("shout", "trim,uppercase").await;
    let shout = platform.ask("catena.run.shout", &[], " hello ").await;
    assert_eq!(shout.good(), "HELLO");
    assert_eq!(shout.job().len(), 36);
    assert!(shout.header("Catena-Worker").unwrap().starts_with("worker-"));
    assert!(shout.version() > 1_600_000_000_000_000, "a snapshot is a time: {shout:?}");

    assert_eq!(platform.inline("trim,uppercase", " a ").await.good(), "A");
    let array = r#"["trim", {"operator": "split", "settings": {"on": ","}}]"#;
    assert_eq!(platform.inline(array, "b,a").await.json(), serde_json::json!(["b", "a"]));
    let object = r#"{"steps": ["uppercase"], "deadline": "2s", "description": "no name"}"#;
    assert_eq!(platform.inline(object, "a").await.good(), "A");
    assert_eq!(platform.inline("echo", "").await.good(), "");
    let bytes = vec![0_u8, 159, 146, 150, 255];
    assert_eq!(platform.inline("echo,echo", bytes.clone()).await.body, bytes);
    let large = vec![b'x'; 512 * 1024];
    assert_eq!(platform.inline("echo,echo,echo", large.clone()).await.body, large);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_makes_one_job_of_many_requests() {
    let platform = Platform::of(2, 2).await;
    platform
        .chain("count", r#"[{"operator":"increment","settings":{"key":"count"}},"uppercase"]"#)
        .await;
    let headers = [("Nats-Msg-Id", "order-4711")];
    let again = || platform.ask("catena.run.count", &headers, "first");
    let answers = futures_util::future::join_all((0..20).map(|_| again())).await;
    let later = platform.ask("catena.run.count", &headers, "second").await;
    for answer in answers.iter().chain([&later]) {
        assert_eq!(answer.good(), "FIRST", "the answer of the first");
        assert_eq!(answer.job(), later.job());
    }
    assert_eq!(platform.number("count").await, 1);
    let other = platform.ask("catena.run.count", &[("Nats-Msg-Id", "order-4712")], "x").await;
    assert_ne!(other.job(), later.job());
    assert_eq!(platform.number("count").await, 2);

    // The same key under another routing key, or with another chain, is another job.
    let routed = [("Nats-Msg-Id", "order-4711"), ("Catena-Key", "{ada}")];
    let routed = platform.ask("catena.run.count", &routed, "routed").await;
    assert_eq!(routed.good(), "ROUTED");
    assert_eq!(platform.number("count").await, 3);
    let home = catena_protocol::partition("{ada}", catena_protocol::limit::PARTITIONS);
    assert!(routed.job().starts_with(&format!("{home:04x}")), "{} has home {home}", routed.job());
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_under_an_idempotency_key_stays_the_answer() {
    let platform = Platform::start().await;
    let chain = r#"[{"operator":"jq","settings":{"filter":".a + 1"}}]"#;
    let headers = [("Catena-Chain", chain), ("Nats-Msg-Id", "once")];
    let first = platform.ask("catena.run.inline", &headers, r#"{"a":"text"}"#).await.bad(422);
    let second = platform.ask("catena.run.inline", &headers, r#"{"a":1}"#).await.bad(422);
    assert_eq!(first, second);
    platform.still_works().await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_wait_is_told_the_job_which_goes_on() {
    let platform = Platform::start().await;
    let chain = r#"[{"operator":"sleep","settings":{"for":"900ms"}},
                    {"operator":"put","settings":{"key":"slept"}}]"#
        .replace('\n', " ");
    let headers = [("Catena-Chain", chain.as_str()), ("Catena-Timeout", "200ms")];
    let began = Instant::now();
    let answer = platform.ask("catena.run.inline", &headers, "well").await;
    answer.says(504, &answer.job());
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(195), "answered after {waited:?}");
    assert!(waited < Duration::from_millis(800), "answered after {waited:?}");
    let subject = format!("catena.job.{}.status", answer.job());
    assert_eq!(platform.ask(&subject, &[], "").await.json()["state"], "running");
    let result = format!("catena.job.{}.result", answer.job());
    platform.ask(&result, &[], "").await.says(504, "running");

    assert_eq!(platform.ended(&answer.job()).await["state"], "committed");
    assert_eq!(platform.ask(&result, &[], "").await.good(), "well");
    assert_eq!(platform.read("slept").await.good(), "well");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_timeout_the_answer_comes_before_the_cli_gives_up() {
    let platform = Platform::start().await;
    let began = Instant::now();
    let chain = r#"[{"operator":"sleep","settings":{"for":20}}]"#;
    let answer = platform.inline(chain, "x").await;
    answer.says(504, "goes on");
    assert!(began.elapsed() < Duration::from_millis(4_900), "{:?}", began.elapsed());
    // The deadline of the chain itself ends the job.
    let chain = r#"{"steps":[{"operator":"sleep","settings":{"for":20}}],"deadline":"300ms"}"#;
    let began = Instant::now();
    platform.inline(chain, "x").await.says(504, "");
    assert!(began.elapsed() < Duration::from_millis(3_000), "{:?}", began.elapsed());
    platform.still_works().await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_sees_at_least_the_version_that_it_is_given() {
    let platform = Platform::of(2, 2).await;
    let get = r#"[{"operator":"get","settings":{"key":"seen"}}]"#;
    for round in 0..50 {
        let value = format!("value {round}");
        let written = platform.ask("catena.storage.write.seen", &[], value.clone()).await;
        written.good();
        let after = written.version().to_string();
        let headers = [("Catena-Chain", get), ("Catena-After", after.as_str())];
        let answer = platform.ask("catena.run.inline", &headers, "").await;
        assert_eq!(answer.good(), value);
        assert!(answer.version() >= written.version());
    }
    for (bad, part) in [("soon", "Catena-After"), ("99999999999999999", "ahead")] {
        let headers = [("Catena-Chain", get), ("Catena-After", bad)];
        platform.ask("catena.run.inline", &headers, "").await.says(400, part);
    }
    platform.stop().await;
}
