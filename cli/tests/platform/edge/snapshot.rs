//! Service operators that read and write as a part of their job.

use crate::support::{Answer, Platform, Process, Trio, Tuned, eventually};
use async_nats::{HeaderMap, Message, Subscriber};
use catena_client::Client;
use catena_testing::within;
use futures_util::StreamExt;

/// A service that does what the test tells it to, step by step.
struct Service {
    requests: Subscriber,
    client: async_nats::Client,
}

/// A step that the service was asked to do.
struct Step {
    request: Message,
    client: async_nats::Client,
}

impl Service {
    async fn start(platform: &Platform) -> Self {
        let client = platform.client.clone();
        let requests = client.subscribe("my.reserve").await.unwrap();
        client.flush().await.unwrap();
        let definition = r#"{"subject":"my.reserve","effect":"writing"}"#;
        platform.ask("catena.operator.reserve.set", &[], definition).await.good();
        Self { requests, client }
    }

    async fn next(&mut self) -> Step {
        let request = within(20, "the next step", self.requests.next()).await.unwrap();
        Step { request, client: self.client.clone() }
    }
}

impl Step {
    fn subject(&self, header: &str) -> String {
        self.request.headers.as_ref().unwrap().get(header).unwrap().to_string()
    }

    /// Asks on the subject in a header.
    async fn ask(&self, header: &str, key: &str, body: &str) -> Answer {
        let subject = format!("{}.{key}", self.subject(header));
        let asked = self.client.request(subject, body.to_owned().into());
        within(10, "an answer", asked).await.unwrap().into()
    }

