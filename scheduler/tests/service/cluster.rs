//! A cluster on a real NATS server.

use async_nats::jetstream;
use async_nats::{Client, HeaderMap, Message};
use catena_service::{ShutdownHandle, shutdown};
use catena_testing::{NatsServer, within};
use serde_json::Value;
use std::time::Duration;
use tokio::task::JoinHandle;

pub(crate) struct Cluster {
    pub(crate) server: NatsServer,
    pub(crate) client: Client,
    running: Vec<Running>,
    change: fn(&mut catena_scheduler::Config),
}

pub(crate) struct Running {
    pub(crate) stop: ShutdownHandle,
    pub(crate) task: JoinHandle<()>,
}

impl Cluster {
    /// One storage node, schedulers `s0`, ... and workers `w0`, ...
    pub(crate) async fn start(schedulers: usize, workers: usize) -> Self {
        Self::start_with(schedulers, workers, |_| {}).await
    }

    pub(crate) async fn start_with(
        schedulers: usize,
        workers: usize,
        change: fn(&mut catena_scheduler::Config),
    ) -> Self {
        let server = NatsServer::start().await;
        let client = server.connect("test").await.client;
        let mut cluster = Self { server, client, running: Vec::new(), change };
        let storage = cluster.storage();
        cluster.running.push(storage);
        for n in 0..workers {
            let worker = cluster.worker(&format!("w{n}"));
            cluster.running.push(worker);
        }
        for n in 0..schedulers {
            let scheduler = cluster.scheduler(&format!("s{n}"));
            cluster.running.push(scheduler);
        }
        cluster
    }

    fn storage(&self) -> Running {
        let config = catena_storage::Config::new(self.server.folder().join("storage"));
        let settings = self.server.settings();
        run(|heard| async move { catena_storage::run(config, settings, heard).await.unwrap() })
    }

    pub(crate) fn scheduler(&self, id: &str) -> Running {
        let id = Some(id.parse().unwrap());
        let drain = Duration::from_secs(5);
        let mut config = catena_scheduler::Config { id, drain, ..Default::default() };
        (self.change)(&mut config);
        let settings = self.server.settings();
        run(|heard| async move { catena_scheduler::run(config, settings, heard).await.unwrap() })
    }

    pub(crate) fn worker(&self, id: &str) -> Running {
        let id = Some(id.parse().unwrap());
        let config = catena_worker::Config { id, ..Default::default() };
        let settings = self.server.settings();
        run(|heard| async move { catena_worker::run(config, settings, heard).await.unwrap() })
    }

    pub(crate) async fn ask(&self, subject: &str, headers: &[(&str, &str)], body: &str) -> Message {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        within(20, subject, async {
            loop {
                let asked = self.client.request_with_headers(
                    subject.to_owned(),
                    map.clone(),
                    body.to_owned().into(),
                );
                // Nobody listens until the first scheduler has subscribed.
                match asked.await {
                    Ok(message) => return message,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        })
        .await
    }

    /// The status of a job, once it is in one of `states`.
    pub(crate) async fn status(&self, job: &str, states: &[&str]) -> Value {
        within(30, "the end of a job", async {
            loop {
                let status = self.ask(&format!("catena.job.{job}.status"), &[], "").await;
                let status = json(&status);
                if status["state"].as_str().is_some_and(|state| states.contains(&state)) {
                    return status;
                }
            }
        })
        .await
    }

    /// Waits until the figures of a service are as wanted.
    pub(crate) async fn service_shows(&self, service: &str, wanted: impl Fn(&Value) -> bool) {
        within(15, "what the figures of a service should show", async {
            loop {
                let stats = json(&self.ask(&format!("$SRV.STATS.{service}"), &[], "").await);
                if wanted(&stats["endpoints"][0]["data"]) {
                    return;
                }
            }
        })
        .await;
    }

    /// Waits until nothing lies on the durable queue.
    pub(crate) async fn queue_is_empty(&self) {
        let context = jetstream::new(self.client.clone());
        within(30, "an empty queue", async {
            loop {
                let mut stream = context.get_stream("CATENA_JOBS").await.unwrap();
                if stream.info().await.unwrap().state.messages == 0 {
                    return;
                }
            }
        })
        .await;
    }

    pub(crate) async fn stop(self) {
        // Storage last: outcomes are recorded to the end.
        for running in self.running.into_iter().rev() {
            running.end().await;
        }
    }
}

impl Running {
    pub(crate) async fn end(self) {
        self.stop.request();
        within(30, "the end of a service", self.task).await.unwrap();
    }
}

fn run<F: Future<Output = ()> + Send + 'static>(
    start: impl FnOnce(catena_service::Shutdown) -> F,
) -> Running {
    let (stop, heard) = shutdown();
    Running { stop, task: tokio::spawn(start(heard)) }
}

pub(crate) fn text(message: &Message) -> &str {
    std::str::from_utf8(&message.payload).unwrap()
}

pub(crate) fn json(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap_or_else(|_| panic!("{}", text(message)))
}

pub(crate) fn code(message: &Message) -> Option<String> {
    let headers = message.headers.as_ref()?;
    headers.get("Nats-Service-Error-Code").map(ToString::to_string)
}
