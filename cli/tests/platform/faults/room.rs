//! Limits of the store that hold jobs up.

use crate::support::Tuned;
use catena_client::Client;
use catena_testing::within;
use futures_util::future::join_all;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_finds_no_room_until_its_deadline_is_told_so_and_changes_nothing() {
    let tuned = Tuned::start(3, |config| config.intents = 0).await;
    let platform = &tuned.platform;
    let chain = r#"{"steps":["write-pair"],"deadline":"1s"}"#;
    let answer = platform.inline(chain, "x").await;
    let why = "no more are taken; nothing was changed; try again later";
    answer.says(429, "it changed nothing");
    answer.says(429, why);
    // What is recorded is what was told.
    let job = answer.job();
    assert_eq!(platform.ended(&job).await["state"], "failed");
    platform.ask(&format!("catena.job.{job}.result"), &[], "").await.says(429, why);
    for key in ["pair:left", "pair:right"] {
        platform.read(key).await.bad(404);
    }
    // Who does not wait so long is told why it takes so long.
    let wait = [("Catena-Chain", r#"["write-pair"]"#), ("Catena-Timeout", "1s")];
    platform.ask("catena.run.inline", &wait, "x").await.says(504, why);
    // One partition by itself needs no room.
    let alone = r#"[{"operator":"put","settings":{"key":"a"}}]"#;
    let home = [("Catena-Chain", alone), ("Catena-Key", "a")];
    platform.ask("catena.run.inline", &home, "x").await.good();
    assert_eq!(platform.read("a").await.good(), "x");
    tuned.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_for_which_there_is_no_room_at_the_moment_all_get_through() {
    const JOBS: usize = 60;
    let tuned = Tuned::start(3, |config| config.intents = 1).await;
    let client = Client::connect(tuned.platform.nats.settings()).await.unwrap();
    let add = |key| format!(r#"{{"operator":"increment","settings":{{"key":"{key}"}}}}"#);
    let chain = format!("[{},{}]", add("left"), add("right"));
    let runs = (0..JOBS).map(|_| {
        let run = client.run_inline(&chain, "x").key("home").timeout(Duration::from_secs(55));
        run.explain().into_future()
    });
    let mut repeats = 0;
    for result in within(60, "all jobs", join_all(runs)).await {
        repeats += result.unwrap().explained.map_or(0, |explained| explained.tries.repeats);
    }
    assert!(repeats > 0, "there was room for all");
    for key in ["left", "right"] {
        assert_eq!(tuned.platform.number(key).await, JOBS as i64);
    }
    tuned.stop().await;
}
