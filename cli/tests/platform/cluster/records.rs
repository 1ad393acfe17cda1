//! Records in every partition, written and read through the client library.

use catena_client::Client;
use catena_testing::within;
use futures_util::future::join_all;
use std::time::Duration;

/// Enough to meet nearly every one of 64 partitions.
const RECORDS: usize = 300;
/// Elections happen meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn write(client: &Client, round: &str) {
    let store = client.store().with_timeout(PATIENCE).patient();
    let writes = (0..RECORDS).map(|n| store.write(key(round, n), value(round, n)));
    for written in within(60, "writes", join_all(writes)).await {
        written.unwrap();
    }
}

pub(super) async fn read(client: &Client, round: &str) {
    let store = client.store().with_timeout(PATIENCE).patient();
    let reads = join_all((0..RECORDS).map(|n| store.read(key(round, n))));
    for (n, read) in within(60, "reads", reads).await.into_iter().enumerate() {
        assert_eq!(read.unwrap().text(), Some(value(round, n).as_str()));
    }
}

fn key(round: &str, n: usize) -> String {
    format!("{n}:{round}")
}

fn value(round: &str, n: usize) -> String {
    format!("{n} {round}")
}
