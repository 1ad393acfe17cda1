//! Two of three storage nodes are killed: what needs a majority says so quickly and in words, what
//! does not goes on, and everything goes on when they are back.

use crate::support::{Answer, Trio};
use catena_client::{Client, Entry, Error, ErrorKind, Store, Timestamp, Updated};
use catena_testing::within;
use futures_util::future::join_all;
use std::time::{Duration, Instant};

/// Enough to meet partitions of every node.
const KEYS: usize = 48;
/// A primary gives up 0.9 s after it last heard of a majority; 2 s are an election's; the rest is
/// for a machine that has much to do.
const SOON: Duration = Duration::from_millis(3_800);
/// Where it is known already.
const AT_ONCE: Duration = Duration::from_millis(1_500);

fn key(n: usize) -> String {
    format!("k{n}")
}

/// A write, an update and a read of every key; how long the slowest took.
async fn refused(store: &Store) -> Duration {
    let began = Instant::now();
    let asked = (0..KEYS).map(async |n| {
        let write = store.write(key(n), "new");
        let update = store.update_if_value_is(key(n), Some("old".into()), Some("new".into()));
        let (write, update, read) = tokio::join!(write, update, store.read(key(n)));
        unavailable(&write.unwrap_err(), true);
        unavailable(&update.unwrap_err(), true);
        match read {
            Err(error) => unavailable(&error, false),
            // The lease of a primary outlives its majority by 0.4 s.
            Ok(entry) => assert_eq!(entry.text(), Some("old")),
        }
    });
    within(15, "answers without a majority", join_all(asked)).await;
    began.elapsed()
}

fn unavailable(error: &Error, writes: bool) {
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{text}");
    assert!(text.contains("no primary") && text.contains("majority"), "{text}");
    let unclear = writes && text.contains("may or may not have happened");
    assert!(unclear || text.contains("nothing was changed"), "{text}");
}

/// As a person with the `nats` and the `catena` command.
async fn refused_to_people(trio: &Trio) {
    for (verb, body) in [
        ("write", "new"),
        ("update-if-value-is", r#"{"expected":"old","value":"new"}"#),
        ("delete", ""),
        ("read", ""),
    ] {
        let began = Instant::now();
        let answer: Answer =
            trio.platform.ask(&format!("catena.storage.{verb}.k1"), &[], body).await;
        answer.says(503, "no primary");
        assert!(began.elapsed() < SOON, "{verb}: {:?}", began.elapsed());
    }
    for command in [&["kv", "put", "k1", "new"][..], &["kv", "get", "k1"], &["kv", "add", "k", "1"]]
    {
        let began = Instant::now();
        let output = trio.catena(command).await;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains("no primary"), "{command:?}: {error}");
        assert!(began.elapsed() < SOON, "{command:?}: {:?}", began.elapsed());
    }
}

async fn all_at(store: &Store, versions: &[Timestamp]) {
    let reads = join_all((0..KEYS).map(|n| store.read_at(key(n), versions[n])));
    for entry in within(10, "reads at a version", reads).await {
        assert_eq!(entry.unwrap().text(), Some("old"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_it_says_so_quickly_and_the_past_can_be_read() {
    let mut trio = Trio::start().await;
    let count = r#"{"steps":[{"operator":"increment","settings":{"key":"{c}n"}}],"key":"/c"}"#;
    trio.platform.chain("count", count).await;
    let client = Client::connect(trio.platform.nats.settings()).await.unwrap();
    let store = client.store().with_timeout(Duration::from_secs(20));
    let written = join_all((0..KEYS).map(|n| store.write(key(n), "old"))).await;
    let versions: Vec<Timestamp> = written.into_iter().map(Result::unwrap).collect();
    for (n, version) in versions.iter().enumerate() {
        trio.covers(0, &key(n), *version).await;
    }

    trio.kill(1).await;
    trio.kill(2).await;
    let first = refused(&store).await;
    assert!(first < SOON, "the first answer took {first:?}");
    let again = refused(&store).await;
    assert!(again < AT_ONCE, "the second answer took {again:?}");
    all_at(&store, &versions).await;
    refused_to_people(&trio).await;
    let at = versions[1].to_string();
    let headers = [("Catena-Version", at.as_str())];
    let past = trio.platform.ask("catena.storage.read.k1", &headers, "").await;
    assert_eq!(past.good(), "old");
    let past = trio.catena(&["kv", "get", "k1", "--version", &at]).await;
    assert_eq!(past.stdout, b"old", "{past:?}");
    // What needs no store goes on; what needs it waits on the queue.
    trio.platform.still_works().await;
    let queued = trio.platform.ask("catena.submit.count", &[], r#"{"c":"{c}"}"#).await.json();

    trio.start_again(1);
    trio.start_again(2);
    let patient = client.store().with_timeout(Duration::from_secs(30)).patient();
    let reads = join_all((0..KEYS).map(|n| patient.read(key(n))));
    for entry in within(40, "reads with a majority", reads).await {
        let entry: Entry = entry.unwrap();
        // Writes that were told to be unclear may have happened.
        assert!(matches!(entry.text(), Some("old" | "new")), "{entry:?}");
    }
    trio.healed().await;
    for n in 0..KEYS {
        let found = store.read(key(n)).await.unwrap();
        let updated = store.update_if_value_is(key(n), found.value, Some("newest".into()));
        assert!(matches!(updated.await.unwrap(), Updated::Done(_)));
    }
    let ended = trio.platform.ended(queued["job"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "committed", "{ended}");
    assert_eq!(trio.platform.number("{c}n").await, 1);
    trio.stop().await;
}
