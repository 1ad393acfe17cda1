//! The bytes of the state, as `storage/FORMAT.md` describes them: what is written, looked at past
//! this program's own reader, and a state that was written once.
#![cfg(feature = "service")]
#![allow(clippy::unwrap_used, reason = "a test")]

use catena_protocol::message::commit::{End, Outcome};
use catena_protocol::message::gossip::Item;
use catena_protocol::message::prepare::{Intent, TxnId, Unsettled};
use catena_protocol::message::replicate::Position;
use catena_protocol::message::write::{Change, Mutation, Written};
use catena_protocol::placement::Member;
use catena_protocol::{AttemptId, Blob, DiskId, JobId, Key, Name, NodeId, RequestId, Timestamp};
use catena_storage::state::{
    Changes, Content, FjallState, Forget, Mark, OpenTxn, State, StateWriter, Stored, TxnChange,
    Update,
};
use fjall::{Database, KeyspaceCreateOptions};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Each byte of it is another one, so that none can change places.
const PARTITION: u16 = 0x0105;
const VERSION: Timestamp = Timestamp(0x0102_0304_0506_0708);
const HORIZON: Timestamp = Timestamp(0x0001_0203_0405_0607);
const EXPIRES: Timestamp = Timestamp(0x1112_1314_1516_1718);
const JOB: JobId = JobId([0x11; 16]);
const REQUEST: RequestId = RequestId([0x33; 16]);
/// The engine's journal, and the room that it makes in it ahead of need: zeros, which are not kept
/// here.
const JOURNAL: &str = "0.jnl";
const ROOM: u64 = 64 * 1024 * 1024;

/// Keyspace, key and value of every row that `written` makes.
const ROWS: [(&str, &str, &str); 10] = [
    // Partition, key, 00, inverted version: 01 and the value, 00 deleted, 02 with delta and sum.
    ("data", "0105 61 00 fefdfcfbfaf9f8f6", "01 76616c7565"),
    ("data", "0105 61 00 fefdfcfbfaf9f8f7", "00"),
    ("data", "0105 c3a4 00 fefdfcfbfaf9f8f7", "02 feffffffffffffff 0807060504030201"),
    // Partition, request: the version at which it was answered, the answer.
    (
        "requests",
        "0105 33333333333333333333333333333333",
        "0102030405060708 8200 82 1b0102030405060708 22",
    ),
    // Partition, job: when it expires, the outcome.
    (
        "outcomes",
        "0105 11111111111111111111111111111111",
        "1112131415161718 86 50 11111111111111111111111111111111 \
         50 22222222222222222222222222222222 64 73686f70 1b0102030405060708 820280 \
         1b1112131415161718",
    ),
    // Partition, kind, job, epoch, number: an item.
    (
        "txns",
        "0105 69 11111111111111111111111111111111 0000000000000003 000000000000000c",
        "8203 81 83 83 50 11111111111111111111111111111111 03 0c 1b0102030405060708 \
         81 82 61 63 8202 81 21",
    ),
    (
        "txns",
        "0105 75 11111111111111111111111111111111 0000000000000003 000000000000000d",
        "8204 81 83 83 50 11111111111111111111111111111111 03 0d 1b0102030405060708 82 05 06",
    ),
    ("meta", "686f72697a6f6e", "0001020304050607"),
    (
        "meta",
        "70 0105",
        "87 82 02 11 1b0102030405060708 0b 1bffffffffffffffff \
         81 82 62 6e31 50 05050505050505050505050505050505 f4 82 01 09",
    ),
    // Of a partition with nothing in it.
    ("meta", "70 0106", "87 82 00 00 00 00 00 f6 f5 82 00 00"),
];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn expected() -> BTreeSet<(String, Vec<u8>, Vec<u8>)> {
    ROWS.iter().map(|(space, key, value)| (space.to_string(), bytes(key), bytes(value))).collect()
}

