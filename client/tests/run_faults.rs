//! `run` and its sisters when schedulers are away, silent, or lose answers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is wrong")]

mod stand_in;

use catena_client::{Client, ErrorKind, JobId, JobState};
use catena_protocol::message::finish::Answer;
use catena_protocol::message::read::{Found, Record};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::submit::Submit;
use catena_protocol::message::write::{Condition, Written};
use catena_protocol::subject::JobVerb;
use catena_protocol::{Code, Fault, Key, Timestamp, partition};
use catena_testing::{NatsServer, within};
use futures_util::future::join_all;
use stand_in::{PARTITIONS, cluster, inquiries, primaries, scheduler, storage};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn shout(_: &str, submit: &Submit) -> Option<Answer> {
    let text = String::from_utf8(submit.input.0.to_vec()).unwrap();
    Some(Answer::Result(text.to_uppercase().into()))
}

#[tokio::test]
async fn results_come_back_as_text_json_and_cbor() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let _scheduler = scheduler(&link, |chain, submit| match chain {
        "echo" => Some(Answer::Result(submit.input.clone())),
        "inline" => Some(Answer::Result(submit.inline.clone().unwrap().into())),
        _ => Some(Answer::Fault(Fault::new(Code::NotFound, "chain is not defined"))),
    })
    .await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let result = client.run("echo", "hello").await.unwrap();
    assert_eq!((result.text().unwrap(), result.version), ("hello", Timestamp(77)));
    assert!(result.job.home() < PARTITIONS);
    assert_eq!(client.seen(), Timestamp(77));

    let list = vec![1_u64, 2, 3];
    assert_eq!(client.run_json::<Vec<u64>>("echo", &list).await.unwrap(), list);
    assert_eq!(client.run_cbor::<Vec<u64>>("echo", &list).await.unwrap(), list);
    let error = client.run_json::<String>("echo", &list).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.job().is_some() && error.to_string().contains("took effect"), "{error}");
    let inline = client.run_inline("trim,uppercase", "x").await.unwrap();
    assert_eq!(inline.text().unwrap(), "trim,uppercase");

    let error = client.run("nope", "x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(client.run("no.name", "x").await.unwrap_err().kind(), ErrorKind::BadRequest);
    let large = client.run("echo", vec![0; 600 * 1024]).await.unwrap_err();
    assert_eq!(large.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn options_decide_id_home_deadline_and_snapshot() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let seen: Arc<Mutex<Vec<Submit>>> = Arc::default();
    let submits = Arc::clone(&seen);
    let _scheduler = scheduler(&link, move |_, submit| {
        submits.lock().unwrap().push(submit.clone());
        Some(Answer::Result("".into()))
    })
    .await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let run = || client.run("order", "x").key("{ada}").idempotency_key("4711");
    let first = run().timeout(Duration::from_secs(3)).after(Timestamp(50)).await.unwrap();
    let second = run().trace("00-abc").await.unwrap();
    assert_eq!(first.job, second.job);
    let home = partition("{ada}", PARTITIONS);
    assert_eq!(first.job, JobId::keyed(home, "order", Some("{ada}"), "4711"));
    let seen = seen.lock().unwrap();
    assert_eq!((seen[0].timeout_ms, seen[0].after, seen[0].keyed), (3_000, Timestamp(50), true));
    assert_eq!((seen[1].timeout_ms, seen[1].after), (0, Timestamp(77)), "what it has seen");
    assert_eq!(seen[1].trace.as_deref(), Some("00-abc"));
}

/// Whatever tells a version, the next job is given it.
#[tokio::test]
async fn what_was_seen_of_jobs_and_of_the_store_is_the_floor_of_the_next_job() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let (floors, told) = std::sync::mpsc::channel();
    let queued = floors.clone();
    let _scheduler = scheduler(&link, move |_, submit| {
        floors.send(submit.after).unwrap();
        Some(Answer::Result("".into()))
    })
    .await;
    let _queue = stand_in::answer_on(&link, "catena.submit.*".into(), move |message| {
        let after = message.headers.as_ref().unwrap().get("Catena-After").unwrap();
        queued.send(Timestamp(after.as_str().parse().unwrap())).unwrap();
        let job = JobId::keyed(1, "report", None, "x");
        Some((None, format!(r#"{{"job":"{job}","state":"queued"}}"#).into_bytes()))
    })
    .await;
    let _asked = inquiries(&link, |_, job| {
        Ok(format!(r#"{{"job":"{job}","state":"committed","version":130}}"#))
    })
    .await;
    let _primary = storage(&link, primaries(&link), |request| {
        let version = |version| Timestamp(version);
        let value = Some("v".into());
        Some(match &request.ask {
            Ask::Read(_) => Tell::Record(Record { version: version(90), value }),
            Ask::Scan(_) => {
                let record = Record { version: version(100), value };
                let found = vec![Found { key: Key::new("{t}a").unwrap(), record }];
                Tell::Records { found, next: None }
            }
            Ask::Write(write) if write.condition == Condition::Always => {
                Tell::Written(Written::Done { version: version(110), value: Some(1) })
            }
            _ => Tell::Written(Written::Differs { version: version(120), value }),
        })
    })
    .await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let store = client.store();
    let floor = async || {
        client.run("order", "x").await.unwrap();
        told.recv().unwrap().0
    };
    assert_eq!(floor().await, 0);
    assert_eq!(floor().await, 77, "what a job told");
    store.read("a").await.unwrap();
    assert_eq!(floor().await, 90, "what a read told");
    store.scan("{t}", 10).await.unwrap();
    assert_eq!(floor().await, 100, "what a scan told");
    store.add("a", 1).await.unwrap();
    assert_eq!(floor().await, 110, "what a write told");
    let updated = store.update_if_value_is("a", Some("x".into()), None).await.unwrap();
    assert!(!updated.happened());
    assert_eq!(floor().await, 120, "what an update told that did not happen");
    client.status(JobId::keyed(1, "report", None, "x")).await.unwrap();
    assert_eq!(floor().await, 130, "what the status of a job told");
    client.catch_up(Timestamp(140)).await.unwrap();
    client.submit("report", "x").await.unwrap();
    assert_eq!(told.recv().unwrap().0, 140, "what came another way");
    let never = client.catch_up(Timestamp(u64::MAX)).await.unwrap_err();
    assert_eq!(never.kind(), ErrorKind::BadRequest);
    assert_eq!(client.seen(), Timestamp(140));
}

#[tokio::test]
async fn a_scheduler_that_comes_later_gets_what_waited_for_it() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let quick = client.run("shout", "x").timeout(Duration::from_millis(100));
    let error = within(3, "an answer", quick.into_future()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("had no effect"), "{error}");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.run("shout", "hello").await }
    });
    let _scheduler = scheduler(&link, shout).await;
    let result = within(5, "the result", waiting).await.unwrap().unwrap();
    assert_eq!(result.text().unwrap(), "HELLO");
}

#[tokio::test]
async fn a_lost_job_is_found_out_and_run_again_under_its_id() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let seen: Arc<Mutex<Vec<JobId>>> = Arc::default();
    let jobs = Arc::clone(&seen);
    let _scheduler = scheduler(&link, move |chain, submit| {
        let mut jobs = jobs.lock().unwrap();
        jobs.push(submit.job);
        if jobs.len() > 1 { shout(chain, submit) } else { None }
    })
    .await;
    let unknown = || Err(Fault::new(Code::NotFound, "unknown"));
    let asked = inquiries(&link, move |_, _| unknown()).await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let result = within(6, "the result", client.run("shout", "hi").into_future()).await.unwrap();
    assert_eq!(result.text().unwrap(), "HI");
    assert_eq!(asked.messages(), 1);
    assert_eq!(*seen.lock().unwrap(), [result.job, result.job]);
}

