//! A scheduler and workers on a real NATS server, asked as a person with the `nats` CLI would.

use async_nats::{Client, HeaderMap, Message};
use catena_service::{ShutdownHandle, shutdown};
use catena_testing::{NatsServer, within};
use serde_json::Value;
use tokio::task::JoinHandle;

struct Cluster {
    server: NatsServer,
    client: Client,
    stops: Vec<ShutdownHandle>,
    tasks: Vec<JoinHandle<()>>,
}

impl Cluster {
    async fn start(schedulers: usize, workers: usize) -> Self {
        let server = NatsServer::start().await;
        let client = server.connect("test").await.client;
        let mut cluster = Self { server, client, stops: Vec::new(), tasks: Vec::new() };
        for _ in 0..workers {
            cluster.add_worker();
        }
        for _ in 0..schedulers {
            cluster.add_scheduler();
        }
        cluster
    }

    fn add_scheduler(&mut self) {
        let (stop, heard) = shutdown();
        let settings = self.server.settings();
        self.stops.push(stop);
        self.tasks.push(tokio::spawn(async move {
            let config = catena_scheduler::Config::default();
            catena_scheduler::run(config, settings, heard).await.unwrap();
        }));
    }

    fn add_worker(&mut self) {
        let (stop, heard) = shutdown();
        let settings = self.server.settings();
        self.stops.push(stop);
        self.tasks.push(tokio::spawn(async move {
            let config = catena_worker::Config::default();
            catena_worker::run(config, settings, heard).await.unwrap();
        }));
    }

    async fn ask(&self, subject: &str, headers: &[(&str, &str)], body: &str) -> Message {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        within(10, subject, async {
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

    async fn stop(self) {
        for stop in &self.stops {
            stop.request();
        }
        within(15, "the end", async {
            for task in self.tasks {
                task.await.unwrap();
            }
        })
        .await;
    }
}

fn text(message: &Message) -> &str {
    std::str::from_utf8(&message.payload).unwrap()
}

fn json(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap_or_else(|_| panic!("{}", text(message)))
}

fn code(message: &Message) -> Option<String> {
    let headers = message.headers.as_ref()?;
    headers.get("Nats-Service-Error-Code").map(ToString::to_string)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inline_chain_runs_right_after_the_start() {
    let cluster = Cluster::start(1, 2).await;
    let answer =
        cluster.ask("catena.run.inline", &[("Catena-Chain", "trim,uppercase")], " hello ").await;
    assert_eq!((text(&answer), code(&answer)), ("HELLO", None));
    assert!(answer.headers.as_ref().unwrap().get("Catena-Job").is_some());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_was_set_runs_on_every_scheduler_at_once() {
    let cluster = Cluster::start(3, 2).await;
    for n in 0..10 {
        let set = format!("catena.chain.shout-{n}.set");
        let answer = cluster.ask(&set, &[], "trim,uppercase").await;
        assert_eq!(json(&answer)["chain"], format!("shout-{n}"), "{}", text(&answer));
        for _ in 0..5 {
            let answer = cluster.ask(&format!("catena.run.shout-{n}"), &[], "hi").await;
            assert_eq!(text(&answer), "HI");
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_and_good_jobs_still_run() {
    let cluster = Cluster::start(1, 1).await;
    let inline = |chain: &'static str| [("Catena-Chain", chain)];
    let big = "x".repeat(600 * 1024);
    let long = ["echo"; 65].join(",");
    for (subject, headers, body, expected) in [
        ("catena.run.nope", &[][..], "", "404"),
        ("catena.submit.nope", &[], "", "404"),
        ("catena.run.inline", &[], "", "400"),
        ("catena.run.inline", &inline("upercase"), "", "404"),
        ("catena.run.inline", &inline(""), "", "400"),
        ("catena.run.inline", &inline("echo"), &big, "413"),
        ("catena.run.inline", &[("Catena-Chain", &long)], "", "400"),
        ("catena.run.inline", &[("Catena-Chain", "echo"), ("Catena-Timeout", "soon")], "", "400"),
        ("catena.run.inline", &[("Catena-Chain", "echo"), ("Catena-After", "x")], "", "400"),
        ("catena.run.inline", &[("Content-Type", "application/cbor")], "not cbor", "400"),
        ("catena.chain.bad.set", &[], "upercase", "404"),
        ("catena.chain.bad.set", &[], "{", "400"),
        ("catena.chain.inline.set", &[], "echo", "400"),
        ("catena.operator.bad.set", &[], "a..b", "400"),
        ("catena.operator.echo.set", &[], "my.echo", "409"),
        ("catena.job.nope.status", &[], "", "400"),
    ] {
        let answer = cluster.ask(subject, headers, body).await;
        assert_eq!(code(&answer).as_deref(), Some(expected), "{subject}: {}", text(&answer));
        assert_eq!(json(&answer)["error"]["code"].to_string(), expected);
    }
    let near = cluster.ask("catena.chain.bad.set", &[], "upercase").await;
    assert!(text(&near).contains("`uppercase`"), "{}", text(&near));
    let answer = cluster.ask("catena.run.inline", &inline("echo"), "still here").await;
    assert_eq!(text(&answer), "still here");
    cluster.stop().await;
}
