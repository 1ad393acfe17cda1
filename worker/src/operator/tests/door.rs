//! Doors: what services may do through them, what they are told, and that they are shut in time.

use crate::operator::memory_store::{MemoryStore, opening};
use crate::operator::{Context, Doors, Opening, Operator, Output, ServiceOperator};
use async_nats::{Client, HeaderMap, Message};
use catena_protocol::chain::{Effect, Service};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::write::Change;
use catena_protocol::subject::StoreVerb;
use catena_protocol::{Code, NodeId};
use catena_testing::{NatsServer, within};
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A service under test's control, and the worker that asks it.
struct Setup {
    _nats: NatsServer,
    client: Client,
    requests: async_nats::Subscriber,
    doors: Doors,
    _keeper: tokio::task::JoinSet<()>,
    store: Arc<MemoryStore>,
}

/// A step that the service has been asked to do.
struct Asked {
    request: Message,
    subjects: BTreeMap<String, String>,
    context: Context,
    running: JoinHandle<Output>,
}

impl Setup {
    async fn start(values: &[(&str, &str)]) -> Self {
        let nats = NatsServer::start().await;
        let client = async_nats::connect(nats.url()).await.unwrap();
        let requests = client.subscribe("test.door").await.unwrap();
        let doors = Doors::new(Arc::default(), NodeId::new("worker-1").unwrap());
        let mut keeper = tokio::task::JoinSet::new();
        keeper.spawn(doors.listen(&client).await.unwrap());
        let store = MemoryStore::with(values);
        Self { _nats: nats, client, requests, doors, _keeper: keeper, store }
    }

    async fn step(&mut self, effect: Effect) -> Asked {
        let service = Service::parse("test.door").unwrap();
        let operator = ServiceOperator::new(self.client.clone(), &service, self.doors.clone());
        let context = Context::open(Opening { effect, ..opening() }, self.store.clone());
        let running = tokio::spawn(Arc::new(operator).run(context.clone(), "in".into()));
        let request = within(10, "the request", self.requests.next()).await.unwrap();
        let subjects = StoreVerb::ALL.into_iter().filter_map(|(verb, name)| {
            let subject = request.headers.as_ref().unwrap().get(verb.header())?;
            Some((name.to_owned(), subject.to_string()))
        });
        let subjects = subjects.collect();
        Asked { request, subjects, context, running }
    }

    async fn ask(&self, subject: String, body: &str) -> (u16, String) {
        let answer = self.client.request(subject, body.to_owned().into());
        let answer = within(10, "an answer", answer).await.unwrap();
        let headers = answer.headers.unwrap_or_default();
        let code =
            headers.get("Nats-Service-Error-Code").map_or(200, |c| c.as_str().parse().unwrap());
        (code, String::from_utf8(answer.payload.to_vec()).unwrap())
    }

    /// Asks through the door of a step.
    async fn on(&self, step: &Asked, verb: &str, key: &str, body: &str) -> (u16, String) {
        self.ask(format!("{}.{key}", step.subjects[verb]), body).await
    }

    /// Ends a step well; what the job then has read and wants to write.
    async fn end(&self, step: Asked) -> Effects {
        self.client.publish(step.request.reply.unwrap(), "out".into()).await.unwrap();
        within(10, "the end of the step", step.running).await.unwrap().unwrap();
        step.context.finish().unwrap()
    }
}

fn good(text: &str) -> (u16, String) {
    (200, text.to_owned())
}

