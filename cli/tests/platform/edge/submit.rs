//! `nats req catena.submit.<chain>`: jobs that survive every process.

use crate::support::Platform;
use async_nats::jetstream;
use futures_util::future::join_all;

const COUNT: &str = r#"[{"operator":"increment","settings":{"key":"count"}},"uppercase"]"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submitted_job_can_be_followed_to_its_result() {
    let platform = Platform::of(2, 2).await;
    platform.chain("count", COUNT).await;
    let queued = platform.ask("catena.submit.count", &[], "later").await;
    let body = queued.json();
    assert_eq!(body["state"], "queued", "{queued:?}");
    let job = body["job"].as_str().unwrap();
    assert_eq!(queued.job(), job);
    let ended = platform.ended(job).await;
    assert_eq!((&ended["state"], &ended["result"]), (&"committed".into(), &"LATER".into()));
    assert_eq!(ended["chain"], "count");
    let result = platform.ask(&format!("catena.job.{job}.result"), &[], "").await;
    assert_eq!(result.good(), "LATER");
    assert_eq!(result.version(), ended["version"].as_u64().unwrap());
    assert_eq!(platform.number("count").await, 1);

    let inline = [("Catena-Chain", "trim,uppercase")];
    let queued = platform.ask("catena.submit.inline", &inline, " x ").await.json();
    let ended = platform.ended(queued["job"].as_str().unwrap()).await;
    assert_eq!(ended["result"], "X");

    let failing = [("Catena-Chain", r#"[{"operator":"fail","settings":{"message":"no"}}]"#)];
    let queued = platform.ask("catena.submit.inline", &failing, "").await.json();
    let job = queued["job"].as_str().unwrap();
    assert_eq!(platform.ended(job).await["error"]["code"], 422);
    platform.ask(&format!("catena.job.{job}.result"), &[], "").await.says(422, "no");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_submitted_twice_runs_once() {
    let platform = Platform::of(2, 2).await;
    platform.chain("count", COUNT).await;
    let headers = [("Nats-Msg-Id", "order-4711")];
    let asked = (0..20).map(|_| platform.ask("catena.submit.count", &headers, "x"));
    let answers: Vec<_> = join_all(asked).await.iter().map(|answer| answer.json()).collect();
    let job = answers[0]["job"].as_str().unwrap().to_owned();
    assert!(answers.iter().all(|answer| answer["job"] == job.as_str()), "{answers:?}");
    let first = answers.iter().filter(|answer| answer["duplicate"] == false).count();
    assert_eq!(first, 1, "{answers:?}");
    assert_eq!(platform.ended(&job).await["state"], "committed");
    // After its end, too; and `run` under the same key is the same job.
    let again = platform.ask("catena.submit.count", &headers, "x").await.json();
    assert_eq!(again["job"], job.as_str());
    let run = platform.ask("catena.run.count", &headers, "x").await;
    assert_eq!((run.job(), run.good()), (job, "X"));
    assert_eq!(platform.number("count").await, 1);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_put_on_the_queue_directly_is_a_job() {
    let platform = Platform::start().await;
    platform.chain("count", COUNT).await;
    let context = jetstream::new(platform.client.clone());
    // `nats pub --jetstream catena.queue.count x`, twice under one id.
    for _ in 0..2 {
        let message = jetstream::message::PublishMessage::build().payload("x".into());
        let message = message.message_id("direct-1");
        context.send_publish("catena.queue.count", message).await.unwrap().await.unwrap();
    }
    context.publish("catena.queue.count", "y".into()).await.unwrap().await.unwrap();
    let stream = context.get_stream("CATENA_JOBS").await.unwrap();
    crate::support::eventually(20, "an empty queue", async || {
        (stream.get_info().await.unwrap().state.messages == 0).then_some(())
    })
    .await;
    assert_eq!(platform.number("count").await, 2);
    // What makes no job is thrown away, and blocks nothing.
    let bad = jetstream::message::PublishMessage::build().header("Catena-Timeout", "soon");
    context.send_publish("catena.queue.count", bad).await.unwrap().await.unwrap();
    context.publish("catena.queue.count", "z".into()).await.unwrap().await.unwrap();
    crate::support::eventually(20, "an empty queue", async || {
        (stream.get_info().await.unwrap().state.messages == 0).then_some(())
    })
    .await;
    assert_eq!(platform.number("count").await, 3);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_jobs_are_not_found() {
    let platform = Platform::start().await;
    let unknown = "00000000-0000-8000-8000-000000000000";
    for verb in ["status", "result"] {
        platform.ask(&format!("catena.job.{unknown}.{verb}"), &[], "").await.says(404, unknown);
        platform.ask(&format!("catena.job.no-id.{verb}"), &[], "").await.says(400, "no-id");
    }
    // The home of this one does not exist.
    let beyond = "ffff0000-0000-8000-8000-000000000000";
    platform.ask(&format!("catena.job.{beyond}.status"), &[], "").await.bad(404);
    let headers = [("Catena-Chain", "echo"), ("Catena-Job", beyond)];
    platform.ask("catena.run.inline", &headers, "x").await.says(400, "65535");
    platform.still_works().await;
    platform.stop().await;
}