/// What another program finds in a folder with a state.
fn found(folder: &Path) -> BTreeSet<(String, Vec<u8>, Vec<u8>)> {
    // The engine lets go of a folder a moment after who had it open.
    let database = loop {
        match Database::builder(folder).open() {
            Err(fjall::Error::Locked) => std::thread::yield_now(),
            opened => break opened.unwrap(),
        }
    };
    let mut found = BTreeSet::new();
    for name in database.list_keyspace_names() {
        let space = database.keyspace(&name, KeyspaceCreateOptions::default).unwrap();
        for guard in space.iter() {
            let (key, value) = guard.into_inner().unwrap();
            found.insert((name.to_string(), key.to_vec(), value.to_vec()));
        }
    }
    found
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn outcome() -> Outcome {
    Outcome {
        job: JOB,
        attempt: AttemptId([0x22; 16]),
        chain: Name::new("shop").unwrap(),
        version: VERSION,
        end: End::Cancelled,
        expires: EXPIRES,
    }
}

fn txn(number: u64) -> TxnId {
    TxnId { job: JOB, epoch: 3, number }
}

fn intent() -> Intent {
    let mutation = Mutation { key: key("c"), change: Change::Add(-2) };
    Intent { txn: txn(12), at: VERSION, mutations: vec![mutation] }
}

fn unsettled() -> Unsettled {
    Unsettled { txn: txn(13), at: VERSION, partitions: vec![5, 6] }
}

fn answer() -> Written {
    Written::Done { version: VERSION, value: Some(-3) }
}

fn mark() -> Mark {
    Mark {
        applied: Position { epoch: 2, index: 17 },
        ceiling: VERSION,
        newest: Timestamp(11),
        hash: u64::MAX,
        voters: Some(vec![Member { node: NodeId::new("n1").unwrap(), disk: DiskId([5; 16]) }]),
        copying: false,
        floor: Position { epoch: 1, index: 9 },
        halted: None,
        ahead: None,
    }
}

fn sum() -> Content {
    Content::Added { delta: -2, sum: 0x0102_0304_0506_0708 }
}

fn later() -> Timestamp {
    Timestamp(VERSION.0 + 1)
}

/// Something in every row of the format.
fn written() -> Changes {
    let value = Content::Value("value".into());
    let updates = [
        Update {
            version: VERSION,
            rows: vec![(key("a"), Content::Deleted), (key("ä"), sum())],
            request: Some((REQUEST, answer())),
            outcome: Some(Box::new(outcome())),
        },
        Update { version: later(), rows: vec![(key("a"), value)], ..Update::default() },
    ];
    Changes {
        updates: updates.map(|update| (PARTITION, Arc::new(update))).into(),
        txns: vec![
            (PARTITION, TxnChange::Intent(intent())),
            (PARTITION, TxnChange::Unsettled(unsettled())),
        ],
        marks: vec![(PARTITION, mark()), (PARTITION + 1, copying())],
        forget: Some(Forget { versions: HORIZON, ..Forget::default() }),
        ..Changes::default()
    }
}

fn copying() -> Mark {
    Mark { copying: true, ..Mark::default() }
}

fn write(folder: &Path) {
    FjallState::open(folder).unwrap().apply(&[written()]).unwrap();
}

#[test]
fn every_row_has_the_bytes_of_the_format() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let (found, expected) = (found(folder.path()), expected());
    for row in &expected {
        assert!(found.contains(row), "{row:02x?} is not in {found:02x?}");
    }
    assert_eq!(found, expected, "and nothing else");
}

/// A state that was ever written must be read by every later program: then the folder is never
/// changed, only others are added.
#[test]
fn a_state_that_was_written_once_is_read() {
    let golden = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/state"));
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        let _ = std::fs::remove_dir_all(golden);
        write(golden);
        without_zeros(&golden.join(JOURNAL));
    }
    let folder = tempfile::tempdir().unwrap();
    copy(golden, folder.path());
    File::options().write(true).open(folder.path().join(JOURNAL)).unwrap().set_len(ROOM).unwrap();
    let state = FjallState::open(folder.path()).unwrap();
    is_all_there(&state);
    drop(state);
    assert_eq!(found(folder.path()), expected());
}

fn is_all_there(state: &FjallState) {
    let newest = |name: &str, at| state.newest(PARTITION, &key(name), at).unwrap();
    let stored = |version, content| Some(Stored { version, content });
    assert_eq!(newest("a", later()), stored(later(), Content::Value("value".into())));
    assert_eq!(newest("a", VERSION), stored(VERSION, Content::Deleted));
    assert_eq!(newest("a", HORIZON), None);
    assert_eq!(newest("ä", later()), stored(VERSION, sum()));
    assert_eq!(state.written(PARTITION, &REQUEST).unwrap(), Some(answer()));
    assert_eq!(state.outcome(PARTITION, &JOB).unwrap(), Some(outcome()));
    let open = [OpenTxn::Intent(intent()), OpenTxn::Unsettled(unsettled())];
    assert_eq!(state.open_txns(PARTITION).unwrap(), open);
    assert_eq!(state.mark(PARTITION).unwrap(), mark());
    assert_eq!(state.mark(PARTITION + 1).unwrap(), copying());
    assert_eq!(state.horizon().unwrap(), HORIZON);
    let row =
        |name, version, bytes: &[u8]| Item::Row(key(name), version, Blob::from(bytes.to_vec()));
    let all = vec![
        Item::Intent(intent()),
        Item::Unsettled(unsettled()),
        row("a", later(), b"\x01value"),
        row("a", VERSION, b"\x00"),
        row("ä", VERSION, &bytes(ROWS[2].2)),
        Item::Request(REQUEST, VERSION, answer()),
        Item::Outcome(outcome()),
    ];
    assert_eq!(state.export(PARTITION, None, usize::MAX).unwrap(), (all, None));
}

fn without_zeros(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes.len() as u64, ROOM);
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    std::fs::write(path, &bytes[..end]).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}
