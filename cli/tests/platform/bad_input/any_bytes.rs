//! Random bytes, and good messages cut anywhere, on every subject that there is.

use crate::support::{Platform, Raw};
use async_nats::{HeaderMap, Request};
use bytes::Bytes;
use catena_protocol::chain::{Effect, Isolation};
use catena_protocol::codec::{self, Batch};
use catena_protocol::message::assign::{Assignment, Check, Reply, Tries, Wanted};
use catena_protocol::message::commit::{Commit, End};
use catena_protocol::message::finish::{AttemptEnd, Finish};
use catena_protocol::message::handoff::{Effects, Step};
use catena_protocol::message::heartbeat::{Heartbeat, Load, Offer};
use catena_protocol::message::read::{At, Read, Scan};
use catena_protocol::message::store::{Ask, Request as StoreRequest};
use catena_protocol::message::submit::Submit;
use catena_protocol::message::write::{Change, Condition, Mutation, Write};
use catena_protocol::subject::{JobVerb, Role, StoreVerb, Subjects};
use catena_protocol::{AttemptId, Blob, ChainHash, JobId, Key, Name, NodeId, RequestId, Timestamp};
use catena_testing::within;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const CBOR: (&str, &str) = ("Content-Type", "application/cbor");

fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

/// Subjects where every request is answered.
fn answered() -> Vec<String> {
    let subjects = Subjects::default();
    let job = "00000000-0000-8000-8000-000000000000";
    let stores = [StoreVerb::Read, StoreVerb::UpdateIfValueIs, StoreVerb::Add, StoreVerb::Scan];
    let mut all = vec![
        subjects.run("shout"),
        subjects.run("inline"),
        subjects.run("nope"),
        subjects.submit("nope"),
        subjects.submit("inline"),
        subjects.job(job, JobVerb::Status),
        subjects.job(job, JobVerb::Result),
        subjects.chain_set("bad"),
        subjects.operators(),
        subjects.check(&node("worker-1")),
        subjects.chain_of(&node("scheduler-1")),
        subjects.primary(0),
        subjects.primary(63),
        subjects.node(&node("storage-1")),
        subjects.cluster(),
        "catena.storage.scan".to_owned(),
        "catena.storage.nonsense.a".to_owned(),
    ];
    all.extend(stores.map(|verb| subjects.store(verb, "any")));
    all.extend(["PING", "INFO", "STATS"].map(|verb| format!("$SRV.{verb}.catena-worker.worker-1")));
    all
}

/// Subjects where nobody answers.
fn heard() -> Vec<String> {
    let subjects = Subjects::default();
    vec![
        subjects.step(&node("worker-1")),
        subjects.step(&node("worker-2")),
        subjects.finish(&node("scheduler-1")),
        subjects.owner(),
        subjects.heartbeat(Role::Worker, &node("worker-1")),
        subjects.heartbeat(Role::Scheduler, &node("scheduler-1")),
        subjects.heartbeat(Role::Storage, &node("storage-1")),
        subjects.heartbeat(Role::Worker, &node("nobody")),
    ]
}

