//! A node on a real NATS server and a real disk, asked by a service.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where this fails")]

mod harness;

use catena_protocol::RequestId;
use catena_protocol::message::read::At;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::{Change, Condition, Written};
use catena_testing::{NatsServer, within};
use harness::{Asker, Running, write};

#[tokio::test]
async fn what_was_written_is_read_and_survives_a_restart() {
    let server = NatsServer::start().await;
    let node = Running::start(&server, "data").await;
    let mut asker = Asker::new(&server).await;
    assert_eq!(asker.value("a").await, None);
    let first = asker.put("a", "1").await;
    let second = asker.put("a", "2").await;
    assert!(second > first);
    assert_eq!(asker.value("a").await, Some("2".into()));
    let Tell::Record(old) = asker.read("a", At::Snapshot(first)).await else { panic!() };
    assert_eq!(old.value, Some("1".into()));
    node.stop().await;

    let node = Running::start(&server, "data").await;
    assert_eq!(asker.value("a").await, Some("2".into()));
    let Tell::Record(old) = asker.read("a", At::Snapshot(first)).await else { panic!() };
    assert_eq!(old.value, Some("1".into()));
    let third = asker.put("a", "3").await;
    assert!(third > second);
    node.stop().await;
}

#[tokio::test]
async fn a_request_sent_again_happens_once_also_over_a_restart() {
    let server = NatsServer::start().await;
    let node = Running::start(&server, "data").await;
    let mut asker = Asker::new(&server).await;
    let id = RequestId([7; 16]);
    let first = asker.write_as(id, "n", Change::Add(5), Condition::Always).await;
    assert!(matches!(first, Tell::Written(Written::Done { value: Some(5), .. })));
    assert_eq!(asker.write_as(id, "n", Change::Add(5), Condition::Always).await, first);
    node.stop().await;
    let node = Running::start(&server, "data").await;
    assert_eq!(asker.write_as(id, "n", Change::Add(5), Condition::Always).await, first);
    assert_eq!(asker.value("n").await, Some("5".into()));
    node.stop().await;
}

#[tokio::test]
async fn writes_that_come_together_share_syncs() {
    let server = NatsServer::start().await;
    let node = Running::start(&server, "data").await;
    let mut asker = Asker::new(&server).await;
    let before = asker.syncs().await;
    let writes = (0..2_000).map(|number| {
        let key = format!("k{number}");
        let (partition, write) =
            write(RequestId(rand::random()), &key, Change::Put("v".into()), Condition::Always);
        (partition, Ask::Write(write))
    });
    let told = asker.ask_all(writes.collect()).await;
    assert!(told.iter().all(|tell| matches!(tell, Tell::Written(Written::Done { .. }))));
    assert_eq!(asker.value("k1999").await, Some("v".into()));
    let syncs = within(10, "figures of after the writes", async {
        loop {
            let now = asker.syncs().await;
            if now > before {
                break now - before;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(syncs < 500, "{syncs} syncs for 2000 writes");
    node.stop().await;
}

#[tokio::test]
async fn it_goes_on_after_the_nats_server_was_away() {
    let mut server = NatsServer::start().await;
    let node = Running::start(&server, "data").await;
    let mut asker = Asker::new(&server).await;
    asker.put("a", "1").await;
    server.kill().await;
    server.start_again().await;
    let mut asker = Asker::new(&server).await;
    let link = server.connect("waiting").await;
    within(20, "the node is back", async {
        while link.client.request("catena.cluster", "".into()).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(asker.value("a").await, Some("1".into()));
    asker.put("a", "2").await;
    node.stop().await;
}
