//! Service operators: a program that answers a subject.

use crate::support::{Platform, eventually};
use async_nats::{HeaderMap, Message, jetstream};
use futures_util::StreamExt;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Answers `my.enrich` with what it heard: its input and its headers.
async fn serve(platform: &Platform) -> tokio::task::JoinHandle<()> {
    let client = platform.client.clone();
    let mut requests = client.subscribe("my.enrich").await.unwrap();
    client.flush().await.unwrap();
    tokio::spawn(async move {
        while let Some(Message { reply, payload, headers, .. }) = requests.next().await {
            let headers = headers.unwrap_or_default();
            let text = |name: &str| headers.get(name).map_or("none", |value| value.as_str());
            let trace = text("traceparent");
            let body = format!(
                "{} at step {} of {} under {trace}",
                String::from_utf8_lossy(&payload),
                text("Catena-Step"),
                text("Catena-Chain"),
            );
            let mut map = HeaderMap::new();
            if payload.starts_with(b"bad") {
                map.insert("Nats-Service-Error", "no such customer");
                map.insert("Nats-Service-Error-Code", "404");
            }
            client.publish_with_headers(reply.unwrap(), map, body.into()).await.unwrap();
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_program_can_be_an_operator() {
    let platform = Platform::start().await;
    let server = serve(&platform).await;
    let definition = r#"{"subject":"my.enrich","description":"adds what it knows"}"#;
    platform.ask("catena.operator.enrich.set", &[], definition).await.good();
    let headers = [("Catena-Chain", "trim,enrich,uppercase,trace"), ("traceparent", TRACE)];
    let answer = platform.ask("catena.run.inline", &headers, " ada ").await;
    assert_eq!(answer.good(), TRACE, "the last operator was given the same context");
    let headers = [("Catena-Chain", "trim,enrich"), ("traceparent", TRACE)];
    let answer = platform.ask("catena.run.inline", &headers, " ada ").await;
    assert_eq!(answer.good(), format!("ada at step 1 of inline under {TRACE}"));
    platform.inline("enrich", "bad").await.says(422, "no such customer");

    // Through the queue the context stays the same.
    let headers = [("Catena-Chain", "enrich"), ("traceparent", TRACE)];
    let queued = platform.ask("catena.submit.inline", &headers, "bob").await.json();
    let ended = platform.ended(queued["job"].as_str().unwrap()).await;
    assert!(ended["result"].as_str().unwrap().ends_with(TRACE), "{ended}");

    platform.ask("catena.operator.echo.set", &[], "my.echo").await.says(409, "echo");
    platform.ask("catena.operator.bad.set", &[], "my.*").await.bad(400);
    platform.ask("catena.operator.bad.set", &[], r#"{"subject":5}"#).await.bad(400);
    platform.inline("bad", "x").await.bad(404);

    // By `nats kv put`, and with nobody there.
    let context = jetstream::new(platform.client.clone());
    let operators = context.get_key_value("CATENA_OPERATORS").await.unwrap();
    operators.put("raw", "my.enrich".into()).await.unwrap();
    operators.put("broken", "{".into()).await.unwrap();
    operators.put("nobody", "my.nobody".into()).await.unwrap();
    eventually(10, "the operator", async || {
        let answer = platform.inline("raw", "x").await;
        answer.text().starts_with("x at step 0").then_some(())
    })
    .await;
    platform.inline("broken", "x").await.bad(404);
    let message = eventually(10, "the operator without a program", async || {
        let answer = platform.inline("nobody", "x").await;
        let code = answer.header("Nats-Service-Error-Code")?.to_owned();
        (code != "404").then(|| answer.text().to_owned())
    })
    .await;
    assert!(message.contains("my.nobody"), "{message}");
    server.abort();
    platform.still_works().await;
    platform.stop().await;
}
