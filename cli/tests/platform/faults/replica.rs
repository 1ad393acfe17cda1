//! One of three storage nodes is killed under load and comes back: nobody is told an error, and
//! everything that was acknowledged is there.

use crate::support::{Trio, eventually};
use catena_client::{Client, Store, Updated};
use catena_testing::within;
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// No call may take longer: half of what a client waits by default.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// What one caller did; it ends when it is told to.
struct Caller {
    kind: &'static str,
    task: JoinHandle<(u64, Duration)>,
    done: Arc<AtomicU64>,
}

impl Caller {
    /// Asks round after round, and remembers what took longest.
    fn start<F: Future<Output = ()> + Send>(
        kind: &'static str,
        stop: &Arc<AtomicBool>,
        mut round: impl FnMut(u64) -> F + Send + 'static,
    ) -> Self {
        let (stop, done) = (Arc::clone(stop), Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&done);
        let task = tokio::spawn(async move {
            let (mut rounds, mut longest) = (0, Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                round(rounds).await;
                longest = longest.max(began.elapsed());
                rounds += 1;
                count.store(rounds, Ordering::Relaxed);
            }
            (rounds, longest)
        });
        Self { kind, task, done }
    }
}

/// Callers of every kind.
struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<Caller>,
}

const CALLERS: usize = 6;

impl Load {
    fn start(client: &Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = Vec::new();
        for n in 0..CALLERS {
            let store = client.store().clone();
            let key = format!("written:{n}");
            callers.push(Caller::start("write", &stop, move |round| {
                write(store.clone(), key.clone(), round)
            }));
            let store = client.store().clone();
            let key = format!("updated:{n}");
            callers.push(Caller::start("update", &stop, move |round| {
                update(store.clone(), key.clone(), round)
            }));
            let client = client.clone();
            callers.push(Caller::start("job", &stop, move |_| job(client.clone(), n)));
        }
        Self { stop, callers }
    }

    /// Waits until every caller has done so many rounds more.
    async fn goes_on(&self, more: u64) {
        let rounds = |caller: &Caller| caller.done.load(Ordering::Relaxed);
        let until: Vec<u64> = self.callers.iter().map(|caller| rounds(caller) + more).collect();
        eventually(60, &format!("{more} more rounds of everybody"), async || {
            let mut all = self.callers.iter().zip(&until);
            all.all(|(caller, until)| rounds(caller) >= *until).then_some(())
        })
        .await;
    }

    /// Ends it; how many rounds each caller did, by kind.
    async fn end(self) -> Vec<(&'static str, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.callers.into_iter().map(async |Caller { kind, task, .. }| {
            let (rounds, longest) = within(30, "the end of a caller", task).await.unwrap();
            assert!(longest < PATIENCE, "a {kind} took {longest:?}");
            (kind, rounds)
        });
        join_all(ended).await
    }
}

/// Writes the round, and reads it back.
async fn write(store: Store, key: String, round: u64) {
    let written = store.write(&key, round.to_string()).await.unwrap();
    let found = store.read(&key).await.unwrap();
    assert_eq!((found.version, found.text()), (written, Some(round.to_string().as_str())));
}

/// Changes the last round into this one.
async fn update(store: Store, key: String, round: u64) {
    let before = (round > 0).then(|| (round - 1).to_string().into());
    let updated = store.update_if_value_is(&key, before, Some(round.to_string().into())).await;
    assert!(matches!(updated, Ok(Updated::Done(_))), "{key} in round {round}: {updated:?}");
}

/// Adds one in the partition of the tag.
async fn job(client: Client, n: usize) {
    client.run(format!("count{n}"), "").key(format!("{{tag{n}}}")).await.unwrap();
}

/// What is in the store at the end.
async fn check(trio: &Trio, store: &Store, rounds: &[(&str, u64)]) {
    for (n, all) in rounds.chunks(3).enumerate() {
        let &[("write", written), ("update", updated), ("job", jobs)] = all else { panic!() };
        for (key, rounds) in [(format!("written:{n}"), written), (format!("updated:{n}"), updated)]
        {
            let found = store.read(&key).await.unwrap();
            assert_eq!(found.text(), Some((rounds - 1).to_string().as_str()), "{key}");
        }
        let counted = trio.platform.number(&format!("{{tag{n}}}count")).await;
        assert_eq!(counted, i64::try_from(jobs).unwrap());
    }
}

/// A person with the `catena` command meanwhile.
async fn by_hand(trio: &Trio, value: &str) {
    for n in 0..3 {
        let key = format!("by-hand:{n}");
        let put = trio.catena(&["kv", "put", &key, value]).await;
        assert!(put.status.success(), "{put:?}");
        let got = trio.catena(&["kv", "get", &key]).await;
        assert_eq!(String::from_utf8_lossy(&got.stdout), value, "{got:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replica_costs_a_moment_and_nothing_else() {
    let mut trio = Trio::start().await;
    for n in 0..CALLERS {
        let settings = format!(r#"{{"key":"{{tag{n}}}count"}}"#);
        let steps = format!(r#"[{{"operator":"increment","settings":{settings}}},"uppercase"]"#);
        trio.platform.chain(&format!("count{n}"), &steps).await;
    }
    let client = Client::connect(trio.platform.nats.settings()).await.unwrap();
    let load = Load::start(&client);
    for node in [0, 1, 2] {
        load.goes_on(20).await;
        trio.kill(node).await;
        by_hand(&trio, &format!("{node} is down")).await;
        load.goes_on(20).await;
        trio.start_again(node);
        load.goes_on(20).await;
        trio.healed().await;
        by_hand(&trio, &format!("{node} is back")).await;
    }
    let rounds = load.end().await;
    check(&trio, client.store(), &rounds).await;
    trio.stop().await;
}
