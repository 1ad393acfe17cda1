//! The store as a person uses it: `nats req catena.storage.<verb>.<key>`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where this fails")]

mod harness;

use catena_testing::NatsServer;
use harness::{Asker, Running, body, header};
use serde_json::{Value, json};

const ERROR_CODE: &str = "Nats-Service-Error-Code";
const VERSION: &str = "Catena-Version";

fn version(message: &async_nats::Message) -> String {
    header(message, VERSION).expect("a version").to_owned()
}

fn code(message: &async_nats::Message) -> Option<u16> {
    let in_body: Option<Value> = serde_json::from_slice(&message.payload).ok();
    let in_body = in_body.and_then(|body| body["error"]["code"].as_u64());
    let in_header = header(message, ERROR_CODE).map(|code| code.parse().unwrap());
    if in_header.is_some() {
        assert_eq!(in_body, in_header.map(u64::from), "headers and body say the same");
    }
    in_header
}

#[tokio::test]
async fn every_verb_does_what_it_says() {
    let server = NatsServer::start().await;
    let node = Running::start(&server, "data").await;
    let asker = Asker::new(&server).await;

    let missing = asker.text("storage.read.a", &[], "").await;
    assert_eq!(code(&missing), Some(404));

    let written = asker.text("storage.write.a", &[], "hello {\"world\"}").await;
    assert_eq!(code(&written), None);
    let first = version(&written);
    let json: Value = serde_json::from_str(body(&written)).unwrap();
    assert_eq!(json["version"].to_string(), first);

    let read = asker.text("storage.read.a", &[], "").await;
    assert_eq!((body(&read), version(&read)), ("hello {\"world\"}", first.clone()));

    let second = version(&asker.text("storage.write.a", &[], "two").await);
    let old = asker.text("storage.read.a", &[(VERSION, &first)], "").await;
    assert_eq!(body(&old), "hello {\"world\"}");

    let added = asker.text("storage.add.n", &[], "5").await;
    assert_eq!(body(&added), "5");
    assert_eq!(body(&asker.text("storage.add.n", &[], " -7\n").await), "-2");
    assert_eq!(code(&asker.text("storage.add.a", &[], "1").await), Some(422));
    assert_eq!(code(&asker.text("storage.add.n", &[], "one").await), Some(400));

    let stale = asker.text("storage.write.a", &[(VERSION, &first)], "three").await;
    assert_eq!(code(&stale), Some(409));
    let fresh = asker.text("storage.write.a", &[(VERSION, &second)], "three").await;
    assert_eq!(code(&fresh), None);

    let gone = asker.text("storage.delete.a", &[], "").await;
    assert_eq!(code(&gone), None);
    assert_eq!(code(&asker.text("storage.read.a", &[], "").await), Some(404));
    node.stop().await;
}

