//! Schedulers that die, freeze and come back.

use super::load::{Load, counting};
use crate::support::{Platform, Process, eventually, registry};
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

/// The long jobs are lost with the processes that knew them: the queue brings some of them
/// again, the client library the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_died_with_scheduler_and_worker_end_under_the_next_ones() {
    end_once(true).await;
}

/// The long jobs go on without the scheduler; the queue brings them again, and they are
/// recognised.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_ended_without_their_scheduler_are_recognised_by_the_next_one() {
    end_once(false).await;
}

async fn end_once(worker_dies: bool) {
    let mut platform = Platform::of(0, 0).await;
    let folder = platform.nats.folder().to_owned();
    let process = |role: &str| {
        let id = format!("{role}-9");
        let arguments = ["--server", platform.nats.url(), role, "--id", &id];
        Process::start(folder.join(format!("{role}.log")), &arguments)
    };
    let (scheduler, worker) = (process("scheduler"), process("worker"));
    platform.recovers().await;
    platform.chain("short", &counting("ended", "1ms")).await;
    platform.chain("long", &counting("ended", "2s")).await;
    let client = Client::connect(platform.nats.settings()).await.unwrap();
    let mut submitted = Vec::new();
    let mut running = Vec::new();
    for n in 0..30_u32 {
        let (name, client) = (["short", "long"][n as usize % 2], client.clone());
        submitted.push(client.submit(name, n.to_string()).await.unwrap());
        running.push(tokio::spawn(async move {
            client.run(name, n.to_string()).timeout(Duration::from_secs(30)).await
        }));
    }
    eventually(20, "the end of the short ones", async || {
        (platform.number("ended").await == 30).then_some(())
    })
    .await;
    scheduler.kill().await;
    if worker_dies {
        worker.kill().await;
    }
    assert_eq!(platform.number("ended").await, 30, "the long ones were still running");
    platform.cluster.add_scheduler("scheduler-10").unwrap();
    platform.cluster.add_worker("worker-10", registry()).unwrap();
    for (n, job) in within(40, "all answers", join_all(running)).await.into_iter().enumerate() {
        assert_eq!(job.unwrap().unwrap().text().unwrap(), n.to_string());
    }
    for job in submitted {
        client.wait_for(job, Duration::from_secs(60)).await.unwrap();
    }
    assert_eq!(platform.number("ended").await, 60);
    let context = async_nats::jetstream::new(platform.client.clone());
    let queue = context.get_stream("CATENA_JOBS").await.unwrap();
    eventually(50, "an empty queue", async || {
        (queue.get_info().await.unwrap().state.messages == 0).then_some(())
    })
    .await;
    assert_eq!(platform.number("ended").await, 60);
    platform.stop().await;
}