/// One good message for each subject that takes CBOR.
fn messages() -> Vec<(String, Bytes)> {
    let subjects = Subjects::default();
    let (job, attempt) = (JobId([1; 16]), AttemptId([2; 16]));
    let key = || Key::new("cut").unwrap();
    let reply = Some(Reply::Batch("cut.inbox".to_owned()));
    let assignment = Assignment {
        job,
        attempt,
        chain: ChainHash([3; 16]),
        scheduler: node("scheduler-1"),
        plan: vec![node("worker-1")],
        snapshot: Timestamp(5),
        deadline: Timestamp(6),
        reply,
        record_ms: Some(7),
        trace: Some("trace".to_owned()),
        tries: Some(Tries { attempts: 1, ..Tries::default() }),
    };
    let effects = || Effects {
        reads: vec![key()],
        scans: vec![key()],
        writes: vec![Mutation { key: key(), change: Change::Put(Blob::from("cut")) }],
    };
    let step = Step {
        assignment: assignment.into(),
        index: 0,
        payload: Blob::from("x"),
        effects: effects(),
    };
    let finish = Finish { job, attempt, end: AttemptEnd::Full { worker: node("worker-1") } };
    let submit = Submit {
        job,
        input: Blob::from("input"),
        timeout_ms: 5,
        after: Timestamp(5),
        keyed: true,
        trace: None,
        inline: Some("echo".to_owned()),
        explain: true,
        may_move: true,
    };
    let name = || Name::new("echo").unwrap();
    let commit = Commit {
        job,
        attempt,
        chain: name(),
        snapshot: Timestamp(5),
        isolation: Isolation::Serializable,
        effects: effects(),
        end: End::Committed(Blob::from("result")),
        keep_ms: 5,
        explain: true,
    };
    let mutation = Mutation { key: key(), change: Change::Put(Blob::from("cut")) };
    let write = Write { request: RequestId([4; 16]), mutation, condition: Condition::Always };
    let scan = Scan { prefix: "c".to_owned(), at: At::Latest, after: Some(key()), limit: 5 };
    let asks = [
        Ask::Read(Read { key: key(), at: At::Latest }),
        Ask::Scan(scan),
        Ask::Write(write),
        Ask::Commit(commit),
        Ask::Outcome(job),
    ];
    let partition = key().partition(catena_protocol::limit::PARTITIONS);
    let requests = asks.map(|ask| Batch::of(&StoreRequest { id: 1, partition, ask }));
    let offers =
        vec![Offer { name: name(), effect: Effect::Pure, help: "help".into(), native: true }];
    let load = Load::Worker { outstanding: 1, credit: 2, operators: offers };
    let heartbeat = Heartbeat { node: node("nobody"), boot: 5, draining: false, load };
    let check = Check { operator: name(), settings: "{}".to_owned() };
    let mut all = vec![
        (subjects.step(&node("worker-1")), Batch::of(&step)),
        (subjects.finish(&node("scheduler-1")), Batch::of(&finish)),
        (subjects.run("inline"), Batch::of(&submit)),
        (subjects.submit("inline"), Batch::of(&submit)),
        (
            subjects.chain_of(&node("scheduler-1")),
            codec::encode(&Wanted { chain: ChainHash([3; 16]) }).into(),
        ),
        (subjects.check(&node("worker-1")), codec::encode(&check).into()),
        (subjects.heartbeat(Role::Worker, &node("nobody")), codec::encode(&heartbeat).into()),
    ];
    for request in requests {
        all.push((subjects.node(&node("storage-1")), request.clone()));
        all.push((subjects.primary(partition), request));
    }
    all
}

