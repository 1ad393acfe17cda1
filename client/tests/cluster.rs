//! The whole library against a real cluster: storage node, scheduler and worker over NATS.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is wrong")]

use catena_client::{Client, ErrorKind, JobId, JobState, Timestamp, Updated};
use catena_service::{ShutdownHandle, shutdown};
use catena_testing::{NatsServer, within};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A running service; `stop` drains it.
struct Service {
    shutdown: ShutdownHandle,
    task: JoinHandle<()>,
}

impl Service {
    async fn stop(self) {
        self.shutdown.request();
        within(10, "the end of a service", self.task).await.unwrap();
    }
}

fn storage(nats: &NatsServer, folder: PathBuf) -> Service {
    let (handle, shutdown) = shutdown();
    let settings = nats.settings();
    let task = tokio::spawn(async move {
        let config = catena_storage::Config::new(folder);
        catena_storage::run(config, settings, shutdown).await.unwrap();
    });
    Service { shutdown: handle, task }
}

fn scheduler(nats: &NatsServer) -> Service {
    let (handle, shutdown) = shutdown();
    let settings = nats.settings();
    let task = tokio::spawn(async move {
        let config = catena_scheduler::Config::default();
        catena_scheduler::run(config, settings, shutdown).await.unwrap();
    });
    Service { shutdown: handle, task }
}

