//! Work that is counted: jobs that somebody waits for, jobs on the queue, writes to the store.
//!
//! Every job adds one to a counter, under an idempotency key, and is asked for again and again
//! until its end is known: in the end the counters must be exact.

use crate::support::{Platform, eventually};
use catena_client::{Client, ErrorKind};
use catena_testing::within;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A chain that spreads over workers and counts in `counter`.
pub(super) fn counting(counter: &str, sleep: &str) -> String {
    format!(
        r#"{{"steps":["trim",{{"operator":"sleep","settings":{{"for":"{sleep}"}}}},
        {{"operator":"increment","settings":{{"key":"{counter}"}}}},"uppercase"],
        "deadline":"60s"}}"#
    )
    .replace('\n', " ")
}

/// Work that goes on until it is told to stop.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    pub(super) done: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Counted>>,
    client: Client,
}

/// What was done, as far as it was acknowledged.
#[derive(Debug, Default)]
pub(super) struct Counted {
    runs: u64,
    submitted: Vec<catena_client::JobId>,
    written: BTreeMap<String, u64>,
    adds: i64,
}

impl Load {
    /// Starts callers that run jobs, submit jobs, write and add.
    pub(super) async fn start(platform: &Platform) -> Self {
        platform.chain("run", &counting("ran", "5ms")).await;
        platform.chain("queue", &counting("queued", "5ms")).await;
        let client = Client::connect(platform.nats.settings()).await.unwrap();
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let mut load = Self { stop, done, tasks: Vec::new(), client };
        for caller in 0..8 {
            load.caller(caller);
        }
        load
    }

    fn caller(&mut self, caller: u64) {
        let (client, stop, done) = (self.client.clone(), self.stop.clone(), self.done.clone());
        self.tasks.push(tokio::spawn(async move {
            let mut counted = Counted::default();
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                let name = format!("{caller}-{round}");
                match caller % 4 {
                    0 | 1 => run(&client, &name).await,
                    2 => counted.submitted.push(submit(&client, &name).await),
                    _ => write(&client, caller, round, &mut counted).await,
                }
                counted.runs += u64::from(caller % 4 < 2);
                done.fetch_add(1, Ordering::Relaxed);
                round += 1;
            }
            counted
        }));
    }

    /// Waits until so much more was done.
    pub(super) async fn goes_on(&self, more: u64) {
        let until = self.done.load(Ordering::Relaxed) + more;
        eventually(60, &format!("{more} more jobs and writes"), async || {
            (self.done.load(Ordering::Relaxed) >= until).then_some(())
        })
        .await;
    }

    /// Ends the work and compares what was acknowledged with what is there.
    pub(super) async fn check(self, platform: &Platform) {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Counted::default();
        for task in self.tasks {
            let one = within(90, "the end of a caller", task).await.unwrap();
            all.runs += one.runs;
            all.adds += one.adds;
            all.submitted.extend(one.submitted);
            all.written.extend(one.written);
        }
        for job in &all.submitted {
            let waited = self.client.wait_for(*job, Duration::from_secs(60)).await;
            waited.unwrap_or_else(|error| panic!("job {job}: {error}"));
        }
        assert!(all.runs > 0 && all.adds > 0 && !all.submitted.is_empty(), "{all:?}");
        assert_eq!(platform.number("ran").await, i64::try_from(all.runs).unwrap());
        let submitted = i64::try_from(all.submitted.len()).unwrap();
        assert_eq!(platform.number("queued").await, submitted);
        assert_eq!(platform.number("added").await, all.adds);
        for (key, last) in all.written {
            assert_eq!(platform.read(&key).await.good(), last.to_string(), "{key}");
        }
    }
}

/// Whether asking again may help. Everything else is a failure of the platform.
fn worth_asking_again(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::TooBusy)
}

async fn again<T, F: Future<Output = Result<T, catena_client::Error>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    within(60, what, async {
        loop {
            match within(30, what, ask()).await {
                Ok(answer) => return answer,
                Err(error) if worth_asking_again(error.kind()) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{what}: {:?}: {error}", error.kind()),
            }
        }
    })
    .await
}

async fn run(client: &Client, name: &str) {
    let result = again(&format!("run {name}"), || {
        let run = client.run("run", name.to_owned()).idempotency_key(name);
        run.timeout(Duration::from_secs(20)).into_future()
    })
    .await;
    assert_eq!(result.text().unwrap(), name.to_uppercase());
}

async fn submit(client: &Client, name: &str) -> catena_client::JobId {
    again(&format!("submit {name}"), || {
        client.submit("queue", name.to_owned()).idempotency_key(name).into_future()
    })
    .await
}

/// A write may be repeated; an add that was not acknowledged may or may not have happened, so
/// each is made a write that only happens once.
async fn write(client: &Client, caller: u64, round: u64, counted: &mut Counted) {
    let key = format!("written:{caller}");
    let store = client.store();
    again(&key, || store.write(key.clone(), round.to_string())).await;
    counted.written.insert(key, round);
    let patient = store.with_timeout(Duration::from_secs(30)).patient();
    patient.add("added", 1).await.unwrap();
    counted.adds += 1;
}