/// Random bytes of all lengths, some of which look like CBOR.
fn rubbish(random: &mut StdRng) -> Vec<Bytes> {
    let mut all = vec![Bytes::new(), Bytes::from_static(&[0xff]), vec![0xff; 100_000].into()];
    for round in 0..24 {
        let mut bytes = vec![0; random.random_range(1..(2 << (round % 12)))];
        random.fill(&mut bytes[..]);
        // The start of a batch, of an array, of a huge array, of huge bytes, of huge text.
        match round % 6 {
            0 => bytes.insert(0, 0x9f),
            1 => bytes.insert(0, 0x81),
            2 => bytes
                .splice(0..0, [0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
                .for_each(drop),
            3 => bytes
                .splice(0..0, [0x9f, 0x84, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
                .for_each(drop),
            4 => bytes
                .splice(0..0, [0x9f, 0x83, 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
                .for_each(drop),
            _ => {}
        }
        all.push(bytes.into());
    }
    // Arrays in arrays, maps in maps, tags of tags.
    for start in [0x81, 0x9f, 0xa1, 0xbf, 0xc1] {
        all.push(vec![start; 60_000].into());
    }
    all
}

fn request(body: Bytes, cbor: bool) -> Request {
    let mut map = HeaderMap::new();
    if cbor {
        map.insert(CBOR.0, CBOR.1);
    }
    map.insert("Catena-Chain", "echo");
    Request::new().payload(body).headers(map).timeout(None)
}

async fn ask_all(platform: &Platform, subject: &str, bodies: &[(Bytes, bool)]) {
    let asked = bodies.iter().map(|(body, cbor)| {
        let client = platform.client.clone();
        let request = request(body.clone(), *cbor);
        async move { client.send_request(subject.to_owned(), request).await }
    });
    let what = format!("an answer to all {} requests on `{subject}`", bodies.len());
    for answer in within(20, &what, join_all(asked)).await {
        answer.unwrap_or_else(|error| panic!("{subject}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_is_answered_and_changes_nothing() {
    let mut platform = Platform::start().await;
    platform.chain("shout", "trim,uppercase").await;
    platform.ask("catena.storage.write.any", &[], "as it was").await.good();
    let before = platform.everything().await;
    let mut random = StdRng::seed_from_u64(7);
    for subject in answered() {
        let all = rubbish(&mut random).into_iter();
        // Without the header the bytes are text, which `echo` and `write` take as they are.
        let text = !subject.contains(".submit.");
        let bodies: Vec<(Bytes, bool)> =
            all.flat_map(|body| [(body.clone(), true), (body, !text)]).collect();
        ask_all(&platform, &subject, &bodies).await;
    }
    for subject in heard() {
        for body in rubbish(&mut random) {
            let inbox = platform.client.new_inbox();
            platform.client.publish_with_reply(subject.clone(), inbox, body).await.unwrap();
        }
        platform.still_works().await;
    }
    platform.unharmed(&before).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_messages_cut_anywhere_are_refused() {
    let mut platform = Platform::start().await;
    let before = platform.everything().await;
    for (subject, whole) in messages() {
        let cuts: Vec<(Bytes, bool)> =
            (0..whole.len()).map(|end| (whole.slice(..end), true)).collect();
        // Bytes behind the end are wrong, too.
        let behind = Bytes::from([&whole[..], &[0]].concat());
        let bodies: Vec<_> = cuts.into_iter().chain([(behind, true)]).collect();
        if subject.ends_with(".step")
            || subject.ends_with(".finish")
            || subject.contains("heartbeat")
        {
            for (body, _) in bodies {
                platform.client.publish(subject.clone(), body).await.unwrap();
            }
        } else {
            ask_all(&platform, &subject, &bodies).await;
        }
    }
    platform.unharmed(&before).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subjects_and_headers_of_any_bytes_do_not_end_a_service() {
    let mut platform = Platform::start().await;
    let before = platform.everything().await;
    let mut raw = Raw::connect(platform.nats.url()).await;
    for prefix in
        ["catena.run.", "catena.submit.", "catena.storage.write.", "catena.job.", "catena.chain."]
    {
        let end: &[u8] = match prefix {
            "catena.job." => b".status",
            "catena.chain." => b".set",
            _ => b"",
        };
        for name in [&b"\xff\xfe"[..], b"\xc3\x28", b"\x00", b"\x01\x7f", "ä".as_bytes()] {
            // What is valid UTF-8 may be a key and then be written; so it is made no value.
            let subject = [prefix.as_bytes(), name, end].concat();
            let body: &[u8] = if prefix.contains("storage") { &[b'x'; 300_000] } else { b"x" };
            raw.publish(&subject, "nobody.waits", body).await;
        }
    }
    for block in [
        &b"NATS/1.0\r\nCatena-Chain: \xff\xfe\r\n\r\n"[..],
        b"NATS/1.0\r\nCatena-Chain\r\n\r\n",
        b"NATS/1.0\r\n: x\r\n\r\n",
        b"NATS/1.0 999 What\r\n\r\n",
        b"NATS/1.0 503\r\n\r\n",
        b"NATS/9.9\r\n\r\n",
        b"rubbish\r\n\r\n",
    ] {
        for subject in ["catena.run.inline", "catena.storage.read.a", "catena.worker.worker-1.step"]
        {
            raw.publish_with_headers(subject, "nobody.waits", block, b"x").await;
        }
    }
    raw.arrived().await;
    platform.recovers().await;
    platform.unharmed(&before).await;
    platform.stop().await;
}
