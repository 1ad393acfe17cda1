//! The store's face when storage nodes are away, silent, or not the ones who lead.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is wrong")]

mod stand_in;

use catena_client::{Client, ErrorKind, Updated};
use catena_protocol::message::read::Record;
use catena_protocol::message::store::{Ask, Request, Tell};
use catena_protocol::message::write::{Change, Condition, Written};
use catena_protocol::{NodeId, RequestId, Timestamp};
use catena_testing::{NatsServer, within};
use futures_util::future::join_all;
use stand_in::{cluster, leads, primaries, storage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn read_answer(_: &Request) -> Option<Tell> {
    Some(Tell::Record(Record { version: Timestamp(5), value: Some("hi".into()) }))
}

fn written() -> Tell {
    Tell::Written(Written::Done { version: Timestamp(6), value: None })
}

#[tokio::test]
async fn without_storage_nodes_it_says_so_in_time() {
    let nats = NatsServer::start().await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let store = client.store().with_timeout(Duration::from_millis(300));
    let error = within(3, "an answer", store.read("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("nothing was changed"), "{error}");
}

#[tokio::test]
async fn a_primary_that_comes_later_gets_what_waited_for_it() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let write = tokio::spawn({
        let store = client.store().clone();
        async move { store.write("a", "x").await }
    });
    client.store().partitions().await.unwrap();
    let error =
        client.store().with_timeout(Duration::from_millis(200)).write("b", "x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("nothing was changed"), "{error}");

    let _primary = storage(&link, primaries(&link), |_| Some(written())).await;
    assert_eq!(within(3, "the write", write).await.unwrap().unwrap(), Timestamp(6));
    assert_eq!(client.seen(), Timestamp(6));
}

#[tokio::test]
async fn a_node_that_does_not_lead_points_to_the_one_that_does() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let (old, new) = (NodeId::new("s1").unwrap(), NodeId::new("s2").unwrap());
    let hint = Some(new.clone());
    let away = storage(&link, link.subjects.node(&old), move |_| {
        Some(Tell::NotPrimary { primary: hint.clone() })
    })
    .await;
    let home = storage(&link, link.subjects.node(&new), read_answer).await;
    let client = Client::connect(nats.settings()).await.unwrap();
    within(5, "a read by way of the old leader", async {
        while away.messages() == 0 {
            leads(&link, "s1", 1).await;
            let store = client.store().with_timeout(Duration::from_millis(100));
            let _ = store.read("a").await;
        }
    })
    .await;
    let entry = client.store().read("a").await.unwrap();
    assert_eq!(entry.text(), Some("hi"));
    assert!(home.messages() > 0);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_request_id() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let seen: Arc<Mutex<Vec<RequestId>>> = Arc::default();
    let requests = Arc::clone(&seen);
    let _primary = storage(&link, primaries(&link), move |request| {
        let Ask::Write(write) = &request.ask else { return None };
        let mut seen = requests.lock().unwrap();
        seen.push(write.request);
        (seen.len() > 1).then(written)
    })
    .await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let started = Instant::now();
    within(4, "the write", client.store().write("a", "x")).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(150));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 1, "{seen:?}");
}

#[tokio::test]
async fn a_silent_primary_ends_in_an_error_that_does_not_lie() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let _primary = storage(&link, primaries(&link), |_| None).await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let store = client.store().with_timeout(Duration::from_millis(400));
    let error = within(3, "an answer", store.write("a", "x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(error.to_string().contains("may or may not have happened"), "{error}");
    let error = within(3, "an answer", store.read("a")).await.unwrap_err();
    assert!(error.to_string().contains("nothing was changed"), "{error}");
}

#[tokio::test]
async fn reads_that_a_replica_could_not_answer_are_counted() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let behind = Tell::Behind { primary: None, closed: Timestamp(4) };
    let replicas = format!("{}.partition.*.replica", link.subjects.prefix());
    let _replicas = storage(&link, replicas, move |_| Some(behind.clone())).await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let store = client.store().with_timeout(Duration::from_millis(500));
    assert_eq!(store.redirected(), 0);
    let error = within(3, "an answer", store.read_at("a", Timestamp(5))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(store.redirected() > 0);
    assert_eq!(client.store().redirected(), store.redirected(), "clones count together");
}

#[tokio::test]
async fn many_requests_of_one_moment_are_few_messages() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let primary = storage(&link, primaries(&link), read_answer).await;
    let client = Client::connect(nats.settings()).await.unwrap();
    client.store().read("a").await.unwrap();
    let before = primary.messages();
    let reads = (0..256).map(|n| {
        let store = client.store().clone();
        async move { store.read(format!("k{n}")).await }
    });
    for entry in within(5, "all reads", join_all(reads)).await {
        assert_eq!(entry.unwrap().text(), Some("hi"));
    }
    let messages = primary.messages() - before;
    assert!(messages <= 4 * usize::from(stand_in::PARTITIONS), "{messages} messages for 256 reads");
}

#[tokio::test]
async fn nonsense_from_a_peer_harms_nothing() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let mut first = true;
    let _nonsense = stand_in::answer_on(&link, primaries(&link), move |_| {
        std::mem::take(&mut first).then(|| (None, b"\xff\x00 nonsense".to_vec()))
    })
    .await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let store = client.store().with_timeout(Duration::from_millis(300));
    assert_eq!(store.read("a").await.unwrap_err().kind(), ErrorKind::Deadline);
    link.client.publish("catena.heartbeat.storage.x", "nonsense".into()).await.unwrap();
    let _primary = storage(&link, primaries(&link), read_answer).await;
    assert_eq!(client.store().read("a").await.unwrap().text(), Some("hi"));
}

#[tokio::test]
async fn a_server_that_is_started_again_is_found_again() {
    let mut nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let values: Arc<Mutex<BTreeMap<String, Change>>> = Arc::default();
    let stored = Arc::clone(&values);
    let _primary = storage(&link, primaries(&link), move |request| {
        let Ask::Write(write) = &request.ask else { return None };
        assert_eq!(write.condition, Condition::ValueIs(None));
        let key = write.mutation.key.to_string();
        stored.lock().unwrap().insert(key, write.mutation.change.clone());
        Some(written())
    })
    .await;
    let client = Client::connect(nats.settings()).await.unwrap();
    client.store().partitions().await.unwrap();
    nats.kill().await;
    let writes = (0..20).map(|n| {
        let store = client.store().with_timeout(Duration::from_secs(15));
        async move { store.update_if_value_is(format!("k{n}"), None, Some("x".into())).await }
    });
    let (written, ()) = tokio::join!(within(20, "all writes", join_all(writes)), async {
        nats.start_again().await;
    });
    assert!(written.into_iter().all(|written| matches!(written, Ok(Updated::Done(_)))));
    assert_eq!(values.lock().unwrap().len(), 20);
}

#[tokio::test]
async fn what_cannot_be_a_request_is_refused_before_anything_is_sent() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let primary = storage(&link, primaries(&link), |_| Some(written())).await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let store = client.store();
    for (key, kind) in [
        (String::new(), ErrorKind::BadRequest),
        ("a\nb".into(), ErrorKind::BadRequest),
        ("x".repeat(513), ErrorKind::TooLarge),
    ] {
        assert_eq!(store.write(key, "x").await.unwrap_err().kind(), kind);
    }
    let error = store.write("a", vec![0; 256 * 1024 + 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(primary.messages(), 0);
    store.write("a", vec![0; 256 * 1024]).await.unwrap();
}
