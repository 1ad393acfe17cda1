//! What stands in stream `CATENA_JOBS`: it outlives every process, so that later programs must read
//! it.

use crate::support::Platform;
use async_nats::jetstream;
use catena_protocol::JobId;
use catena_testing::within;
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

type Headers = BTreeMap<String, String>;

/// Submits a job and looks at the message that is put on the queue for it.
async fn queued(platform: &Platform, chain: &str, headers: &[(&str, &str)]) -> (Headers, String) {
    let subject = format!("catena.queue.{chain}");
    let mut seen = platform.client.subscribe(subject).await.unwrap();
    platform.client.flush().await.unwrap();
    let answer = platform.ask(&format!("catena.submit.{chain}"), headers, "input").await;
    let job = answer.json()["job"].as_str().unwrap().to_owned();
    let message = within(10, "the message", seen.next()).await.unwrap();
    assert_eq!(message.payload, "input");
    let headers = message.headers.unwrap();
    let text = |values: &[async_nats::HeaderValue]| {
        values.iter().map(|value| value.as_str()).collect::<Vec<_>>().join(" and ")
    };
    (headers.iter().map(|(name, values)| (name.to_string(), text(values))).collect(), job)
}

fn these(headers: &[(&str, &str)]) -> Headers {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_on_the_queue_has_these_headers() {
    let platform = Platform::start().await;
    platform.chain("plain", "trim").await;
    let (headers, job) = queued(&platform, "plain", &[]).await;
    assert_eq!(headers, these(&[("Catena-Job", &job), ("Nats-Msg-Id", &job)]));

    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let asked = [
        ("Catena-Chain", "trim,uppercase"),
        ("Catena-Timeout", "4.5"),
        ("Catena-After", "1790000000000123"),
        ("Nats-Msg-Id", "order-4711"),
        ("Catena-Key", "customer-1"),
        ("traceparent", trace),
    ];
    let (headers, job) = queued(&platform, "inline", &asked).await;
    let expected = [
        ("Catena-Job", job.as_str()),
        ("Nats-Msg-Id", &job),
        ("Catena-Chain", "trim,uppercase"),
        ("Catena-Timeout", "4500ms"),
        ("Catena-After", "1790000000000123"),
        ("traceparent", trace),
    ];
    assert_eq!(headers, these(&expected));
    platform.stop().await;
}

/// As a scheduler put it there that is not any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_with_these_headers_is_run() {
    let platform = Platform::start().await;
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    let job = JobId::random(5, u64::try_from(now_us).unwrap(), [0x11; 8]).to_string();
    let context = jetstream::new(platform.client.clone());
    // Makes sure that the stream is there.
    let (_, first) = queued(&platform, "inline", &[("Catena-Chain", "echo")]).await;
    platform.ended(&first).await;
    let mut message = jetstream::message::PublishMessage::build().payload(" later ".into());
    for (name, value) in [
        ("Catena-Job", job.as_str()),
        ("Nats-Msg-Id", &job),
        ("Catena-Chain", "trim,uppercase"),
        ("Catena-Timeout", "45000ms"),
        ("Catena-After", "1"),
    ] {
        message = message.header(name, value);
    }
    context.send_publish("catena.queue.inline", message).await.unwrap().await.unwrap();
    let ended = platform.ended(&job).await;
    assert_eq!(ended["result"], "LATER", "{ended}");
    platform.stop().await;
}
