//! Jobs that touch the same keys at the same time.

use crate::support::{Platform, Trio};
use catena_client::Client;
use catena_testing::within;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ADD_ONE: &str = r#"[{"operator":"add-one","settings":{"key":"sum"}}]"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_jobs_that_read_and_write_one_key_all_get_through() {
    let platform = Platform::of(2, 3).await;
    platform.chain("add-one", ADD_ONE).await;
    let client = Client::connect(platform.nats.settings()).await.unwrap();
    let runs = (0..200).map(|n: u32| {
        client.run("add-one", n.to_string()).timeout(Duration::from_secs(55)).into_future()
    });
    let mut sums = Vec::new();
    for result in within(60, "all jobs", join_all(runs)).await {
        sums.push(result.unwrap().text().unwrap().parse::<u64>().unwrap());
    }
    sums.sort_unstable();
    assert_eq!(sums, (1..=200).collect::<Vec<_>>(), "each saw the one before");
    assert_eq!(platform.number("sum").await, 200);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_sees_one_snapshot_and_its_own_writes() {
    let platform = Platform::of(2, 3).await;
    let chain = r#"["write-then-read","write-then-read"]"#;
    platform.chain("own", chain).await;
    platform.ask("catena.storage.write.own", &[], "old").await.good();
    let seen = platform.ask("catena.run.own", &[], "new").await.json();
    // The second step was given what the first one saw, and sees what it wrote.
    assert_eq!(seen["before"], "new");
    let after: Value = serde_json::from_str(seen["after"].as_str().unwrap()).unwrap();
    assert_eq!((&after["before"], &after["after"]), (&"old".into(), &"new".into()));

    let client = Client::connect(platform.nats.settings()).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (client, stop) = (client.clone(), stop.clone());
        async move {
            let mut round = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                client.run_inline("write-pair", round.to_string()).await.unwrap();
                round += 1;
            }
            round
        }
    });
    let mut distinct = std::collections::BTreeSet::new();
    let read_all = async {
        for _ in 0..40 {
            let reads = (0..5).map(|_| client.run_inline("echo,read-pair", "").into_future());
            for result in join_all(reads).await {
                let pair: Value = serde_json::from_slice(&result.unwrap().bytes).unwrap();
                assert_eq!(pair["left"], pair["right"], "half of a job was seen");
                distinct.insert(pair["left"].as_str().unwrap().to_owned());
            }
        }
    };
    within(60, "all reads", read_all).await;
    stop.store(true, Ordering::Relaxed);
    let rounds = within(10, "the end of the writer", writer).await.unwrap();
    assert!(rounds > 10 && distinct.len() > 5, "{rounds} writes, {} seen", distinct.len());
    platform.stop().await;
}

/// Two jobs read the same two keys and each writes another one: one after the other, the second
/// would have seen what the first did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_job_only_read_still_holds_when_it_commits() {
    let platform = Platform::of(2, 3).await;
    for round in 0..40 {
        for post in ["left", "right"] {
            platform.ask(&format!("catena.storage.write.post:{post}"), &[], "staffed").await.good();
        }
        let (left, right) =
            tokio::join!(platform.inline("leave", "left"), platform.inline("leave", "right"));
        let mut seen = [left.good(), right.good()];
        seen.sort_unstable();
        assert_eq!(seen, ["1", "2"], "round {round}: nobody stayed");
    }
    platform.stop().await;
}

/// How often one of two jobs lost that were under way together, and each read what the other wrote.
async fn lost_in_write_skew(platform: &Platform, client: &Client, isolation: &str) -> u32 {
    let chain = |reads: &str, writes: &str| {
        serde_json::json!({
            "isolation": isolation,
            "steps": [
                { "operator": "get", "settings": { "key": reads } },
                { "operator": "sleep", "settings": { "for": "1s" } },
                { "operator": "put", "settings": { "key": writes } },
            ],
        })
        .to_string()
    };
    platform.chain("left", &chain("x", "y")).await;
    platform.chain("right", &chain("y", "x")).await;
    let run = |chain| client.run(chain, "").explain().timeout(Duration::from_secs(30));
    let (left, right) = tokio::join!(run("left").into_future(), run("right").into_future());
    let conflicts = |run: catena_client::RunResult| run.explained.unwrap().tries.conflicts;
    conflicts(left.unwrap()) + conflicts(right.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_isolation_of_a_chain_decides_what_conflicts() {
    let platform = Platform::of(2, 3).await;
    let client = Client::connect(platform.nats.settings()).await.unwrap();
    for key in ["x", "y"] {
        client.store().write(key, "old").await.unwrap();
    }
    assert_eq!(lost_in_write_skew(&platform, &client, "snapshot").await, 0);
    assert!(lost_in_write_skew(&platform, &client, "serializable").await > 0);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_chain_with_latest_writes_is_there_before_it_ends() {
    let platform = Platform::of(2, 3).await;
    let client = Client::connect(platform.nats.settings()).await.unwrap();
    let steps = |isolation: &str| {
        serde_json::json!({
            "isolation": isolation,
            "steps": [
                { "operator": "put", "settings": { "key": isolation } },
                { "operator": "sleep", "settings": { "for": "20s" } },
            ],
        })
        .to_string()
    };
    for isolation in ["serializable", "latest"] {
        platform.chain(isolation, &steps(isolation)).await;
    }
    let runs = ["serializable", "latest"].map(|chain| client.run(chain, "new").into_future());
    let seen = async {
        while client.store().read("latest").await.unwrap().text() != Some("new") {
            tokio::task::yield_now().await;
        }
        client.store().read("serializable").await.unwrap().text().map(str::to_owned)
    };
    tokio::select! {
        _ = join_all(runs) => panic!("a job has ended first"),
        seen = within(15, "what it wrote", seen) => assert_eq!(seen, None),
    }
    platform.stop().await;
}

/// Attempts that none of many jobs needs more than in this time: two, one for a primary that moves,
/// and one for each time that those in line hear of their conflicts, with what it takes to notice.
fn most_attempts(elapsed: Duration) -> u32 {
    4 + u32::try_from(elapsed.as_secs() / 4).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_jobs_that_rewrite_one_key_on_three_nodes_none_is_beaten_for_ever() {
    let trio = Trio::start().await;
    trio.platform.chain("add-one", ADD_ONE).await;
    let client = Client::connect(trio.platform.nats.settings()).await.unwrap();
    let runs = stream::iter(0..1_000).map(|n: u32| {
        client.run("add-one", n.to_string()).key("sum").explain().timeout(Duration::from_secs(80))
    });
    let all = runs.map(IntoFuture::into_future).buffer_unordered(1_000).collect::<Vec<_>>();
    let (mut sums, mut attempts) = (Vec::new(), Vec::new());
    let began = Instant::now();
    for result in within(90, "all jobs", all).await {
        let result = result.unwrap();
        sums.push(result.text().unwrap().parse::<u64>().unwrap());
        // Who asked what became of a job is told how it ended, not how it went.
        attempts.extend(result.explained.map(|explained| explained.tries.attempts));
    }
    attempts.sort_unstable();
    let most = most_attempts(began.elapsed());
    assert!(attempts.len() > 500 && attempts.iter().all(|n| *n <= most), "{most}: {attempts:?}");
    sums.sort_unstable();
    assert_eq!(sums, (1..=1_000).collect::<Vec<_>>(), "each saw the one before");
    trio.stop().await;
}
