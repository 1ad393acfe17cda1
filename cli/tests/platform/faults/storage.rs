//! A storage node that is killed, in a process of its own, and started again on its disk.

use crate::support::{Platform, Process, registry};
use catena_cli::cluster::{Cluster, Plan};
use catena_client::Client;
use catena_testing::within;
use std::collections::BTreeMap;
use std::time::Duration;

fn start(platform: &Platform) -> Process {
    let data = platform.nats.folder().join("catena").join("storage-1");
    let log = platform.nats.folder().join("storage.log");
    let arguments = ["--server", platform.nats.url(), "storage", "--id", "storage-1", "--data"];
    Process::start(log, &[&arguments[..], &[data.to_str().unwrap()]].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_acknowledged_is_there_after_a_kill() {
    let mut platform = Platform::start().await;
    platform.cluster.stop_service("storage-1").await.unwrap();
    let mut process = start(&platform);
    platform.recovers().await;
    let client = Client::connect(platform.nats.settings()).await.unwrap();
    platform
        .chain("count", r#"[{"operator":"increment","settings":{"key":"count"}},"uppercase"]"#)
        .await;
    let mut acknowledged = BTreeMap::new();
    let mut counted = 0_i64;
    for round in 0..4 {
        let writers = (0..16).map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut written = Vec::new();
                let store = client.store().with_timeout(Duration::from_secs(1));
                for step in 0.. {
                    let (key, value) = (format!("k:{n}"), format!("{round}:{step}"));
                    match store.write(key.clone(), value.clone()).await {
                        Ok(_) => written.push((key, value)),
                        // This one may or may not have happened.
                        Err(_) => return (written, Some(value)),
                    }
                }
                (written, None)
            })
        });
        let writers: Vec<_> = writers.collect();
        for n in 0..20 {
            let name = format!("{round}-{n}");
            let run = client.run("count", name.clone()).idempotency_key(&name);
            run.timeout(Duration::from_secs(10)).await.unwrap();
            counted += 1;
        }
        process.kill().await;
        let mut unclear = BTreeMap::new();
        for (n, writer) in writers.into_iter().enumerate() {
            let (written, open) = within(20, "the end of a writer", writer).await.unwrap();
            assert!(!written.is_empty());
            acknowledged.extend(written);
            unclear.insert(format!("k:{n}"), open.unwrap());
        }
        process = start(&platform);
        for (key, value) in &mut acknowledged {
            let store = client.store().with_timeout(Duration::from_secs(20)).patient();
            let found = store.read(key).await.unwrap();
            let found = found.text().unwrap();
            let may_be = unclear.get(key).unwrap();
            assert!(found == value || found == may_be, "{key}: {found}, not {value} or {may_be}");
        }
        assert_eq!(platform.number("count").await, counted);
        // Asked again, jobs from before the crash have their first answer and no second effect.
        let name = format!("{round}-0");
        let again = client.run("count", "other input").idempotency_key(&name).await.unwrap();
        assert_eq!(again.text().unwrap(), name.to_uppercase());
        assert_eq!(platform.number("count").await, counted);
    }
    process.signal("TERM").await;
    assert_eq!(process.ended(20).await.code(), Some(0), "{}", process.log());
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_storage_requests_are_told_so_and_jobs_wait() {
    let mut platform = Platform::start().await;
    platform.chain("count", r#"[{"operator":"increment","settings":{"key":"count"}}]"#).await;
    platform.cluster.stop_service("storage-1").await.unwrap();
    let client = Client::connect(platform.nats.settings()).await.unwrap();
    // Chains that do not touch the store go on.
    platform.still_works().await;
    let store = client.store().with_timeout(Duration::from_secs(1));
    let error = within(5, "an answer", store.write("a", "b")).await.unwrap_err();
    assert_eq!(error.kind(), catena_client::ErrorKind::Unavailable, "{error}");
    platform.ask("catena.run.count", &[("Catena-Timeout", "1s")], "x").await.bad(504);
    let queued = platform.ask("catena.submit.count", &[], "x").await.json();
    let folder = platform.nats.folder().join("catena").join("storage-1");
    platform.cluster.add_storage("storage-1", folder).unwrap();
    let ended = platform.ended(queued["job"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "committed", "{ended}");
    crate::support::eventually(20, "the job of `run`", async || {
        (platform.number("count").await == 2).then_some(())
    })
    .await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_stopped_in_order_is_as_it_was_when_started_again() {
    let platform = Platform::start().await;
    for n in 0..50 {
        platform.ask(&format!("catena.storage.write.k{n}"), &[], n.to_string()).await.good();
    }
    platform.chain("shout", "uppercase").await;
    let before = platform.everything().await;
    let Platform { nats, cluster, client } = platform;
    within(60, "the end of a cluster", cluster.stop()).await.unwrap();
    let plan = Plan {
        nats: Some(nats.settings()),
        registry: registry(),
        ..Plan::new(nats.folder().join("catena"))
    };
    let cluster = within(60, "the second start", Cluster::start(plan)).await.unwrap();
    let mut platform = Platform { nats, cluster, client };
    assert_eq!(platform.ask("catena.run.shout", &[], "x").await.good(), "X");
    platform.unharmed(&before).await;
    platform.stop().await;
}
