//! A cluster in this process, and what a person does with it through a plain NATS client.

use super::{Answer, registry};
use async_nats::{Client, HeaderMap, Request};
use bytes::Bytes;
use catena_cli::cluster::{Cluster, Plan};
use catena_testing::{NatsServer, within};
use futures_util::FutureExt;
use serde_json::Value;
use std::time::Duration;

/// A running cluster on a NATS server of its own.
pub(crate) struct Platform {
    pub(crate) nats: NatsServer,
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
}

/// How long an answer may take: a little more than the `nats` CLI waits.
const ANSWER: u64 = 8;

impl Platform {
    /// One scheduler, two workers with the operators of these tests, one storage node.
    pub(crate) async fn start() -> Self {
        Self::of(1, 2).await
    }

    pub(crate) async fn of(schedulers: usize, workers: usize) -> Self {
        let nats = NatsServer::start().await;
        let plan = Plan {
            nats: Some(nats.settings()),
            schedulers,
            workers,
            registry: registry(),
            ..Plan::new(nats.folder().join("catena"))
        };
        Self::with(nats, plan).await
    }

    /// Whatever is planned on a NATS server.
    pub(crate) async fn with(nats: NatsServer, plan: Plan) -> Self {
        let cluster = within(60, "the start of a cluster", Cluster::start(plan)).await.unwrap();
        let client = async_nats::connect(nats.url()).await.unwrap();
        Self { nats, cluster, client }
    }

    pub(crate) async fn stop(self) {
        within(60, "the end of a cluster", self.cluster.stop()).await.unwrap();
    }

    /// `nats req SUBJECT BODY -H ...`
    pub(crate) async fn ask(
        &self,
        subject: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        let mut request = Request::new().payload(body.into()).timeout(None);
        if !headers.is_empty() {
            request = request.headers(map);
        }
        let what = format!("an answer on `{subject}`");
        let asked = self.client.send_request(subject.to_owned(), request);
        let answer = within(ANSWER, &what, asked).await;
        answer.unwrap_or_else(|error| panic!("{subject}: {error}")).into()
    }

    /// Runs an inline chain.
    pub(crate) async fn inline(&self, chain: &str, body: impl Into<Bytes>) -> Answer {
        self.ask("catena.run.inline", &[("Catena-Chain", chain)], body).await
    }

    /// Sets a chain through the scheduler; it must be good.
    pub(crate) async fn chain(&self, name: &str, definition: &str) {
        let subject = format!("catena.chain.{name}.set");
        self.ask(&subject, &[], definition.to_owned()).await.good();
    }

    pub(crate) async fn read(&self, key: &str) -> Answer {
        self.ask(&format!("catena.storage.read.{key}"), &[], "").await
    }

    /// The integer in a key; 0 if there is none.
    pub(crate) async fn number(&self, key: &str) -> i64 {
        let answer = self.read(key).await;
        match answer.header("Nats-Service-Error-Code") {
            Some("404") => 0,
            _ => answer.good().parse().unwrap(),
        }
    }

    /// Everything in the store, with versions.
    pub(crate) async fn everything(&self) -> Value {
        self.ask("catena.storage.scan", &[], "").await.json()
    }

    /// A good job still runs on every worker that is there.
    pub(crate) async fn still_works(&self) {
        assert_eq!(self.inline("trim,uppercase", " hello ").await.good(), "HELLO");
        assert_eq!(self.inline("lowercase,trim,uppercase,echo", " Abc").await.good(), "ABC");
    }

    /// Nothing in the store was changed, every service lives, and good jobs run.
    pub(crate) async fn unharmed(&mut self, before: &Value) {
        assert_eq!(&self.everything().await, before, "something in the store was changed");
        self.alive();
        self.still_works().await;
    }

    /// Waits until good jobs run (again).
    pub(crate) async fn recovers(&self) {
        eventually(20, "a good job", async || {
            let mut headers = HeaderMap::new();
            headers.insert("Catena-Chain", "trim,uppercase");
            let request = Request::new().payload(" hello ".into()).headers(headers);
            let request = request.timeout(Some(Duration::from_secs(1)));
            let answer = self.client.send_request("catena.run.inline", request).await.ok()?;
            (answer.payload == "HELLO").then_some(())
        })
        .await;
    }

    /// No service has ended.
    pub(crate) fn alive(&mut self) {
        if let Some(failure) = self.cluster.failed().now_or_never() {
            panic!("{failure}");
        }
    }

    /// Waits for the end of a submitted job; how it ended.
    pub(crate) async fn ended(&self, job: &str) -> Value {
        let subject = format!("catena.job.{job}.status");
        eventually(30, &format!("the end of job {job}"), async || {
            let answer = self.ask(&subject, &[], "").await;
            let code = answer.header("Nats-Service-Error-Code");
            assert!(matches!(code, None | Some("404" | "503")), "{answer:?}");
            let state = answer.json();
            let ended = matches!(state["state"].as_str(), Some("committed" | "failed" | "dead"));
            ended.then_some(state)
        })
        .await
    }
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(
    seconds: u64,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    within(seconds, what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            // What is waited for here can only be asked for.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}
