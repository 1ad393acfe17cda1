//! Reads that rely on a majority and not on the lease.

use crate::support::Trio;

const STRICT: &str = "Catena-Strict";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_read_asks_a_majority_and_says_when_there_is_none() {
    let mut trio = Trio::start().await;
    let read = "catena.storage.read.a";
    trio.platform.ask("catena.storage.write.a", &[], "one").await.good();
    assert_eq!(trio.platform.ask(read, &[(STRICT, "true")], "").await.good(), "one");
    trio.platform.ask(read, &[(STRICT, "maybe")], "").await.says(400, STRICT);
    let shown = trio.catena(&["kv", "get", "a", "--strict"]).await;
    assert_eq!((shown.status.code(), shown.stdout.as_slice()), (Some(0), &b"one"[..]));
    trio.kill(0).await;
    trio.kill(1).await;
    trio.platform.ask(read, &[(STRICT, "true")], "").await.bad(503);
    trio.start_again(0);
    trio.healed().await;
    assert_eq!(trio.platform.ask(read, &[(STRICT, "true")], "").await.good(), "one");
    trio.stop().await;
}
