//! A node comes back with an empty disk: it takes a copy of everything, gets its votes, and then
//! counts like any other.

use super::records;
use crate::support::{Trio, eventually};
use catena_client::{Client, Store};
use catena_protocol::limit::PARTITIONS;
use catena_protocol::placement::place;
use catena_protocol::{NodeId, partition};
use catena_testing::within;
use futures_util::{StreamExt, stream};

/// Records in one partition that the node with the new disk leads whenever it can. Those written
/// while it is away are more than is kept of a log in memory, and so much that what was committed
/// is applied: the beginning can only come as a copy.
struct Long {
    tag: String,
    partition: u16,
}

const RECORDS: usize = 220;
const BYTES: usize = 200 * 1024;

impl Long {
    fn new() -> Self {
        let ids = ["storage-1", "storage-2", "storage-3"].map(|id| NodeId::new(id).unwrap());
        let places = place(&ids, PARTITIONS, ids.len());
        let tags = (0..).map(|n| format!("{{long{n}}}"));
        let mut named = tags.map(|tag| Self { partition: partition(&tag, PARTITIONS), tag });
        named.find(|long| places[usize::from(long.partition)][0] == ids[2]).unwrap()
    }

    fn key(&self, n: usize) -> String {
        format!("{}{n}", self.tag)
    }

    async fn begin(&self, store: &Store) {
        store.write(self.key(0), "the beginning").await.unwrap();
    }

    async fn go_on(&self, store: &Store) {
        let writes = (1..RECORDS).map(|n| store.write(self.key(n), vec![b'x'; BYTES]));
        let writes = stream::iter(writes).buffer_unordered(8);
        let written: Vec<_> = within(60, "long writes", writes.collect()).await;
        assert!(written.iter().all(Result::is_ok), "{written:?}");
    }

    /// The new disk has all of it.
    async fn is_there(&self, trio: &Trio, store: &Store) {
        eventually(30, "storage-3 leads", async || {
            let leader = trio.leaders().await.remove(&self.partition)?;
            (leader == "storage-3").then_some(())
        })
        .await;
        let first = store.read(self.key(0)).await.unwrap();
        assert_eq!(first.text(), Some("the beginning"));
        let last = store.read(self.key(RECORDS - 1)).await.unwrap();
        assert_eq!(last.value.unwrap().len(), BYTES);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_disk_makes_up_for_a_lost_one() {
    let mut trio = Trio::start().await;
    let client = Client::connect(trio.platform.nats.settings()).await.unwrap();
    let (long, store) = (Long::new(), client.store());
    long.begin(store).await;
    records::write(&client, "before").await;
    trio.kill(2).await;
    records::write(&client, "meanwhile").await;
    long.go_on(store).await;
    trio.lose_disk(2);
    trio.start_again(2);
    trio.all_vote().await;

    // Now the new disk is needed for a majority, and for what the other one does not lead.
    trio.kill(0).await;
    records::read(&client, "before").await;
    records::read(&client, "meanwhile").await;
    long.is_there(&trio, store).await;
    records::write(&client, "after").await;
    records::read(&client, "after").await;
    trio.start_again(0);
    trio.all_vote().await;
    trio.kill(1).await;
    for round in ["before", "meanwhile", "after"] {
        records::read(&client, round).await;
    }
    long.is_there(&trio, store).await;
    trio.platform.still_works().await;
    trio.stop().await;
}
