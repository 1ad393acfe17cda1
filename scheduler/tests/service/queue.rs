use crate::cluster::{Cluster, code, json, text};

const ECHO: [(&str, &str); 1] = [("Catena-Chain", "echo")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submitted_job_ends_with_an_outcome_and_leaves_the_queue() {
    let cluster = Cluster::start(2, 2).await;
    let queued = cluster.ask("catena.submit.inline", &ECHO, "hello").await;
    let queued = json(&queued);
    assert_eq!(queued["state"], "queued");
    let job = queued["job"].as_str().unwrap().to_owned();
    let status = cluster.status(&job, &["committed"]).await;
    assert_eq!((&status["result"], &status["chain"]), (&"hello".into(), &"inline".into()));
    let result = cluster.ask(&format!("catena.job.{job}.result"), &[], "").await;
    assert_eq!(text(&result), "hello");
    cluster.queue_is_empty().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_idempotency_key_is_the_same_job_and_takes_effect_once() {
    let cluster = Cluster::start(2, 2).await;
    let chain = r#"[{"operator":"increment","settings":{"key":"visits"}}]"#;
    let set = cluster.ask("catena.chain.visit.set", &[], chain).await;
    assert_eq!(code(&set), None, "{}", text(&set));
    let key = [("Nats-Msg-Id", "visit-1")];
    let first = json(&cluster.ask("catena.submit.visit", &key, "x").await);
    let second = json(&cluster.ask("catena.submit.visit", &key, "x").await);
    assert_eq!(first["job"], second["job"]);
    assert_eq!((&first["duplicate"], &second["duplicate"]), (&false.into(), &true.into()));
    cluster.status(first["job"].as_str().unwrap(), &["committed"]).await;
    for _ in 0..5 {
        let run = cluster.ask("catena.run.visit", &key, "x").await;
        assert_eq!(code(&run), None, "{}", text(&run));
        let job = run.headers.as_ref().unwrap().get("Catena-Job").unwrap();
        assert_eq!(Some(job.as_str()), first["job"].as_str());
    }
    let visits = cluster.ask("catena.storage.read.visits", &[], "").await;
    assert_eq!(text(&visits), "1");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_put_on_the_queue_directly_is_a_job() {
    let cluster = Cluster::start(1, 1).await;
    let chain = r#"[{"operator":"increment","settings":{"key":"direct"}}]"#;
    let set = cluster.ask("catena.chain.direct.set", &[], chain).await;
    assert_eq!(code(&set), None, "{}", text(&set));
    for n in 0..3 {
        let ack = json(&cluster.ask("catena.queue.direct", &[], "x").await);
        assert_eq!(ack["stream"], "CATENA_JOBS", "{n}: {ack}");
    }
    cluster.queue_is_empty().await;
    let count = cluster.ask("catena.storage.read.direct", &[], "").await;
    assert_eq!(text(&count), "3");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_an_outcome_too() {
    let cluster = Cluster::start(1, 1).await;
    let chain = [("Catena-Chain", r#"[{"operator":"fail","settings":{"message":"no stock"}}]"#)];
    let run = cluster.ask("catena.run.inline", &chain, "x").await;
    assert_eq!(code(&run).as_deref(), Some("422"), "{}", text(&run));
    assert!(text(&run).contains("no stock"));
    let queued = json(&cluster.ask("catena.submit.inline", &chain, "x").await);
    let job = queued["job"].as_str().unwrap();
    let status = cluster.status(job, &["failed"]).await;
    assert_eq!(status["error"]["code"], 422, "{status}");
    let result = cluster.ask(&format!("catena.job.{job}.result"), &[], "").await;
    assert_eq!(code(&result).as_deref(), Some("422"));
    cluster.queue_is_empty().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_job_is_found_by_every_scheduler_and_an_unknown_one_by_none() {
    let cluster = Cluster::start(3, 1).await;
    let chain = [
        ("Catena-Chain", r#"[{"operator":"sleep","settings":{"for":"3s"}}]"#),
        ("Catena-Timeout", "100ms"),
    ];
    let run = cluster.ask("catena.run.inline", &chain, "x").await;
    assert_eq!(code(&run).as_deref(), Some("504"), "{}", text(&run));
    let job = run.headers.as_ref().unwrap().get("Catena-Job").unwrap().to_string();
    for _ in 0..6 {
        let status = json(&cluster.ask(&format!("catena.job.{job}.status"), &[], "").await);
        assert_eq!(status["state"], "running", "{status}");
    }
    let unknown =
        cluster.ask("catena.job.00113be9-35a6-8a2b-9c1d-0123456789ab.status", &[], "").await;
    assert_eq!(code(&unknown).as_deref(), Some("404"), "{}", text(&unknown));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_and_what_it_holds_runs_when_a_worker_comes() {
    let cluster = Cluster::start_with(1, 0, |config| config.queue_messages = 3).await;
    let set = cluster.worker("first");
    let answer = cluster.ask("catena.chain.keep.set", &[], "echo").await;
    assert_eq!(code(&answer), None, "{}", text(&answer));
    set.end().await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        let queued = json(&cluster.ask("catena.submit.keep", &[], "x").await);
        jobs.push(queued["job"].as_str().unwrap_or_else(|| panic!("{queued}")).to_owned());
    }
    let refused = cluster.ask("catena.submit.keep", &[], "x").await;
    assert_eq!(code(&refused).as_deref(), Some("429"), "{}", text(&refused));
    let waiting = cluster.status(&jobs[0], &["queued", "ending", "running"]).await;
    assert_eq!(waiting["job"], jobs[0]);
    let second = cluster.worker("second");
    for job in &jobs {
        cluster.status(job, &["committed"]).await;
    }
    second.end().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_that_drains_lets_its_jobs_end() {
    let cluster = Cluster::start(0, 1).await;
    let scheduler = cluster.scheduler("leaving");
    let chain = [("Catena-Chain", r#"[{"operator":"sleep","settings":{"for":"700ms"}}]"#)];
    assert_eq!(text(&cluster.ask("catena.run.inline", &chain, "warm").await), "warm");
    let running = cluster.ask("catena.run.inline", &chain, "x");
    let (answer, ()) = tokio::join!(running, async {
        cluster.service_shows("catena-scheduler", |data| data["jobs"] == 1).await;
        scheduler.end().await;
    });
    assert_eq!((text(&answer), code(&answer)), ("x", None));
    cluster.stop().await;
}