fn worker(nats: &NatsServer) -> Service {
    let (handle, shutdown) = shutdown();
    let settings = nats.settings();
    let task = tokio::spawn(async move {
        let config = catena_worker::Config::default();
        catena_worker::run(config, settings, shutdown).await.unwrap();
    });
    Service { shutdown: handle, task }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_keeps_its_word() {
    let nats = NatsServer::start().await;
    let folder = nats.folder().join("storage");
    let node = storage(&nats, folder.clone());
    let client = Client::connect(nats.settings()).await.unwrap();
    let store = client.store();

    assert_eq!(store.read("a").await.unwrap().value, None);
    let first = store.write("a", "1").await.unwrap();
    let second = store.write("a", "2").await.unwrap();
    assert!(second > first);
    assert_eq!(store.read_at("a", first).await.unwrap().text(), Some("1"));
    let entry = store.read("a").await.unwrap();
    assert_eq!((entry.text(), entry.version), (Some("2"), second));

    let differs = store.update_if_value_is("a", Some("1".into()), Some("x".into())).await.unwrap();
    assert_eq!(differs, Updated::Differs(entry));
    let done = store.update_if_version_is("a", second, Some("3".into())).await.unwrap();
    assert!(done.happened());
    let gone = store.delete("a").await.unwrap();
    assert_eq!(client.seen(), gone);
    assert!(store.update_if_value_is("a", None, Some("4".into())).await.unwrap().happened());
    assert!(!store.update_if_version_is("a", Timestamp::ZERO, None).await.unwrap().happened());

    let adds = (0..200).map(|_| store.add("counter", 3));
    let sums = within(10, "all adds", join_all(adds)).await;
    let mut sums: Vec<i64> = sums.into_iter().map(Result::unwrap).collect();
    sums.sort_unstable();
    assert_eq!(sums, (1..=200).map(|n| n * 3).collect::<Vec<i64>>());
    let error = store.add("a", i64::MAX).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OperatorFailed | ErrorKind::BadRequest), "{error}");

    for n in 0..30 {
        store.write(format!("{{ada}}:{n:02}"), n.to_string()).await.unwrap();
    }
    let tagged = store.scan("{ada}:", 25).await.unwrap();
    let keys: Vec<String> = tagged.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(keys, (0..25).map(|n| format!("{{ada}}:{n:02}")).collect::<Vec<_>>());
    let all = store.scan("", 1_000).await.unwrap();
    assert_eq!(all.len(), 32, "30 tagged keys, `a` and `counter`");

    node.stop().await;
    let waiting = tokio::spawn({
        let store = store.with_timeout(Duration::from_secs(10));
        async move { store.add("counter", 1).await }
    });
    let node = storage(&nats, folder);
    assert_eq!(within(10, "the add", waiting).await.unwrap().unwrap(), 601);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_run_and_their_jobs_can_be_followed() {
    let nats = NatsServer::start().await;
    let node = storage(&nats, nats.folder().join("storage"));
    let (planner, hands) = (scheduler(&nats), worker(&nats));
    let client = Client::connect(nats.settings()).await.unwrap();

    let result = client.run_inline("trim,uppercase", " hello ").await.unwrap();
    assert_eq!(result.text().unwrap(), "HELLO");
    let error = client.run_inline("no-such-operator", "x").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unavailable), "{error}");
    let error = client.run("no-such-chain", "x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");

    let count = r#"{"steps":[{"operator":"increment","settings":{"key":"hits"}},"uppercase"]}"#;
    client.chains().set("count", count).await.unwrap();
    let bad = client.chains().set("bad", "no-such-operator").await.unwrap_err();
    assert!(matches!(bad.kind(), ErrorKind::NotFound | ErrorKind::BadRequest), "{bad}");
    let names: BTreeMap<_, _> = client.chains().list().await.unwrap().into_iter().collect();
    assert_eq!(names.keys().collect::<Vec<_>>(), ["count"]);
    assert_eq!(client.chains().get("count").await.unwrap().as_deref(), Some(count));

    let runs = (0..50).map(|n| client.run("count", format!("job {n}")).into_future());
    for (n, result) in within(20, "all jobs", join_all(runs)).await.into_iter().enumerate() {
        assert_eq!(result.unwrap().text().unwrap(), format!("JOB {n}"));
    }
    assert_eq!(client.store().read("hits").await.unwrap().text(), Some("50"));

    let again = || client.run("count", "x").idempotency_key("once").into_future();
    let (first, second) = tokio::join!(again(), again());
    assert_eq!(first.unwrap(), second.unwrap());
    let third = again().await.unwrap();
    assert_eq!(third.text().unwrap(), "X");
    assert_eq!(client.store().read("hits").await.unwrap().text(), Some("51"));
    assert_eq!(client.status(third.job).await.unwrap().state, JobState::Committed);

    let job = client.submit("count", "later").idempotency_key("later").await.unwrap();
    assert_eq!(within(20, "the job", client.wait(job)).await.unwrap().text().unwrap(), "LATER");
    assert_eq!(client.submit("count", "later").idempotency_key("later").await.unwrap(), job);
    assert_eq!(client.store().read("hits").await.unwrap().text(), Some("52"));

    // Also where the chain's `key` finds another home, in whatever input.
    let keyed = r#"{"steps":["uppercase"],"key":"/who"}"#;
    client.chains().set("keyed", keyed).await.unwrap();
    let job = client.submit("keyed", r#"{"who":"ada"}"#).idempotency_key("one").await.unwrap();
    within(20, "the job", client.wait(job)).await.unwrap();
    let run = client.run("keyed", r#"{"who":"eve"}"#).idempotency_key("one").await.unwrap();
    assert_eq!((run.job, run.text().unwrap()), (job, r#"{"WHO":"ADA"}"#));

    let unknown = JobId::random(0, 0, [7; 8]);
    assert_eq!(client.status(unknown).await.unwrap_err().kind(), ErrorKind::NotFound);
    let failed =
        client.run_inline(r#"[{"operator":"fail","settings":{"message":"on purpose"}}]"#, "x");
    let error = failed.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OperatorFailed);
    assert!(error.to_string().contains("on purpose"), "{error}");

    client.chains().delete("count").await.unwrap();
    assert_eq!(client.chains().get("count").await.unwrap(), None);
    client.close().await;
    for service in [hands, planner, node] {
        service.stop().await;
    }
}