    async fn end(self, headers: HeaderMap, body: &str) {
        let reply = self.request.reply.unwrap();
        let sent = self.client.publish_with_headers(reply, headers, body.to_owned().into()).await;
        sent.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_writes_is_part_of_its_job() {
    let trio = Trio::start().await;
    let platform = &trio.platform;
    let mut service = Service::start(platform).await;
    platform.ask("catena.storage.write.stock.apple", &[], "5").await.good();
    // The step before wrote, the service sees it; all of it is there with the commit or not at all.
    let chain = r#"[{"operator":"increment","settings":{"key":"orders"}},"reserve","uppercase"]"#;
    let serve = async {
        let step = service.next().await;
        assert_eq!(step.ask("Catena-Read", "orders", "").await.good(), "1");
        assert_eq!(step.ask("Catena-Read", "stock.apple", "").await.good(), "5");
        step.ask("Catena-Add", "stock.apple", "-2").await.good();
        assert_eq!(step.ask("Catena-Read", "stock.apple", "").await.good(), "3");
        step.ask("Catena-Write", "{ada}order", "apple").await.good();
        let found = step.ask("Catena-Scan", "{ada}", "").await;
        assert_eq!(found.json()[0]["value"], "apple", "{found:?}");
        step.ask("Catena-Read", "nothing", "").await.says(404, "`nothing`");
        assert_eq!(platform.read("stock.apple").await.good(), "5", "not before the commit");
        platform.read("{ada}order").await.bad(404);
        let late = step.subject("Catena-Write");
        step.end(HeaderMap::new(), "reserved").await;
        late
    };
    let (answer, late) = tokio::join!(platform.inline(chain, "x"), serve);
    assert_eq!(answer.good(), "RESERVED");
    for (key, value) in [("stock.apple", "3"), ("{ada}order", "apple"), ("orders", "1")] {
        let read = platform.read(key).await;
        assert_eq!((read.good(), read.version()), (value, answer.version()), "{key}");
    }
    let late = platform.ask(&format!("{late}.stock.apple"), &[], "99").await;
    late.says(410, "has ended; nothing was done");

    // A service that fails behind its writes leaves nothing.
    let serve = async {
        let step = service.next().await;
        step.ask("Catena-Write", "stock.apple", "0").await.good();
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Service-Error", "sold out");
        headers.insert("Nats-Service-Error-Code", "409");
        step.end(headers, "").await;
    };
    let (answer, ()) = tokio::join!(platform.inline(chain, "x"), serve);
    answer.says(422, "sold out");
    assert_eq!(platform.read("stock.apple").await.good(), "3");
    assert_eq!(platform.number("orders").await, 1);
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_reads_no_longer_hold_is_run_again() {
    let platform = Platform::start().await;
    let mut service = Service::start(&platform).await;
    platform.ask("catena.storage.write.stock", &[], "5").await.good();
    let client = Client::connect(platform.nats.settings()).await.unwrap();
    let serve = async {
        for (round, seen) in ["5", "7"].into_iter().enumerate() {
            let step = service.next().await;
            assert_eq!(step.ask("Catena-Read", "stock", "").await.good(), seen);
            if round == 0 {
                platform.ask("catena.storage.write.stock", &[], "7").await.good();
                // Its snapshot stays what it was.
                assert_eq!(step.ask("Catena-Read", "stock", "").await.good(), "5");
            }
            let update = format!(r#"{{"expected":"{seen}","value":"{seen}0"}}"#);
            step.ask("Catena-Update-If-Value-Is", "stock", &update).await.good();
            step.end(HeaderMap::new(), seen).await;
        }
    };
    let run = client.run_inline("reserve", "x").explain();
    let (result, ()) = tokio::join!(run.into_future(), serve);
    let result = result.unwrap();
    assert_eq!(result.text().unwrap(), "7", "the result of the attempt that counts");
    assert_eq!(platform.read("stock").await.good(), "70");
    let tries = result.explained.unwrap().tries;
    assert_eq!((tries.attempts, tries.conflicts, tries.retries, tries.repeats), (2, 1, 0, 0));
    platform.stop().await;
}

/// Old versions are kept for the jobs in flight. A storage node that has begun anew, and whom the
/// scheduler cannot tell of them, forgets them all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_snapshot_is_forgotten_is_run_again_on_a_new_one() {
    let mut tuned = Tuned::with(0, 1, |config| config.retention_ms = 2_000).await;
    let folder = tuned.platform.nats.folder().to_owned();
    let arguments = ["--server", tuned.platform.nats.url(), "scheduler"];
    let scheduler = Process::start(folder.join("scheduler.log"), &arguments);
    eventually(20, "a scheduler", async || {
        tuned.platform.client.request("catena.operators", "".into()).await.ok()
    })
    .await;
    let mut service = Service::start(&tuned.platform).await;
    tuned.platform.ask("catena.storage.write.stock", &[], "5").await.good();
    let client = Client::connect(tuned.platform.nats.settings()).await.unwrap();
    let run = tokio::spawn(async move { client.run_inline("reserve", "x").await });
    let step = service.next().await;
    assert_eq!(step.ask("Catena-Read", "stock", "").await.good(), "5");
    let later = tuned.platform.ask("catena.storage.write.stock", &[], "7").await.version();
    scheduler.signal("STOP").await;
    tuned.restart().await;
    let mut version = HeaderMap::new();
    version.insert("Catena-Version", later.to_string());
    eventually(30, "that the past is forgotten", async || {
        let (subject, version) = ("catena.storage.read.stock", version.clone());
        let asked = tuned.platform.client.request_with_headers(subject, version, "".into());
        let read = Answer::from(asked.await.ok()?);
        read.header("Nats-Service-Error")?.contains("older than what is kept").then_some(())
    })
    .await;
    // What it had not read is not there any more as it was.
    step.ask("Catena-Read", "other", "").await.says(409, "older than the store keeps");
    step.end(HeaderMap::new(), "never seen").await;
    scheduler.signal("CONT").await;
    let step = service.next().await;
    let seen = step.ask("Catena-Read", "stock", "").await;
    step.end(HeaderMap::new(), seen.good()).await;
    let result = within(30, "the job", run).await.unwrap().unwrap();
    assert_eq!(result.text().unwrap(), "7");
    scheduler.kill().await;
    tuned.stop().await;
}