#[tokio::test]
async fn a_lost_answer_is_fetched_from_the_outcome() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let _scheduler = scheduler(&link, |_, _| None).await;
    let _asked = inquiries(&link, |verb, job| match verb {
        JobVerb::Status => Ok(format!(r#"{{"job":"{job}","state":"committed","chain":"c"}}"#)),
        JobVerb::Result => Ok("HI".into()),
    })
    .await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let result = within(6, "the result", client.run("shout", "hi").into_future()).await.unwrap();
    assert_eq!((result.text().unwrap(), result.version), ("HI", Timestamp(88)));
}

#[tokio::test]
async fn many_jobs_of_one_moment_are_few_messages() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let scheduler = scheduler(&link, shout).await;
    let client = Client::connect(nats.settings()).await.unwrap();
    client.store().partitions().await.unwrap();
    let runs = (0..256).map(|n| client.run("shout", format!("job {n}")).into_future());
    let results = within(5, "all results", join_all(runs)).await;
    let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.text().unwrap(), format!("JOB {n}"));
    }
    assert_eq!(results.iter().map(|r| r.job).collect::<BTreeSet<_>>().len(), 256);
    assert!(scheduler.messages() < 16, "{} messages for 256 jobs", scheduler.messages());
}

#[tokio::test]
async fn closing_waits_for_what_is_under_way() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let client = Client::connect(nats.settings()).await.unwrap();
    client.store().partitions().await.unwrap();
    let running = tokio::spawn({
        let client = client.clone();
        async move { client.run("shout", "hi").await }
    });
    // Nobody is there yet, so that the job is still open when the client is closed.
    let other = client.clone();
    tokio::task::yield_now().await;
    let closing = tokio::spawn(client.close());
    let _scheduler = scheduler(&link, shout).await;
    within(5, "closing", closing).await.unwrap();
    let result = within(1, "the result", running).await.unwrap();
    assert!(matches!(&result, Ok(result) if result.text() == Ok("HI")), "{result:?}");
    assert_eq!(other.run("shout", "x").await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_submitted_job_is_followed_to_its_end() {
    let nats = NatsServer::start().await;
    let link = nats.connect("peer").await;
    let _cluster = cluster(&link).await;
    let ids: Arc<Mutex<Vec<String>>> = Arc::default();
    let keys = Arc::clone(&ids);
    // The first answer is lost: the second try must come under the same name.
    let _queue = stand_in::answer_on(&link, "catena.submit.*".into(), move |message| {
        let headers = message.headers.as_ref().unwrap();
        let key = headers.get("Catena-Request").unwrap().as_str().to_owned();
        let job = JobId::keyed(1, "report", None, &key);
        let mut keys = keys.lock().unwrap();
        keys.push(key);
        let body = format!(r#"{{"job":"{job}","state":"queued"}}"#);
        Some((None, body.into_bytes()))
    })
    .await;
    let mut questions = 0;
    let _asked = inquiries(&link, move |verb, job| {
        questions += 1;
        match (verb, questions) {
            (JobVerb::Status, 1) => Err(Fault::new(Code::NotFound, "not known yet")),
            (JobVerb::Status, 2) => Ok(format!(r#"{{"job":"{job}","state":"waiting"}}"#)),
            (JobVerb::Status, _) => Ok(format!(r#"{{"job":"{job}","state":"committed"}}"#)),
            (JobVerb::Result, _) => Ok("done".into()),
        }
    })
    .await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let job = client.submit("report", "2026").await.unwrap();
    assert_eq!(job, JobId::keyed(1, "report", None, &ids.lock().unwrap()[0]));
    let result = within(5, "the result", client.wait(job)).await.unwrap();
    assert_eq!(result.text().unwrap(), "done");
    assert_eq!(client.status(job).await.unwrap().state, JobState::Committed);
}

#[tokio::test]
async fn without_schedulers_every_call_says_so_in_time() {
    let nats = NatsServer::start().await;
    let client = Client::connect(nats.settings()).await.unwrap();
    let job = JobId::random(0, 0, [1; 8]);
    let (status, submit) =
        tokio::join!(client.status(job), client.submit("report", "x").into_future());
    for error in [status.unwrap_err(), submit.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    let error = client.wait_for(job, Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(client.chains().list().await.unwrap(), []);
}

#[tokio::test]
async fn wrong_addresses_and_wrong_passwords_are_told() {
    let nats = NatsServer::start_with("authorization { user: ada, password: secret }").await;
    let error = Client::connect("http://x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let refused = Client::connect(nats.settings()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Connect, "{refused}");
    let inside = nats.url().replace("nats://", "nats://ada:secret@");
    assert!(Client::connect(inside).await.is_ok());
}
