//! Well-formed messages that make no sense.

use crate::support::Platform;
use catena_protocol::codec::{self, Batch};
use catena_protocol::message::assign::Assignment;
use catena_protocol::message::finish::{AttemptEnd, Finish};
use catena_protocol::message::handoff::{Effects, Step};
use catena_protocol::message::heartbeat::{Heartbeat, Led, Load};
use catena_protocol::message::read::{At, Read, Scan};
use catena_protocol::message::store::{Ask, Request};
use catena_protocol::{AttemptId, Blob, ChainHash, Fault, JobId, Key, NodeId, Timestamp};
use catena_testing::within;

fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

fn step(plan: Vec<NodeId>, index: u8, scheduler: &str) -> Step {
    let assignment = Assignment {
        job: JobId([9; 16]),
        attempt: AttemptId([9; 16]),
        chain: ChainHash([9; 16]),
        scheduler: node(scheduler),
        plan,
        snapshot: Timestamp::MAX,
        deadline: Timestamp::MAX,
        reply: None,
        record_ms: Some(u64::MAX),
        trace: Some("\r\nline: break".to_owned()),
        tries: None,
    };
    Step {
        assignment: assignment.into(),
        index,
        payload: Blob::default(),
        effects: Effects::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_finishes_and_heartbeats_that_make_no_sense_harm_nobody() {
    let mut platform = Platform::start().await;
    let before = platform.everything().await;
    let client = platform.client.clone();
    for (plan, index, scheduler) in [
        (vec![], 0, "scheduler-1"),
        (vec![node("worker-1")], 255, "scheduler-1"),
        (vec![node("worker-2")], 0, "nobody"),
        (vec![node("worker-1")], 0, "nobody"),
        (vec![node("worker-1"); 3], 2, "scheduler-1"),
        (vec![node("worker-1"); 300], 255, "scheduler-1"),
    ] {
        let body = Batch::of(&step(plan, index, scheduler));
        client.publish("catena.worker.worker-1.step", body).await.unwrap();
    }
    for end in [
        AttemptEnd::Decided { version: Timestamp::MAX, good: true },
        AttemptEnd::Failed { step: 255, fault: Fault::bad_request("x") },
        AttemptEnd::Conflict { version: Timestamp::MAX },
        AttemptEnd::Full { worker: node("nobody") },
        AttemptEnd::Gone { worker: node("nobody") },
    ] {
        let finish = Finish { job: JobId([9; 16]), attempt: AttemptId([9; 16]), end };
        client.publish("catena.scheduler.scheduler-1.finish", Batch::of(&finish)).await.unwrap();
    }
    for (role, load) in [
        ("worker", Load::Worker { outstanding: u32::MAX, credit: u32::MAX, operators: vec![] }),
        ("worker", Load::Scheduler { jobs: u32::MAX, longest_ms: u64::MAX }),
        ("scheduler", Load::Scheduler { jobs: u32::MAX, longest_ms: u64::MAX }),
        ("storage", Load::Storage { partitions: 0, led: vec![] }),
    ] {
        let heartbeat = Heartbeat { node: node("nobody"), boot: 1, draining: false, load };
        let subject = format!("catena.heartbeat.{role}.nobody");
        client.publish(subject, codec::encode(&heartbeat).into()).await.unwrap();
    }
    // A node that claims to lead what does not exist.
    let led = vec![Led { partition: u16::MAX, epoch: u64::MAX }];
    let load = Load::Storage { partitions: 64, led };
    let heartbeat = Heartbeat { node: node("nobody"), boot: 1, draining: false, load };
    let body = codec::encode(&heartbeat);
    client.publish("catena.heartbeat.storage.nobody", body.into()).await.unwrap();
    client.flush().await.unwrap();
    platform.unharmed(&before).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_requests_that_make_no_sense_are_answered() {
    let mut platform = Platform::start().await;
    let before = platform.everything().await;
    let key = Key::new("a").unwrap();
    let far = At::Snapshot(Timestamp::MAX);
    for (partition, ask) in [
        (u16::MAX, Ask::Read(Read { key: key.clone(), at: At::Latest })),
        (0, Ask::Read(Read { key: key.clone(), at: far })),
        (0, Ask::Read(Read { key: key.clone(), at: At::Snapshot(Timestamp::ZERO) })),
        (0, Ask::Scan(Scan { prefix: String::new(), at: far, after: Some(key), limit: u32::MAX })),
        (0, Ask::Scan(Scan { prefix: "x".repeat(5_000), at: At::Latest, after: None, limit: 0 })),
        (0, Ask::Outcome(JobId([0xff; 16]))),
    ] {
        let body = Batch::of(&Request { id: 7, partition, ask: ask.clone() });
        let asked = platform.client.request("catena.node.storage-1", body);
        within(8, &format!("an answer to {ask:?}"), asked).await.unwrap();
    }
    // A batch of nothing.
    for subject in ["catena.node.storage-1", "catena.run.inline"] {
        let headers = [("Content-Type", "application/cbor")];
        platform.ask(subject, &headers, vec![0x80]).await.bad(400);
        platform.ask(subject, &headers, vec![0x9f, 0xff]).await.bad(400);
    }
    platform.unharmed(&before).await;
    platform.stop().await;
}
