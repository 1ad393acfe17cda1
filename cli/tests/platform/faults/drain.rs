//! SIGTERM: no new work, what is under way ends, then the process does, with 0.

use super::load::counting;
use crate::support::{Platform, Process, eventually};
use catena_client::Client;
use catena_testing::within;
use futures_util::future::join_all;
use std::time::Duration;

/// Starts one service more as a process, sends it SIGTERM under work, and counts.
async fn drained(schedulers: usize, workers: usize, role: &str) {
    let platform = Platform::of(schedulers, workers).await;
    let log = platform.nats.folder().join("drained.log");
    let id = format!("{role}-9");
    let arguments = ["--server", platform.nats.url(), role, "--id", &id];
    let mut process = Process::start(log, &arguments);
    let ping = format!("$SRV.PING.catena-{role}.{id}");
    eventually(20, "its answer", async || {
        platform.client.request(ping.clone(), "".into()).await.ok()
    })
    .await;
    platform.recovers().await;
    platform.chain("slow", &counting("slow", "300ms")).await;
    let client = Client::connect(platform.nats.settings()).await.unwrap();
    let jobs: Vec<_> = (0..60)
        .map(|n: u32| {
            let client = client.clone();
            tokio::spawn(async move {
                let run = client.run("slow", n.to_string()).timeout(Duration::from_secs(20));
                run.await.map(drop)
            })
        })
        .collect();
    let submitted = join_all((0..60).map(|n| client.submit("slow", n.to_string()).into_future()));
    let submitted = within(20, "submission", submitted).await;
    process.signal("TERM").await;
    let status = process.ended(25).await;
    assert_eq!(status.code(), Some(0), "{}", process.log());
    for job in within(30, "all jobs", join_all(jobs)).await {
        job.unwrap().unwrap_or_else(|error| panic!("{error}; {}", process.log()));
    }
    for job in submitted {
        client.wait_for(job.unwrap(), Duration::from_secs(45)).await.unwrap();
    }
    assert_eq!(platform.number("slow").await, 120);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_drains() {
    drained(1, 1, "worker").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_drains() {
    drained(1, 2, "scheduler").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_ends_on_sigterm_while_nats_is_away() {
    let mut platform = Platform::start().await;
    let data = platform.nats.folder().join("other");
    let data = data.to_str().unwrap();
    let url = platform.nats.url().to_owned();
    let folder = platform.nats.folder().to_owned();
    let mut processes = Vec::new();
    for (role, more) in
        [("scheduler", vec![]), ("worker", vec![]), ("storage", vec!["--data", data])]
    {
        // A second storage node belongs to a cluster of its own.
        let prefix = if role == "storage" { "other" } else { "catena" };
        let head = ["--server", &url, "--prefix", prefix, role, "--id", "away"];
        let process =
            Process::start(folder.join(format!("{role}.log")), &[&head[..], &more].concat());
        let ping = format!("$SRV.PING.catena-{role}.away");
        eventually(20, "its answer", async || {
            platform.client.request(ping.clone(), "".into()).await.ok()
        })
        .await;
        processes.push(process);
    }
    platform.nats.kill().await;
    for process in &processes {
        process.signal("TERM").await;
    }
    for process in &mut processes {
        let status = process.ended(30).await;
        assert!(status.code().is_some(), "{}", process.log());
    }
    platform.nats.start_again().await;
    platform.recovers().await;
    platform.stop().await;
}
