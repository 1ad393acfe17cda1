//! Every message between services: the bytes it has today, and that another CBOR library reads
//! them. A change of these bytes is a change of the protocol.

#![allow(clippy::unwrap_used, reason = "a test")]

use catena_protocol::chain::{Chain, Effect, Isolation, Service, Step as ChainStep};
use catena_protocol::message::assign::{Assignment, Check, Checked, Reply, Tries, Wanted};
use catena_protocol::message::commit::{Commit, Costs, Decided, End, Outcome, Part as CommitPart};
use catena_protocol::message::finish::{Answer, AttemptEnd, Explained, Finish, Finished};
use catena_protocol::message::founding::{Announcement, Plan};
use catena_protocol::message::gossip::{
    Acked, Candidacy, Digest, Item, Letter, Line, Mark, Part, Piece, Push, Round, Run, Sender,
    Standing,
};
use catena_protocol::message::handoff::{Effects, Step};
use catena_protocol::message::heartbeat::{Heartbeat, Led, Load, Offer};
use catena_protocol::message::prepare::{
    Intent, Part as TxnPart, Prepare, Prepared, Readiness, Resolve, Turn, TxnId, Unsettled,
};
use catena_protocol::message::read::{At, Found, Read, Record, Scan};
use catena_protocol::message::replicate::{Decision, LogEntry, LogRecord, Position, Vote};
use catena_protocol::message::store::{Ask, Request, Response, Tell};
use catena_protocol::message::submit::Submit;
use catena_protocol::message::write::{Change, Condition, Mutation, Write, Written};
use catena_protocol::placement::Member;
use catena_protocol::{
    AttemptId, Blob, ChainHash, ClusterId, Code, DiskId, Fault, JobId, Key, Name, NodeId,
    RequestId, Timestamp, codec,
};
use minicbor::{Decode, Encode};
use std::fmt::{Debug, Write as _};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn node(text: &str) -> NodeId {
    NodeId::new(text).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn fault() -> Fault {
    Fault::new(Code::Conflict, "no")
}

fn mutations() -> Vec<Mutation> {
    vec![
        Mutation { key: key("a"), change: Change::Put(Blob::from("1")) },
        Mutation { key: key("b"), change: Change::Delete },
        Mutation { key: key("c"), change: Change::Add(-2) },
    ]
}

fn effects() -> Effects {
    Effects { reads: vec![key("r")], scans: vec![key("{t}:")], writes: mutations() }
}

fn assignment() -> Assignment {
    Assignment {
        job: JobId([1; 16]),
        attempt: AttemptId([2; 16]),
        chain: ChainHash([3; 16]),
        scheduler: node("s1"),
        plan: vec![node("w1"), node("w2")],
        snapshot: Timestamp(1_795_000_000_000_000),
        deadline: Timestamp(1_795_000_060_000_000),
        reply: Some(Reply::Text("_INBOX.x".into())),
        record_ms: Some(600_000),
        trace: None,
        tries: None,
    }
}

fn outcome(end: End) -> Outcome {
    Outcome {
        job: JobId([1; 16]),
        attempt: AttemptId([2; 16]),
        chain: name("shop"),
        version: Timestamp(7),
        end,
        expires: Timestamp(9),
    }
}

fn costs() -> Costs {
    let part = |partition, node| CommitPart { partition, node, reads: 1, scans: 0, writes: 2 };
    let parts = vec![part(5, Some(node("n1"))), part(6, None)];
    Costs { parts, rounds: 1, asked: 1, answered: 1 }
}

/// One line for each message: what it is, and its bytes in hexadecimal.
#[derive(Default)]
struct Wire(String);

impl Wire {
    fn add<T>(&mut self, what: &str, value: T)
    where
        T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + Debug,
    {
        let bytes = codec::encode(&value);
        assert_eq!(codec::decode::<T>(&bytes).unwrap(), value, "{what} comes back");
        let read: ciborium::Value = ciborium::from_reader(&bytes[..]).unwrap();
        assert!(read.is_array() || read.is_integer(), "{what} is read by ciborium: {read:?}");
        for end in 0..bytes.len() {
            assert!(codec::decode::<T>(&bytes[..end]).is_err(), "{what} cut at {end}");
        }
        writeln!(self.0, "{what} {}", hex(&bytes)).unwrap();
    }

    /// A whole message between services, of several items.
    fn add_batch<T>(&mut self, what: &str, items: &[T])
    where
        T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + Debug,
    {
        let mut batch = codec::Batch::default();
        items.iter().for_each(|item| batch.push(item));
        let bytes = batch.finish();
        assert_eq!(codec::decode_batch::<T>(&bytes).unwrap(), items, "{what} comes back");
        let read: ciborium::Value = ciborium::from_reader(&bytes[..]).unwrap();
        assert_eq!(read.as_array().unwrap().len(), items.len(), "{what} is read by ciborium");
        for end in 0..bytes.len() {
            assert!(codec::decode_batch::<T>(&bytes[..end]).is_err(), "{what} cut at {end}");
        }
        writeln!(self.0, "{what} {}", hex(&bytes)).unwrap();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn jobs(wire: &mut Wire) {
    wire.add(
        "submit",
        Submit {
            job: JobId([1; 16]),
            input: Blob::from("in"),
            timeout_ms: 4_500,
            after: Timestamp(5),
            keyed: true,
            trace: Some("00-aa-bb-01".into()),
            inline: None,
            explain: false,
            may_move: false,
        },
    );
    let tries = Some(Tries { attempts: 3, conflicts: 1, retries: 1, repeats: 0 });
    let explained = Box::new(Assignment { tries, ..assignment() });
    let payload = Blob::from("in");
    let effects_none = Effects::default();
    wire.add(
        "step-explained",
        Step { assignment: explained, index: 1, payload, effects: effects_none },
    );
    let payload = Blob::from("in");
    wire.add(
        "step",
        Step { assignment: Box::new(assignment()), index: 1, payload, effects: effects() },
    );
    let batch = Assignment { reply: Some(Reply::Batch("_INBOX.x".into())), ..assignment() };
    let (payload, effects_none) = (Blob::from("in"), Effects::default());
    wire.add(
        "step-reply-batch",
        Step { assignment: Box::new(batch), index: 0, payload, effects: effects_none },
    );
    wire.add("wanted", Wanted { chain: ChainHash([3; 16]) });
    wire.add("check", Check { operator: name("jq"), settings: "{}".into() });
    wire.add("checked", Checked { fault: Some(fault()) });
    let service =
        Service { subject: "my.enrich".into(), effect: Effect::ReadOnly, description: None };
    let step = |operator, settings: &str, effect, service| ChainStep {
        operator: name(operator),
        settings: settings.into(),
        effect,
        service,
    };
    wire.add(
        "chain",
        Chain {
            name: name("shop"),
            steps: vec![
                step("jq", r#"{"filter":"."}"#, Effect::Pure, None),
                step("enrich", "", Effect::ReadOnly, Some(service)),
            ],
            step_timeout_ms: 60_000,
            isolation: Isolation::Snapshot,
        },
    );
    wire.add(
        "chain-latest",
        Chain {
            name: name("inline"),
            steps: vec![step("put", "", Effect::Writing, None)],
            step_timeout_ms: 1,
            isolation: Isolation::Latest,
        },
    );
    for (what, end) in [
        ("finish-decided", AttemptEnd::Decided { version: Timestamp(7), good: true }),
        ("finish-failed", AttemptEnd::Failed { step: 2, fault: fault() }),
        ("finish-conflict", AttemptEnd::Conflict { version: Timestamp(7) }),
        ("finish-full", AttemptEnd::Full { worker: node("w1") }),
        ("finish-gone", AttemptEnd::Gone { worker: node("w1") }),
        ("finish-again", AttemptEnd::Again { fault: fault() }),
    ] {
        wire.add(what, Finish { job: JobId([1; 16]), attempt: AttemptId([2; 16]), end });
    }
    for (what, result) in [
        ("finished-result", Answer::Result(Blob::from("out"))),
        ("finished-fault", Answer::Fault(fault())),
        ("finished-elsewhere", Answer::Elsewhere { pointer: "/customer".into() }),
    ] {
        let job = JobId([1; 16]);
        wire.add(what, Finished { job, version: Timestamp(7), result, explained: None });
    }
    let explained = Explained {
        tries: Tries { attempts: 3, conflicts: 1, retries: 1, repeats: 0 },
        plan: vec![node("w1"), node("w2")],
        commit: Some(costs()),
    };
    let result = Answer::Result(Blob::from("out"));
    let explained = Some(Box::new(explained));
    wire.add(
        "finished-explained",
        Finished { job: JobId([1; 16]), version: Timestamp(7), result, explained },
    );
}

fn heartbeats(wire: &mut Wire) {
    let offer =
        Offer { name: name("jq"), effect: Effect::Pure, help: "a filter".into(), native: false };
    for (what, load) in [
        ("heartbeat-scheduler", Load::Scheduler { jobs: 3, longest_ms: 60_000 }),
        (
            "heartbeat-worker",
            Load::Worker { outstanding: 4, credit: 2_048, operators: vec![offer] },
        ),
        (
            "heartbeat-storage",
            Load::Storage { partitions: 64, led: vec![Led { partition: 5, epoch: 2 }] },
        ),
    ] {
        wire.add(what, Heartbeat { node: node("n1"), boot: 42, draining: false, load });
    }
}

fn founding(wire: &mut Wire) {
    let plan = Plan { size: 3, partitions: 64, replicas: 3 };
    for (what, cluster) in [("founding-empty", None), ("founding-member", Some(ClusterId([6; 16])))]
    {
        wire.add(what, Announcement { member: member(), cluster, plan });
    }
}

fn requests(wire: &mut Wire) {
    let write = |change, condition| {
        let mutation = Mutation { key: key("k"), change };
        Ask::Write(Write { request: RequestId([4; 16]), mutation, condition })
    };
    let commit = Commit {
        job: JobId([1; 16]),
        attempt: AttemptId([2; 16]),
        chain: name("shop"),
        snapshot: Timestamp(6),
        isolation: Isolation::Serializable,
        effects: effects(),
        end: End::Committed(Blob::from("out")),
        keep_ms: 600_000,
        explain: false,
    };
    let scan = Scan {
        prefix: "{t}:".into(),
        at: At::Snapshot(Timestamp(6)),
        after: Some(key("{t}:a")),
        limit: 100,
    };
    let value = Some(Blob::from("1"));
    for (what, ask) in [
        ("ask-read", Ask::Read(Read { key: key("k"), at: At::Latest })),
        ("ask-read-strict", Ask::Read(Read { key: key("k"), at: At::Strict })),
        ("ask-scan", Ask::Scan(scan)),
        ("ask-write", write(Change::Put(Blob::from("v")), Condition::Always)),
        ("ask-update", write(Change::Delete, Condition::ValueIs(value))),
        ("ask-update-version", write(Change::Add(1), Condition::VersionIs(Timestamp(3)))),
        ("ask-commit", Ask::Commit(commit)),
        ("ask-outcome", Ask::Outcome(JobId([1; 16]))),
    ] {
        wire.add(what, Request { id: 9, partition: 5, ask });
    }
}

fn responses(wire: &mut Wire) {
    let record = Record { version: Timestamp(7), value: Some(Blob::from("v")) };
    let found = vec![Found { key: key("k"), record: record.clone() }];
    let done = Written::Done { version: Timestamp(7), value: Some(-3) };
    let differs = Written::Differs { version: Timestamp(7), value: None };
    for (what, tell) in [
        ("tell-record", Tell::Record(record)),
        ("tell-records", Tell::Records { found, next: Some(key("k")) }),
        ("tell-written", Tell::Written(done)),
        ("tell-differs", Tell::Written(differs)),
        ("tell-committed", Tell::Decided(Decided::Outcome(outcome(End::Cancelled)))),
        (
            "tell-conflict",
            Tell::Decided(Decided::Conflict { key: key("k"), version: Timestamp(7) }),
        ),
        (
            "tell-explained",
            Tell::Decided(Decided::Explained(outcome(End::Cancelled), Box::new(costs()))),
        ),
        ("tell-busy", Tell::Decided(Decided::Busy { wait_ms: 20 })),
        ("tell-outcome", Tell::Outcome(Some(outcome(End::Failed(fault()))))),
        ("tell-outcome-none", Tell::Outcome(None)),
        ("tell-not-primary", Tell::NotPrimary { primary: Some(node("n2")) }),
        ("tell-fault", Tell::Fault(fault())),
        ("tell-too-old", Tell::SnapshotTooOld { horizon: Timestamp(5) }),
        ("tell-deposed", Tell::Deposed { primary: Some(node("n2")) }),
        ("tell-behind", Tell::Behind { primary: None, closed: Timestamp(5) }),
    ] {
        wire.add(what, Response { id: 9, tell });
    }
}

fn log_records(wire: &mut Wire) {
    let written = Written::Done { version: Timestamp(7), value: None };
    let write =
        Decision::Write { request: RequestId([4; 16]), mutation: mutations().pop(), written };
    let end = End::Dead(fault());
    for (what, decision) in [
        ("log-epoch", Decision::Epoch),
        ("log-write", write),
        (
            "log-outcome",
            Decision::Outcome {
                outcome: outcome(end.clone()),
                mutations: mutations(),
                unsettled: None,
            },
        ),
        (
            "log-outcome-unsettled",
            Decision::Outcome {
                outcome: outcome(end),
                mutations: mutations(),
                unsettled: Some(unsettled()),
            },
        ),
        ("log-effects", Decision::Effects { mutations: mutations() }),
        ("log-ceiling", Decision::Ceiling(Timestamp(11))),
        ("log-voters", Decision::Voters(vec![member()])),
        ("log-intent", Decision::Intent(intent())),
        ("log-resolve", Decision::Resolve { txn: txn(), committed: true }),
        ("log-settled", Decision::Settled(vec![txn()])),
    ] {
        wire.add(what, log_record(decision));
    }
    wire.add("log-entry-record", LogEntry::Record(log_record(Decision::Epoch)));
    let vote = Vote { partition: 5, epoch: 2, candidate: member() };
    wire.add("log-entry-vote", LogEntry::Vote(vote));
}

fn txn() -> TxnId {
    TxnId { job: JobId([1; 16]), epoch: 3, number: 12 }
}

fn intent() -> Intent {
    Intent { txn: txn(), at: Timestamp(7), mutations: mutations() }
}

fn unsettled() -> Unsettled {
    Unsettled { txn: txn(), at: Timestamp(7), partitions: vec![5, 6] }
}

fn log_record(decision: Decision) -> LogRecord {
    LogRecord { partition: 5, epoch: 2, index: 17, version: Timestamp(7), decision }
}

fn member() -> Member {
    Member { node: node("n1"), disk: DiskId([5; 16]) }
}

fn sender() -> Sender {
    Sender { member: member(), boot: 42, beat: 300 }
}

fn run() -> Run {
    let record = log_record(Decision::Epoch);
    Run {
        partition: 5,
        epoch: 2,
        before: Position { epoch: 1, index: 16 },
        hash: u64::MAX,
        commit: 15,
        closed: Timestamp(6),
        records: vec![codec::Raw(codec::encode(&record).into())],
    }
}

fn gossip(wire: &mut Wire) {
    wire.add("push", Push { from: sender(), runs: vec![run()] });
    wire.add("run-empty", Run { records: vec![], ..run() });
    for (what, part) in [
        ("digest-primary", Part::Primary),
        ("digest-voter", Part::Voter),
        ("digest-learner", Part::Learner),
        ("digest-copying", Part::Copying),
        ("digest-halted", Part::Halted),
    ] {
        let last = Position { epoch: 2, index: 17 };
        let (commit, closed, hash) = (15, Timestamp(6), u64::MAX);
        let standing = Standing { partition: 5, epoch: 2, part, last, commit, closed, hash };
        wire.add(what, Digest { from: sender(), replicas: vec![standing] });
    }
}

fn letters(wire: &mut Wire) {
    let (partition, epoch) = (5, 2);
    let last = Position { epoch: 2, index: 17 };
    let candidacy = |round| Candidacy { partition, epoch: 3, last, round };
    let acked = Acked { partition, epoch, index: 17 };
    for (what, line) in [
        ("letter-ack", Line::Ack { boot: 42, beat: 300, replicas: vec![acked] }),
        ("letter-ask-canvass", Line::Ask(candidacy(Round::Canvass))),
        ("letter-ask-vote", Line::Ask(candidacy(Round::Vote))),
        ("letter-ask-succession", Line::Ask(candidacy(Round::Succession))),
        ("letter-answer", Line::Answer { to: candidacy(Round::Vote), epoch: 3, granted: true }),
        ("letter-yield", Line::Yield { partition, epoch, last }),
        ("letter-fetch", Line::Fetch { partition, epoch, after: 16 }),
        ("letter-fetched", Line::Fetched(run())),
        ("letter-gone", Line::Gone { partition, epoch, base: Position { epoch: 1, index: 9 } }),
        ("letter-copy-begin", Line::Copy { partition, epoch, from: None, known: None }),
        (
            "letter-copy-known",
            Line::Copy {
                partition,
                epoch,
                from: None,
                known: Some(Position { epoch: 3, index: 9 }),
            },
        ),
        ("letter-copy", Line::Copy { partition, epoch, from: Some(Blob::from("dk")), known: None }),
        ("letter-piece", Line::Piece(piece())),
        ("letter-prepare", Line::Prepare(prepare())),
        (
            "letter-resolve",
            Line::Resolve(Resolve { txn: txn(), partition, at: Some(Timestamp(7)) }),
        ),
        ("letter-resolve-aborted", Line::Resolve(Resolve { txn: txn(), partition, at: None })),
        ("letter-resolved", Line::Resolved(TxnPart { txn: txn(), partition })),
        ("letter-turn", Line::Turn(Turn { txn: txn(), partition, version: Timestamp(7) })),
        ("letter-inquire", Line::Inquire(TxnPart { txn: txn(), partition })),
    ] {
        wire.add(what, Letter { from: sender(), lines: vec![line] });
    }
    for (what, readiness) in [
        ("letter-prepared-ready", Readiness::Ready),
        ("letter-prepared-later", Readiness::Later(Timestamp(9))),
        (
            "letter-prepared-conflict",
            Readiness::Conflict { key: key("k"), version: Timestamp(7), queued: true },
        ),
        ("letter-prepared-too-old", Readiness::TooOld { horizon: Timestamp(5) }),
        ("letter-prepared-impossible", Readiness::Impossible(fault())),
        ("letter-prepared-refused", Readiness::Refused(fault())),
        ("letter-prepared-not-primary", Readiness::NotPrimary { primary: Some(node("n2")) }),
    ] {
        let prepared = Prepared { txn: txn(), partition, at: Timestamp(7), readiness };
        wire.add(what, Letter { from: sender(), lines: vec![Line::Prepared(prepared)] });
    }
}

fn prepare() -> Prepare {
    Prepare {
        txn: txn(),
        partition: 5,
        at: Timestamp(7),
        snapshot: Timestamp(6),
        serializable: true,
        effects: effects(),
    }
}

fn piece() -> Piece {
    let done = Written::Done { version: Timestamp(7), value: None };
    Piece {
        partition: 5,
        epoch: 2,
        from: Some(Blob::from("dk")),
        next: None,
        mark: mark(),
        items: vec![
            Item::Row(key("k"), Timestamp(7), Blob::from("v")),
            Item::Request(RequestId([4; 16]), Timestamp(7), done),
            Item::Outcome(outcome(End::Cancelled)),
            Item::Intent(intent()),
            Item::Unsettled(unsettled()),
        ],
        horizon: Timestamp(3),
        commit: 4,
    }
}

fn mark() -> Mark {
    Mark {
        applied: Position { epoch: 2, index: 17 },
        ceiling: Timestamp(11),
        newest: Timestamp(7),
        hash: u64::MAX,
        voters: Some(vec![member()]),
        copying: false,
        floor: Position { epoch: 1, index: 9 },
        halted: None,
        ahead: None,
    }
}

fn marks(wire: &mut Wire) {
    wire.add("mark-none", Mark::default());
    wire.add("mark", mark());
    wire.add("mark-copying", Mark { copying: true, ..Mark::default() });
    wire.add("mark-ahead", Mark { ahead: Some(7), ..Mark::default() });
    wire.add("mark-halted", Mark { halted: Some("differs".to_owned()), ..Mark::default() });
}

fn faults(wire: &mut Wire) {
    for code in Code::ALL {
        wire.add(&format!("code-{code:?}"), code);
    }
    assert_eq!(codec::decode::<Code>(&codec::encode(&599_u16)).unwrap(), Code::Internal);
}

/// What stands in one NATS message: `9f`, the items, `ff`.
fn batches(wire: &mut Wire) {
    let read = |id| Request { id, partition: 5, ask: Ask::Outcome(JobId([1; 16])) };
    wire.add_batch::<Request>("batch-none", &[]);
    wire.add_batch("batch-one", &[read(9)]);
    wire.add_batch("batch-three", &[read(9), read(10), read(300)]);
}

#[test]
fn messages_have_the_bytes_that_were_agreed() {
    let mut wire = Wire::default();
    jobs(&mut wire);
    heartbeats(&mut wire);
    founding(&mut wire);
    requests(&mut wire);
    responses(&mut wire);
    log_records(&mut wire);
    gossip(&mut wire);
    letters(&mut wire);
    marks(&mut wire);
    faults(&mut wire);
    batches(&mut wire);
    let golden = include_str!("wire.golden");
    if wire.0 != golden {
        // Written for whoever changes the protocol on purpose; see the difference with git.
        std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/wire.golden"), &wire.0).unwrap();
    }
    for (now, agreed) in wire.0.lines().zip(golden.lines()) {
        assert_eq!(now, agreed);
    }
    assert_eq!(wire.0, golden, "see wire.golden in the target folder's tmp");
}
