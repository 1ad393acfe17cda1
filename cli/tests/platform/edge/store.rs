//! `nats req catena.storage.<verb>.<key>`: the store for people.

use crate::support::Platform;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_does_what_it_says() {
    let platform = Platform::start().await;
    let on = |verb: &str, key: &str| format!("catena.storage.{verb}.{key}");
    platform.read("a").await.says(404, "`a`");
    let first = platform.ask(&on("write", "a"), &[], "one").await;
    assert_eq!(first.json()["version"], first.version());
    let second = platform.ask(&on("write", "a"), &[], "two").await;
    assert!(second.version() > first.version());
    let read = platform.read("a").await;
    assert_eq!((read.good(), read.version()), ("two", second.version()));

    let at = first.version().to_string();
    let old = platform.ask(&on("read", "a"), &[("Catena-Version", &at)], "").await;
    assert_eq!(old.good(), "one");
    platform.ask(&on("read", "a"), &[("Catena-Version", "1")], "").await.bad(400);

    let update = on("update-if-value-is", "a");
    let wrong = platform.ask(&update, &[], r#"{"expected":"one","value":"three"}"#).await;
    wrong.says(409, "`a`");
    assert_eq!(wrong.json()["current"]["value"], "two");
    let right = platform.ask(&update, &[], r#"{"expected":"two","value":"three"}"#).await;
    right.good();
    let by_version = json!({ "version": right.version(), "value": null }).to_string();
    platform.ask(&update, &[], by_version.clone()).await.good();
    platform.ask(&update, &[], by_version).await.bad(409);
    platform.read("a").await.bad(404);
    platform.ask(&update, &[], r#"{"expected":null,"value":"new"}"#).await.good();
    platform.ask(&update, &[], r#"{"expected":null,"value":"newer"}"#).await.bad(409);

    assert_eq!(platform.ask(&on("add", "n"), &[], "5").await.good(), "5");
    assert_eq!(platform.ask(&on("add", "n"), &[], "-7").await.good(), "-2");
    platform.ask(&on("add", "n"), &[], "much").await.bad(400);
    platform.ask(&on("add", "a"), &[], "1").await.says(422, "a");
    platform.ask(&on("delete", "a"), &[], "").await.good();
    platform.ask(&on("delete", "a"), &[], "").await.good();
    platform.read("a").await.bad(404);

    platform.ask(&on("write", "bytes"), &[], vec![0, 159, 255]).await.good();
    assert_eq!(platform.read("bytes").await.body, vec![0, 159, 255]);
    platform.ask(&on("write", "empty"), &[], "").await.good();
    assert_eq!(platform.read("empty").await.good(), "");
    platform.ask(&on("write", "many.dots.in.it"), &[], "x").await.good();
    assert_eq!(platform.read("many.dots.in.it").await.good(), "x");
    platform.ask(&on("wrote", "a"), &[], "x").await.says(400, "update-if-value-is");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_sent_again_under_its_id_happens_once() {
    let platform = Platform::start().await;
    let headers = [("Nats-Msg-Id", "payment-1")];
    for _ in 0..5 {
        let sum = platform.ask("catena.storage.add.balance", &headers, "10").await;
        assert_eq!(sum.good(), "10");
    }
    let other = platform.ask("catena.storage.add.balance", &[("Nats-Msg-Id", "2")], "10").await;
    assert_eq!(other.good(), "20");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_goes_through_all_partitions_page_by_page() {
    let platform = Platform::start().await;
    for number in 0..120 {
        let subject = format!("catena.storage.write.item.{number:03}");
        platform.ask(&subject, &[], number.to_string()).await.good();
    }
    platform.ask("catena.storage.write.other", &[], "x").await.good();
    let mut keys = Vec::new();
    let mut body = r#"{"limit":50}"#.to_owned();
    loop {
        // A subject cannot end with a dot, so the prefix is given without it.
        let page = platform.ask("catena.storage.scan.item", &[], body.clone()).await;
        page.good();
        let found = page.json();
        let found = found.as_array().unwrap();
        assert!(found.len() <= 50);
        keys.extend(found.iter().map(|record| record["key"].as_str().unwrap().to_owned()));
        match page.header("Catena-Next") {
            Some(next) => body = json!({ "limit": 50, "after": next }).to_string(),
            None => break,
        }
    }
    let expected: Vec<String> = (0..120).map(|number| format!("item.{number:03}")).collect();
    assert_eq!(keys, expected);
    platform.ask("catena.storage.scan", &[], "not json").await.bad(400);
    platform.ask("catena.storage.scan", &[], r#"{"limit":"many"}"#).await.bad(400);
    platform.stop().await;
}