#[tokio::test]
async fn update_if_value_is_compares_text_json_absence_and_version() {
    let server = NatsServer::start().await;
    let node = Running::start(&server, "data").await;
    let asker = Asker::new(&server).await;
    let update = async |body: Value| {
        asker.text("storage.update-if-value-is.k", &[], &body.to_string()).await
    };
    let read = async || body(&asker.text("storage.read.k", &[], "").await).to_owned();

    assert_eq!(code(&update(json!({"expected": "x", "value": "y"})).await), Some(409));
    assert_eq!(code(&update(json!({"expected": null, "value": "one"})).await), None);
    assert_eq!(code(&update(json!({"expected": null, "value": "two"})).await), Some(409));

    let differs = update(json!({"expected": "zero", "value": "two"})).await;
    let current: Value = serde_json::from_str(body(&differs)).unwrap();
    assert_eq!(current["current"]["value"], "one");
    assert_eq!(current["current"]["version"].to_string(), version(&differs));

    assert_eq!(code(&update(json!({"expected": "one", "value": {"b": 1, "a": [2]}})).await), None);
    assert_eq!(read().await, r#"{"a":[2],"b":1}"#);
    assert_eq!(code(&update(json!({"expected": {"a": [2], "b": 1}, "value": 7})).await), None);
    let seven = asker.text("storage.read.k", &[], "").await;
    assert_eq!(body(&seven), "7");
    let at: u64 = version(&seven).parse().unwrap();
    assert_eq!(code(&update(json!({"version": at + 1, "value": "x"})).await), Some(409));
    assert_eq!(code(&update(json!({"version": at, "value": null})).await), None);
    assert_eq!(code(&asker.text("storage.read.k", &[], "").await), Some(404));

    for bad in [
        json!([]),
        json!({"value": 1}),
        json!({"expected": 1}),
        json!({"expected": 1, "version": 1, "value": 1}),
        json!({"version": -1, "value": 1}),
        json!({"expected": 1, "value": 1, "x": 1}),
    ] {
        assert_eq!(code(&update(bad.clone()).await), Some(400), "{bad}");
    }
    node.stop().await;
}

#[tokio::test]
async fn the_same_msg_id_writes_once() {
    let server = NatsServer::start().await;
    let node = Running::start(&server, "data").await;
    let asker = Asker::new(&server).await;
    let add = async || {
        let told = asker.text("storage.add.n", &[("Nats-Msg-Id", "order-1")], "5").await;
        (body(&told).to_owned(), version(&told))
    };
    let first = add().await;
    assert_eq!(add().await, first);
    assert_eq!(first.0, "5");
    let other = asker.text("storage.add.m", &[("Nats-Msg-Id", "order-1")], "1").await;
    assert_eq!(body(&other), "1", "another key is another write");
    node.stop().await;
}

#[tokio::test]
async fn a_scan_finds_all_partitions_in_order_and_page_by_page() {
    let server = NatsServer::start().await;
    let node = Running::start(&server, "data").await;
    let asker = Asker::new(&server).await;
    let mut expected = Vec::new();
    for number in 0..40 {
        let key = format!("user{number:02}");
        asker.text(&format!("storage.write.{key}"), &[], &number.to_string()).await;
        expected.push(key);
    }
    asker.text("storage.write.other", &[], "x").await;
    asker.text("storage.delete.user07", &[], "").await;
    expected.remove(7);

    let mut found = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = json!({"after": after, "limit": 15}).to_string();
        let told = asker.text("storage.scan.user", &[], &page).await;
        let records: Vec<Value> = serde_json::from_slice(&told.payload).unwrap();
        found.extend(records.iter().map(|r| r["key"].as_str().unwrap().to_owned()));
        match header(&told, "Catena-Next") {
            Some(next) => after = next.into(),
            None => break,
        }
    }
    assert_eq!(found, expected);

    let all = asker.text("storage.scan", &[], "").await;
    let all: Vec<Value> = serde_json::from_slice(&all.payload).unwrap();
    assert_eq!(all.len(), 40);
    assert_eq!(all[0]["key"], "other");
    assert_eq!(all[0]["value"], "x");

    asker.text("storage.write.{t}:1", &[], "1").await;
    let tagged = asker.text("storage.scan.{t}:", &[], "").await;
    let tagged: Vec<Value> = serde_json::from_slice(&tagged.payload).unwrap();
    assert_eq!(tagged.len(), 1);
    assert_eq!(code(&asker.text("storage.scan.a", &[], "nonsense").await), Some(400));
    node.stop().await;
}

#[tokio::test]
async fn discovery_and_cluster_answer() {
    let server = NatsServer::start().await;
    let node = Running::start(&server, "data").await;
    let asker = Asker::new(&server).await;
    let cluster = asker.text("cluster", &[], "").await;
    let cluster: Value = serde_json::from_slice(&cluster.payload).unwrap();
    assert_eq!(cluster["partitions"], 8);
    assert_eq!(cluster["id"].as_str().unwrap().len(), 32);
    asker.text("storage.write.a", &[], "1").await;
    let stats = asker.link.client.request("$SRV.STATS.catena-storage", "".into()).await.unwrap();
    let stats: Value = serde_json::from_slice(&stats.payload).unwrap();
    assert_eq!(stats["endpoints"][1]["num_requests"], 1);
    node.stop().await;
}