#[tokio::test]
async fn a_service_reads_the_snapshot_with_its_own_writes_and_writes_into_the_job() {
    let mut setup = Setup::start(&[("{a}x", "1"), ("{a}y", "2")]).await;
    setup.store.set("{a}x", 150, Some("later than the snapshot"));
    let step = setup.step(Effect::Writing).await;
    let buffered = good(r#"{"buffered":true}"#);
    assert_eq!(setup.on(&step, "read", "{a}x", "").await, good("1"));
    assert_eq!(setup.on(&step, "write", "{a}x", "10").await, buffered);
    assert_eq!(setup.on(&step, "read", "{a}x", "").await, good("10"));
    assert_eq!(setup.on(&step, "add", "{a}y", " 5 ").await, buffered);
    assert_eq!(setup.on(&step, "read", "{a}y", "").await, good("7"));
    let update = r#"{"expected":"10","value":"11"}"#;
    assert_eq!(setup.on(&step, "update-if-value-is", "{a}x", update).await, buffered);
    let (code, body) = setup.on(&step, "update-if-value-is", "{a}x", update).await;
    assert_eq!(code, 409);
    assert!(body.contains(r#""current":{"value":"11"}"#), "{body}");
    assert_eq!(setup.on(&step, "write", "{a}z", "3").await, buffered);
    assert_eq!(setup.on(&step, "delete", "{a}y", "").await, buffered);
    assert_eq!(setup.on(&step, "read", "{a}y", "").await.0, 404);
    let scan = setup.on(&step, "scan", "{a}", r#"{"limit":5}"#).await;
    assert_eq!(scan, good(r#"[{"key":"{a}x","value":"11"},{"key":"{a}z","value":"3"}]"#));
    assert_eq!(setup.store.latest("{a}z"), None, "nothing is written before the job commits");

    let effects = setup.end(step).await;
    let writes: Vec<_> = effects.writes.iter().map(|w| (w.key.as_str(), &w.change)).collect();
    let put = |text: &str| Change::Put(text.into());
    assert_eq!(writes, [("{a}x", &put("11")), ("{a}y", &Change::Delete), ("{a}z", &put("3"))]);
    let reads: Vec<_> = effects.reads.iter().map(|key| key.as_str()).collect();
    assert_eq!(reads, ["{a}x", "{a}y"]);
    assert_eq!(effects.scans.iter().map(|key| key.as_str()).collect::<Vec<_>>(), ["{a}"]);
}

#[tokio::test]
async fn a_step_is_given_what_it_was_declared_to_do() {
    let mut setup = Setup::start(&[("{a}x", "1")]).await;
    let step = setup.step(Effect::Pure).await;
    assert!(step.subjects.is_empty(), "{:?}", step.subjects);
    setup.end(step).await;
    let step = setup.step(Effect::ReadOnly).await;
    assert_eq!(step.subjects.keys().collect::<Vec<_>>(), ["read", "scan"]);
    assert_eq!(setup.on(&step, "read", "{a}x", "").await, good("1"));
    let write = step.subjects["read"].replace(".read", ".write.{a}x");
    let (code, body) = setup.ask(write, "2").await;
    assert!(code == 400 && body.contains("read-only"), "{code}: {body}");
    assert!(setup.end(step).await.writes.is_empty());
}

#[tokio::test]
async fn a_door_is_shut_when_its_step_ends_however_it_ends() {
    let mut setup = Setup::start(&[("x", "1")]).await;
    let step = setup.step(Effect::Writing).await;
    let (read, write) = (step.subjects["read"].clone(), step.subjects["write"].clone());
    assert_eq!(setup.ask(format!("{read}.x"), "").await, good("1"));
    setup.end(step).await;
    for subject in [format!("{read}.x"), format!("{write}.x")] {
        let (code, body) = setup.ask(subject, "2").await;
        assert!(code == 410 && body.contains("has ended; nothing was done"), "{code}: {body}");
    }
    // A step that is stopped.
    let step = setup.step(Effect::Writing).await;
    let read = step.subjects["read"].clone();
    step.running.abort();
    assert!(step.running.await.unwrap_err().is_cancelled());
    assert_eq!(setup.ask(format!("{read}.x"), "").await.0, 410);
    // A token that nobody was given.
    let worker = NodeId::new("worker-1").unwrap();
    let guessed = setup.doors_subject(&worker);
    assert_eq!(setup.ask(guessed, "").await.0, 410);
}

impl Setup {
    fn doors_subject(&self, worker: &NodeId) -> String {
        let subjects = catena_protocol::subject::Subjects::default();
        format!("{}.x", subjects.snapshot(worker, &"0".repeat(32), StoreVerb::Read))
    }
}

#[tokio::test]
async fn nonsense_is_refused_and_harms_nothing() {
    let mut setup = Setup::start(&[("x", "1")]).await;
    let step = setup.step(Effect::Writing).await;
    let none = step.subjects["read"].clone();
    assert_eq!(setup.ask(none.clone(), "").await.0, 400, "no key");
    assert_eq!(setup.ask(none.replace(".read", ".rewrite.x"), "").await.0, 400);
    assert_eq!(setup.on(&step, "read", &"k".repeat(600), "").await.0, 413);
    assert_eq!(setup.on(&step, "add", "x", "much").await.0, 400);
    assert_eq!(setup.on(&step, "write", "x", &"v".repeat(300 * 1024)).await.0, 413);
    for body in ["", "[]", r#"{"value":"2"}"#, r#"{"version":5,"value":"2"}"#] {
        assert_eq!(setup.on(&step, "update-if-value-is", "x", body).await.0, 400, "{body}");
    }
    assert_eq!(setup.on(&step, "scan", "no-tag", "").await.0, 400);
    assert_eq!(setup.on(&step, "scan", "{a}", "nonsense").await.0, 400);
    let effects = setup.end(step).await;
    assert!(effects.writes.is_empty(), "{effects:?}");
}

#[tokio::test]
async fn a_service_that_fails_because_the_store_did_is_run_again() {
    let mut setup = Setup::start(&[("x", "1")]).await;
    let step = setup.step(Effect::Writing).await;
    *setup.store.broken.lock().unwrap() = true;
    let (code, _) = setup.on(&step, "read", "x", "").await;
    assert_eq!(code, 503);
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Service-Error", "I could not read");
    let reply = step.request.reply.unwrap();
    setup.client.publish_with_headers(reply, headers, "".into()).await.unwrap();
    let fault = within(10, "the end", step.running).await.unwrap().unwrap_err();
    assert_eq!(fault.code, Code::Conflict, "{fault}");
}
