use crate::cluster::{Cluster, code, json, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_worker_that_dies_run_elsewhere() {
    let cluster = Cluster::start(1, 1).await;
    let chain = [
        ("Catena-Chain", r#"[{"operator":"sleep","settings":{"for":"1s"}}]"#),
        ("Catena-Timeout", "20s"),
    ];
    assert_eq!(text(&cluster.ask("catena.run.inline", &chain, "warm").await), "warm");
    let doomed = cluster.worker("doomed");
    let knows = |data: &serde_json::Value| {
        data["workers"].as_array().is_some_and(|all| all.iter().any(|w| w["worker"] == "doomed"))
    };
    cluster.service_shows("catena-scheduler", knows).await;
    let running = (0..8).map(|_| cluster.ask("catena.run.inline", &chain, "x"));
    let running = futures_util::future::join_all(running);
    let (answers, ()) = tokio::join!(running, async {
        let busy = |data: &serde_json::Value| data["jobs"] == 8;
        cluster.service_shows("catena-scheduler", busy).await;
        // Without a word: its task and its connection are gone at once.
        doomed.task.abort();
    });
    for answer in answers {
        assert_eq!((text(&answer), code(&answer)), ("x", None));
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submitted_jobs_survive_a_scheduler_and_a_restart_of_nats() {
    let mut cluster = Cluster::start(1, 2).await;
    let chain = r#"["echo",{"operator":"increment","settings":{"key":"{t}:done"}}]"#;
    let set = cluster.ask("catena.chain.count.set", &[], chain).await;
    assert_eq!(code(&set), None, "{}", text(&set));
    let doomed = cluster.scheduler("doomed");
    let mut jobs = Vec::new();
    for n in 0..60 {
        let queued = json(&cluster.ask("catena.submit.count", &[], "x").await);
        jobs.push(queued["job"].as_str().unwrap().to_owned());
        if n == 20 {
            doomed.task.abort();
        }
        if n == 40 {
            cluster.server.kill().await;
            cluster.server.start_again().await;
        }
    }
    for job in jobs {
        cluster.status(&job, &["committed"]).await;
    }
    let done = cluster.ask("catena.storage.read.{t}:done", &[], "").await;
    let count: u64 = text(&done).parse().unwrap();
    // A submission that was sent again when NATS was away is another job.
    assert!((60..=62).contains(&count), "{count}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_keys_are_fought_for_and_nothing_is_lost() {
    let cluster = Cluster::start(2, 3).await;
    let chain =
        [("Catena-Chain", r#"[{"operator":"append","settings":{"key":"hot","separator":""}}]"#)];
    let running = (0..40).map(|_| cluster.ask("catena.run.inline", &chain, "x"));
    let answers = futures_util::future::join_all(running).await;
    let good = answers.iter().filter(|answer| code(answer).is_none()).count();
    let hot = cluster.ask("catena.storage.read.hot", &[], "").await;
    assert_eq!(text(&hot).len(), good);
    assert_eq!(good, 40, "{:?}", answers.iter().map(text).collect::<Vec<_>>());
    cluster.stop().await;
}
