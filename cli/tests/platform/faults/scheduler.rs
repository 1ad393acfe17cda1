//! Schedulers that die, freeze and come back.

use super::load::{Load, counting};
use crate::support::{Platform, Process, eventually};
use catena_client::Client;
use catena_testing::within;
use futures_util::future::join_all;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_that_dies_under_load_costs_nobody_an_answer() {
    let mut platform = Platform::of(2, 2).await;
    let load = Load::start(&platform).await;
    load.goes_on(60).await;
    for round in 0..3 {
        platform.cluster.add_scheduler(&format!("scheduler-{}", 3 + round)).unwrap();
        within(20, "a new scheduler", platform.cluster.ready()).await.unwrap();
        load.goes_on(40).await;
        platform.cluster.kill_service(&format!("scheduler-{}", 1 + round)).await.unwrap();
        load.goes_on(60).await;
    }
    load.check(&platform).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_the_only_scheduler_end_once_under_the_next_one() {
    let mut platform = Platform::of(0, 2).await;
    let log = platform.nats.folder().join("scheduler.log");
    let arguments = ["--server", platform.nats.url(), "scheduler", "--id", "scheduler-9"];
    let process = Process::start(log, &arguments);
    platform.recovers().await;
    platform.chain("slow", &counting("slow", "300ms")).await;
    let client = Client::connect(platform.nats.settings()).await.unwrap();
    let submitted = join_all((0..30).map(|n| client.submit("slow", n.to_string()).into_future()));
    let submitted = within(20, "submission", submitted).await;
    let running = tokio::spawn({
        let client = client.clone();
        async move {
            let run = |n: u32| {
                let run = client.run("slow", n.to_string()).timeout(Duration::from_secs(20));
                run.into_future()
            };
            join_all((0..30).map(run)).await
        }
    });
    eventually(20, "some of them", async || (platform.number("slow").await > 5).then_some(()))
        .await;
    process.kill().await;
    platform.cluster.add_scheduler("scheduler-10").unwrap();
    for result in within(30, "all answers", running).await.unwrap() {
        result.unwrap();
    }
    for job in submitted {
        client.wait_for(job.unwrap(), Duration::from_secs(60)).await.unwrap();
    }
    assert_eq!(platform.number("slow").await, 60);
    platform.stop().await;
}
