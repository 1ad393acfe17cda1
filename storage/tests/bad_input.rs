//! Whatever arrives on a subject of the node: an answer, nothing changed, and it goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where this fails")]

mod harness;

use catena_protocol::codec::Batch;
use catena_protocol::limit::{KEY_BYTES, VALUE_BYTES};
use catena_protocol::message::read::{At, Read, Scan};
use catena_protocol::message::store::{Ask, Request, Tell};
use catena_protocol::message::write::{Change, Condition};
use catena_protocol::{Code, Fault, Key, RequestId, Timestamp};
use catena_testing::{NatsServer, within};
use harness::{Asker, PARTITIONS, Running, header, path, write};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

fn fault(tell: Tell) -> Fault {
    match tell {
        Tell::Fault(fault) => fault,
        other => panic!("not refused: {other:?}"),
    }
}

async fn answer(asker: &Asker, subject: String, payload: Vec<u8>) -> async_nats::Message {
    within(10, "an answer", asker.link.client.request(subject, payload.into())).await.unwrap()
}

async fn still_good(asker: &mut Asker) {
    asker.put("good", "yes").await;
    assert_eq!(asker.value("good").await, Some("yes".into()));
}

#[tokio::test]
async fn malformed_messages_are_answered_on_every_subject() {
    let server = NatsServer::start().await;
    let node = Running::start(&server, "data").await;
    let mut asker = Asker::new(&server).await;
    let heartbeat = {
        let mut beats = asker.link.client.subscribe("catena.heartbeat.storage.*").await.unwrap();
        let beat = within(5, "a heartbeat", futures_util::StreamExt::next(&mut beats)).await;
        beat.unwrap().subject.to_string()
    };
    let id = heartbeat.rsplit('.').next().unwrap();
    let (partition, ask) =
        write(RequestId([1; 16]), "bad", Change::Put("x".into()), Condition::Always);
    let good = Batch::of(&Request { id: 1, partition, ask: Ask::Write(ask) });
    let mut random = StdRng::seed_from_u64(1);
    let mut payloads: Vec<Vec<u8>> = (0..good.len()).map(|end| good[..end].to_vec()).collect();
    payloads.extend((0..200).map(|_| {
        let mut bytes = vec![0; random.random_range(1..300)];
        random.fill_bytes(&mut bytes);
        bytes
    }));
    payloads.push([&good[..], &[0]].concat());
    payloads.push(vec![0x9f; 100_000]);
    payloads.push([vec![0x9f], vec![0x81; 100_000]].concat());
    for subject in [format!("catena.node.{id}"), "catena.partition.3.primary".to_owned()] {
        for payload in &payloads {
            let told = answer(&asker, subject.clone(), payload.clone()).await;
            assert_eq!(header(&told, "Nats-Service-Error-Code"), Some("400"), "{payload:x?}");
        }
    }
    for payload in &payloads {
        for verb in ["update-if-value-is.k", "add.k", "scan.k", "nonsense.k", "read", "x"] {
            if verb == "scan.k" && payload.is_empty() {
                continue;
            }
            let told = answer(&asker, format!("catena.storage.{verb}"), payload.clone()).await;
            assert!(header(&told, "Nats-Service-Error-Code").is_some(), "{verb} {payload:x?}");
        }
    }
    assert_eq!(asker.value("bad").await, None);
    assert_eq!(asker.value("k").await, None);
    still_good(&mut asker).await;
    node.stop().await;
}

#[tokio::test]
async fn what_is_too_large_or_in_the_wrong_place_changes_nothing() {
    let server = NatsServer::start().await;
    let node = Running::start(&server, "data").await;
    let mut asker = Asker::new(&server).await;
    let large = "x".repeat(VALUE_BYTES + 1);
    let told = asker.write("large", Change::Put(large.into()), Condition::Always).await;
    assert_eq!(fault(told).code, Code::TooLarge);
    assert_eq!(asker.value("large").await, None);
    let just = "x".repeat(VALUE_BYTES);
    let told = asker.write("large", Change::Put(just.as_str().into()), Condition::Always).await;
    assert!(matches!(told, Tell::Written(_)));
    assert_eq!(asker.value("large").await, Some(just.into()));

    let long = format!("storage.write.{}", "k".repeat(KEY_BYTES + 1));
    let told = asker.text(&long, &[], "x").await;
    assert_eq!(header(&told, "Nats-Service-Error-Code"), Some("413"));

    let key = Key::new("a").unwrap();
    let read = |at| Ask::Read(Read { key: key.clone(), at });
    let right = key.partition(PARTITIONS);
    for wrong in [(right + 1) % PARTITIONS, PARTITIONS, u16::MAX] {
        assert_eq!(fault(asker.ask(wrong, read(At::Latest)).await).code, Code::BadRequest);
    }
    let future = At::Snapshot(Timestamp::MAX);
    assert_eq!(fault(asker.ask(right, read(future)).await).code, Code::BadRequest);
    let past = asker.ask(right, read(At::Snapshot(Timestamp(1)))).await;
    assert!(matches!(past, Tell::SnapshotTooOld { .. }), "{past:?}");
    for prefix in ["a\0".to_owned(), "k".repeat(KEY_BYTES + 1)] {
        let scan = Scan { prefix, at: At::Latest, after: None, limit: u32::MAX };
        assert_eq!(fault(asker.ask(0, Ask::Scan(scan)).await).code, Code::BadRequest);
    }
    still_good(&mut asker).await;
    node.stop().await;
}

#[tokio::test]
async fn a_directory_serves_one_process_and_one_cluster() {
    let server = NatsServer::start().await;
    let node = Running::start(&server, "data").await;
    let second = Running::launch(&server, "data").failed().await;
    assert!(second.to_string().contains("in use by another process"), "{second}");
    node.stop().await;

    // Another directory is another cluster; this server knows the first.
    let foreign = Running::launch(&server, "other").failed().await;
    assert!(foreign.to_string().contains("names cluster"), "{foreign}");
    assert!(!path(&server, "other").join("identity").exists(), "nothing was begun");

    // The log is gone.
    std::fs::remove_dir_all(path(&server, "data").join("log")).unwrap();
    let failed = Running::launch(&server, "data").failed().await;
    assert!(failed.to_string().contains("had a log"), "{failed}");
}
