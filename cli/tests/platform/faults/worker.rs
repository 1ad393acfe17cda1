//! Workers that die, freeze, come and go.

use super::load::{Load, counting};
use crate::support::{Platform, Process, eventually, registry};
use catena_client::Client;
use catena_testing::within;
use futures_util::future::join_all;
use std::time::{Duration, Instant};

const JOBS: usize = 40;
/// Silence is noticed after 1.6 s; the rest is room for a busy machine.
const SOON: Duration = Duration::from_secs(6);

/// A worker in a process of its own, beside the one of the cluster.
async fn second_worker(platform: &Platform) -> Process {
    let log = platform.nats.folder().join("worker-9.log");
    let arguments = ["--server", platform.nats.url(), "worker", "--id", "worker-9"];
    let process = Process::start(log, &arguments);
    steps_of_both(platform).await;
    process
}

/// Waits until jobs are spread over both workers.
async fn steps_of_both(platform: &Platform) {
    eventually(20, "a step on the second worker", async || {
        let answer = platform.inline("echo", "x").await;
        (answer.header("Catena-Worker") == Some("worker-9")).then_some(())
    })
    .await;
}

/// A chain that writes at once, and goes on for a while then.
const AT_ONCE: &str = r#"{"isolation":"latest","steps":[
    {"operator":"increment","settings":{"key":"at-once"}},
    {"operator":"sleep","settings":{"for":"400ms"}},"trim"]}"#;

/// Jobs in the middle of which something happens to a worker: all end in time, once.
async fn survive(happens: impl AsyncFnOnce(Process) -> Option<Process>) {
    let platform = Platform::of(2, 1).await;
    let process = second_worker(&platform).await;
    platform.chain("slow", &counting("slow", "400ms")).await;
    platform.chain("at-once", AT_ONCE).await;
    let client = Client::connect(platform.nats.settings()).await.unwrap();
    let began = Instant::now();
    let jobs = (0..2 * JOBS).map(|n| {
        let client = client.clone();
        let chain = ["slow", "at-once"][n / JOBS];
        tokio::spawn(async move {
            let run = client.run(chain, n.to_string()).timeout(Duration::from_secs(20));
            run.await.map(|result| result.text().unwrap().to_owned())
        })
    });
    let jobs: Vec<_> = jobs.collect();
    let submitted = join_all((0..JOBS).map(|n| client.submit("slow", n.to_string()).into_future()));
    let submitted = within(20, "submission", submitted).await;
    let frozen = happens(process).await;
    for (n, job) in within(30, "all jobs", join_all(jobs)).await.into_iter().enumerate() {
        assert_eq!(job.unwrap().unwrap(), n.to_string());
    }
    assert!(began.elapsed() < SOON, "all jobs ended after {:?}", began.elapsed());
    for job in submitted {
        client.wait_for(job.unwrap(), Duration::from_secs(20)).await.unwrap();
    }
    if let Some(frozen) = frozen {
        // What it still does when it wakes up has no effect.
        frozen.signal("CONT").await;
        steps_of_both(&platform).await;
        frozen.kill().await;
    }
    let jobs = i64::try_from(JOBS).unwrap();
    assert_eq!(platform.number("slow").await, 2 * jobs);
    assert_eq!(platform.number("at-once").await, jobs);
    platform.still_works().await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_worker_that_is_killed_run_elsewhere() {
    survive(async |process| {
        process.kill().await;
        None
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_worker_that_is_frozen_run_elsewhere() {
    survive(async |process| {
        process.signal("STOP").await;
        Some(process)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_join_and_leave_under_load_without_a_failed_job() {
    let mut platform = Platform::of(2, 2).await;
    let load = Load::start(&platform).await;
    for round in 0..4 {
        let id = format!("guest-{round}");
        platform.cluster.add_worker(&id, registry()).unwrap();
        within(20, "a new worker", platform.cluster.ready()).await.unwrap();
        load.goes_on(40).await;
        if round % 2 == 0 {
            within(20, "its end", platform.cluster.stop_service(&id)).await.unwrap();
        } else {
            platform.cluster.kill_service(&id).await.unwrap();
        }
        load.goes_on(40).await;
        platform.alive();
    }
    load.check(&platform).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_worker_jobs_wait_or_are_told_so() {
    let mut platform = Platform::of(1, 1).await;
    platform.chain("count", &counting("count", "1ms")).await;
    within(20, "its end", platform.cluster.stop_service("worker-1")).await.unwrap();
    platform.ask("catena.run.count", &[], "x").await.bad(503);
    let queued = platform.ask("catena.submit.count", &[], "later").await.json();
    platform.cluster.add_worker("worker-2", registry()).unwrap();
    let ended = platform.ended(queued["job"].as_str().unwrap()).await;
    assert_eq!(ended["result"], "LATER");
    assert_eq!(platform.number("count").await, 1);
    platform.stop().await;
}
