//! Discovery, asked as the `nats` CLI asks.

#![allow(clippy::unwrap_used, reason = "a test")]
use catena_protocol::subject::Role;
use catena_protocol::{Code, Fault, NodeId};
use catena_service::{Discovery, Endpoints, Facts, Identity};
use catena_testing::NatsServer;
use serde_json::{Value, json};
use std::time::Duration;

async fn ask(client: &async_nats::Client, subject: &str) -> Value {
    let answer = client.request(subject.to_owned(), "".into()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

#[tokio::test]
async fn a_service_is_found_and_tells_its_figures() {
    let server = NatsServer::start().await;
    let link = server.connect("test").await;
    let identity = Identity::new(Role::Worker, Some(NodeId::new("w1").unwrap()));
    let mut endpoints = Endpoints::default();
    let run = endpoints.add("run", "catena.run.*".into(), Some("catena"));
    let facts = Facts::default();
    let _discovery =
        Discovery::start(&link.client, &identity, "runs operators", endpoints, facts.clone())
            .await
            .unwrap();
    let ping = ask(&link.client, "$SRV.PING").await;
    assert_eq!((&ping["name"], &ping["id"]), (&json!("catena-worker"), &json!("w1")));
    let info = ask(&link.client, "$SRV.INFO.catena-worker").await;
    assert_eq!(info["endpoints"][0]["subject"], "catena.run.*");

    run.answered(4, Duration::from_nanos(400));
    run.failed(&Fault::new(Code::NotFound, "no such chain"));
    facts.set(json!({"outstanding": 3}));
    let stats = ask(&link.client, "$SRV.STATS.catena-worker.w1").await;
    let endpoint = &stats["endpoints"][0];
    assert_eq!(endpoint["num_requests"], 4);
    assert_eq!(endpoint["num_errors"], 1);
    assert_eq!(endpoint["average_processing_time"], 100);
    assert_eq!(endpoint["last_error"], "404: no such chain");
    assert_eq!(endpoint["data"]["outstanding"], 3);
    assert!(stats["started"].as_str().unwrap().ends_with('Z'));
}
