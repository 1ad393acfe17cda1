//! The two states side by side: whatever is done to both, they say the same.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where this fails")]

use catena_protocol::message::commit::{End, Outcome};
use catena_protocol::message::replicate::Position;
use catena_protocol::message::write::Written;
use catena_protocol::{AttemptId, JobId, Key, Name, RequestId, Timestamp};
use catena_storage::state::{
    Changes, Content, FjallState, Forget, KeyRange, Mark, MemoryState, Remembered, Row, State,
    StateWriter, Step, StepOf, Stored, Trail,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::ops::ControlFlow;

const KEYS: [&str; 8] = ["a", "a!", "ab", "abc", "b", "ä", "{t}:1", "\u{10ffff}"];

fn key(at: usize) -> Key {
    Key::new(KEYS[at]).unwrap()
}

#[derive(Clone, Debug)]
enum Op {
    Put(u16, usize, u64, Content),
    Request(u16, u8, u64),
    Outcome(u16, u8, u64),
    Mark(u16, u64),
    Prune(u16, usize, u64, usize),
    ForgetTrail(Trail, u16, u64),
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let content = prop_oneof![
        3 => vec(any::<u8>(), 0..20).prop_map(|bytes| Content::Value(bytes.into())),
        1 => Just(Content::Deleted),
        1 => (any::<i64>(), any::<i64>()).prop_map(|(delta, sum)| Content::Added { delta, sum }),
    ];
    let trail = prop_oneof![Just(Trail::Versions), Just(Trail::Requests), Just(Trail::Outcomes)];
    let partition = prop_oneof![Just(0_u16), Just(1), Just(255), Just(256), Just(u16::MAX)];
    prop_oneof![
        10 => (partition.clone(), 0..KEYS.len(), 1..50_u64, content)
            .prop_map(|(p, k, v, c)| Op::Put(p, k, v, c)),
        2 => (partition.clone(), any::<u8>(), 1..50_u64).prop_map(|(p, r, t)| Op::Request(p, r, t)),
        2 => (partition.clone(), any::<u8>(), 1..50_u64).prop_map(|(p, j, t)| Op::Outcome(p, j, t)),
        1 => (partition.clone(), any::<u64>()).prop_map(|(p, i)| Op::Mark(p, i)),
        3 => (partition.clone(), 0..KEYS.len(), 1..50_u64, 1..5_usize)
            .prop_map(|(p, k, h, l)| Op::Prune(p, k, h, l)),
        2 => (trail, partition, 1..50_u64).prop_map(|(t, p, u)| Op::ForgetTrail(t, p, u)),
        1 => Just(Op::Reopen),
    ]
}

/// The change that an operation means, by what the plain state says.
fn changes(op: &Op, state: &MemoryState) -> Changes {
    let mut changes = Changes::default();
    match op {
        Op::Put(partition, at, version, content) => changes.rows.push(Row {
            partition: *partition,
            key: key(*at),
            stored: Stored { version: Timestamp(*version), content: content.clone() },
        }),
        Op::Request(partition, id, time) => changes.requests.push(Remembered {
            partition: *partition,
            request: RequestId([*id; 16]),
            time: Timestamp(*time),
            written: Written::Done { version: Timestamp(*time), value: None },
        }),
        Op::Outcome(partition, id, expires) => changes.outcomes.push((
            *partition,
            Outcome {
                job: JobId([*id; 16]),
                attempt: AttemptId([9; 16]),
                chain: Name::new("c").unwrap(),
                version: Timestamp(*expires),
                end: End::Cancelled,
                expires: Timestamp(*expires),
            },
        )),
        Op::Mark(partition, index) => {
            let applied = Position { epoch: 3, index: *index };
            let mark = Mark { applied, ..Mark::default() };
            changes.marks.push((*partition, mark));
        }
        Op::Prune(partition, at, horizon, limit) => {
            let horizon = Timestamp(*horizon);
            let found = state.superseded(*partition, &key(*at), horizon, *limit).unwrap();
            let versions = found.versions.into_iter().rev();
            changes.forget.versions = versions.map(|v| (*partition, key(*at), v)).collect();
            changes.horizon = Some(horizon);
        }
        Op::ForgetTrail(trail, partition, until) => {
            let until = Timestamp(*until);
            let steps = state.trail(*trail, *partition, Timestamp::ZERO, until, 5).unwrap();
            changes.forget = forget(*trail, *partition, steps);
        }
        Op::Reopen => {}
    }
    changes
}

fn forget(trail: Trail, partition: u16, steps: Vec<Step>) -> Forget {
    let mut forget = Forget::default();
    for step in steps {
        match &step.of {
            StepOf::Request(id) => forget.requests.push((partition, *id)),
            StepOf::Job(id) => forget.outcomes.push((partition, *id)),
            StepOf::Key(_) => {}
        }
        forget.steps.push((trail, partition, step));
    }
    forget
}

fn scan(
    state: &impl State,
    partition: u16,
    prefix: &str,
    after: Option<&Key>,
    at: u64,
) -> Vec<(Key, Option<Stored>)> {
    let mut found = Vec::new();
    let range = KeyRange { prefix, after };
    state
        .scan(partition, range, Timestamp(at), &mut |key, stored| {
            found.push((key, stored));
            if found.len() == 6 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    found
}

fn compare(plain: &MemoryState, real: &FjallState) {
    assert_eq!(plain.horizon().unwrap(), real.horizon().unwrap());
    for partition in [0, 1, 255, 256, u16::MAX] {
        assert_eq!(plain.mark(partition).unwrap(), real.mark(partition).unwrap());
        for at in [0, 1, 10, 25, 49, u64::MAX] {
            for key in (0..KEYS.len()).map(key) {
                assert_eq!(
                    plain.newest(partition, &key, Timestamp(at)).unwrap(),
                    real.newest(partition, &key, Timestamp(at)).unwrap(),
                );
                assert_eq!(
                    plain.superseded(partition, &key, Timestamp(at), 3).unwrap(),
                    real.superseded(partition, &key, Timestamp(at), 3).unwrap(),
                );
                assert_eq!(
                    scan(plain, partition, "", Some(&key), at),
                    scan(real, partition, "", Some(&key), at),
                );
            }
            for prefix in ["", "a", "ab", "b", "zz", "\u{10ffff}"] {
                assert_eq!(
                    scan(plain, partition, prefix, None, at),
                    scan(real, partition, prefix, None, at),
                    "prefix {prefix} at {at}"
                );
            }
        }
        for trail in [Trail::Versions, Trail::Requests, Trail::Outcomes] {
            for (from, to) in [(0, u64::MAX), (5, 20), (20, 5)] {
                assert_eq!(
                    plain.trail(trail, partition, Timestamp(from), Timestamp(to), 7).unwrap(),
                    real.trail(trail, partition, Timestamp(from), Timestamp(to), 7).unwrap(),
                );
            }
        }
        for id in [0, 7, 255] {
            let (request, job) = (RequestId([id; 16]), JobId([id; 16]));
            assert_eq!(
                plain.written(partition, &request).unwrap(),
                real.written(partition, &request).unwrap()
            );
            assert_eq!(
                plain.outcome(partition, &job).unwrap(),
                real.outcome(partition, &job).unwrap()
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24, failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn both_states_say_the_same(ops in vec(op(), 1..120)) {
        let folder = tempfile::tempdir().unwrap();
        let mut plain = MemoryState::default();
        let mut real = FjallState::open(folder.path()).unwrap();
        for op in ops {
            let changes = changes(&op, &plain);
            plain.apply(std::slice::from_ref(&changes)).unwrap();
            real.apply(&[changes]).unwrap();
            if matches!(op, Op::Reopen) {
                real.persist().unwrap();
                drop(real);
                real = FjallState::open(folder.path()).unwrap();
                compare(&plain, &real);
            }
        }
        compare(&plain, &real);
    }
}

/// Many versions of one key, so that a scan has to search anew behind it.
#[test]
fn a_scan_passes_over_many_versions() {
    let folder = tempfile::tempdir().unwrap();
    let mut plain = MemoryState::default();
    let mut real = FjallState::open(folder.path()).unwrap();
    for at in 0..KEYS.len() {
        for version in 1..=(at as u64 * 7 + 1) {
            let content = Content::Value(version.to_string().into());
            let changes = changes(&Op::Put(0, at, version, content), &plain);
            plain.apply(std::slice::from_ref(&changes)).unwrap();
            real.apply(&[changes]).unwrap();
        }
    }
    compare(&plain, &real);
}
