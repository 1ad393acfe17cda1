//! The two states side by side: whatever is done to both, they say the same.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where this fails")]

use catena_protocol::message::commit::{End, Outcome};
use catena_protocol::message::gossip::Item;
use catena_protocol::message::prepare::{Intent, TxnId, Unsettled};
use catena_protocol::message::replicate::Position;
use catena_protocol::message::write::{Change, Mutation, Written};
use catena_protocol::{AttemptId, Blob, JobId, Key, Name, RequestId, Timestamp};
use catena_storage::state::{
    Changes, Content, FjallState, Forget, KeyRange, Mark, MemoryState, State, StateWriter, Stored,
    TxnChange, Update,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

const KEYS: [&str; 8] = ["a", "a!", "ab", "abc", "b", "ä", "{t}:1", "\u{10ffff}"];

fn key(at: usize) -> Key {
    Key::new(KEYS[at]).unwrap()
}

#[derive(Clone, Debug)]
enum Op {
    Put(u16, usize, u64, Content),
    Request(u16, u8, u64),
    Outcome(u16, u8, u64),
    Intent(u16, u8, u64),
    Unsettled(u16, u8, u64),
    EndTxns(u16, u8),
    Mark(u16, u64),
    Forget(u64, u64, u64),
    Clear(u16),
    Copy(u16, u16, usize),
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let content = prop_oneof![
        3 => vec(any::<u8>(), 0..20).prop_map(|bytes| Content::Value(bytes.into())),
        1 => Just(Content::Deleted),
        1 => (any::<i64>(), any::<i64>()).prop_map(|(delta, sum)| Content::Added { delta, sum }),
    ];
    let partition = prop_oneof![Just(0_u16), Just(1), Just(255), Just(256), Just(u16::MAX)];
    prop_oneof![
        10 => (partition.clone(), 0..KEYS.len(), 1..50_u64, content)
            .prop_map(|(p, k, v, c)| Op::Put(p, k, v, c)),
        2 => (partition.clone(), any::<u8>(), 1..50_u64).prop_map(|(p, r, t)| Op::Request(p, r, t)),
        2 => (partition.clone(), any::<u8>(), 1..50_u64).prop_map(|(p, j, t)| Op::Outcome(p, j, t)),
        2 => (partition.clone(), 0..9_u8, 1..50_u64).prop_map(|(p, t, a)| Op::Intent(p, t, a)),
        2 => (partition.clone(), 0..9_u8, 1..50_u64).prop_map(|(p, t, a)| Op::Unsettled(p, t, a)),
        2 => (partition.clone(), 0..9_u8).prop_map(|(p, t)| Op::EndTxns(p, t)),
        1 => (partition.clone(), any::<u64>()).prop_map(|(p, i)| Op::Mark(p, i)),
        2 => (1..50_u64, 1..50_u64, 1..50_u64).prop_map(|(v, r, o)| Op::Forget(v, r, o)),
        1 => partition.clone().prop_map(Op::Clear),
        1 => (partition.clone(), partition, 0..500_usize).prop_map(|(p, q, b)| Op::Copy(p, q, b)),
        1 => Just(Op::Reopen),
    ]
}

fn updated(changes: &mut Changes, partition: u16, update: Update) {
    changes.updates.push((partition, Arc::new(update)));
}

fn outcome(id: u8, expires: Timestamp) -> Outcome {
    Outcome {
        job: JobId([id; 16]),
        attempt: AttemptId([9; 16]),
        chain: Name::new("c").unwrap(),
        version: expires,
        end: End::Cancelled,
        expires,
    }
}

/// The change that an operation means, by what the plain state says.
fn changes(op: &Op, state: &MemoryState) -> Changes {
    let mut changes = Changes::default();
    match op {
        // Nothing comes about at a time that may have been forgotten.
        Op::Put(partition, at, version, content) => {
            let version = Timestamp(state.horizon().unwrap().0 + version);
            let rows = vec![(key(*at), content.clone())];
            updated(&mut changes, *partition, Update { version, rows, ..Update::default() });
        }
        Op::Request(partition, id, time) => {
            let version = Timestamp(*time);
            let request = Some((RequestId([*id; 16]), Written::Done { version, value: None }));
            updated(&mut changes, *partition, Update { version, request, ..Update::default() });
        }
        Op::Outcome(partition, id, expires) => {
            let outcome = Some(Box::new(outcome(*id, Timestamp(*expires))));
            updated(&mut changes, *partition, Update { outcome, ..Update::default() });
        }
        Op::Intent(partition, id, at) => {
            let mutation = Mutation { key: key(0), change: Change::Add(i64::from(*id)) };
            let (txn, at) = (txn(*id), Timestamp(*at));
            let intent = Intent { txn, at, mutations: vec![mutation] };
            changes.txns.push((*partition, TxnChange::Intent(intent)));
        }
        Op::Unsettled(partition, id, at) => {
            let (txn, at) = (txn(*id), Timestamp(*at));
            let unsettled = Unsettled { txn, at, partitions: vec![3, u16::from(*id)] };
            changes.txns.push((*partition, TxnChange::Unsettled(unsettled)));
        }
        Op::EndTxns(partition, id) => {
            changes.txns.push((*partition, TxnChange::Resolved(txn(*id))));
            changes.txns.push((*partition, TxnChange::Settled(txn(*id))));
        }
        Op::Mark(partition, index) => {
            let applied = Position { epoch: 3, index: *index };
            let mark = Mark { applied, ..Mark::default() };
            changes.marks.push((*partition, mark));
        }
        Op::Forget(versions, requests, outcomes) => {
            changes.forget = Some(Forget {
                versions: Timestamp(*versions),
                requests: Timestamp(*requests),
                outcomes: Timestamp(*outcomes),
            });
        }
        Op::Clear(partition) => {
            changes.clear = Some(*partition);
            changes.marks.push((*partition, Mark::default()));
        }
        Op::Copy(from, to, bytes) => {
            changes.clear = Some(*to);
            changes.take(*to, export(state, *from, *bytes));
            changes.marks.push((*to, Mark { copying: true, ..Mark::default() }));
        }
        Op::Reopen => {}
    }
    changes
}

fn txn(id: u8) -> TxnId {
    TxnId { job: JobId([id; 16]), epoch: u64::from(id), number: 1 }
}

/// All that a partition holds, in pieces of so many bytes.
fn export(state: &impl State, partition: u16, bytes: usize) -> Vec<Item> {
    all_pieces(|from| state.export(partition, from, bytes).unwrap())
}

fn all_pieces(mut piece: impl FnMut(Option<&[u8]>) -> (Vec<Item>, Option<Blob>)) -> Vec<Item> {
    let mut items = Vec::new();
    let mut from = None;
    loop {
        let (more, next) = piece(from.as_ref().map(Blob::as_ref));
        assert!(!more.is_empty() || next.is_none(), "a piece brings something");
        items.extend(more);
        let Some(next) = next else { return items };
        assert_ne!(from.as_ref(), Some(&next), "it goes on");
        from = Some(next);
    }
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

const PARTITIONS: [u16; 5] = [0, 1, 255, 256, u16::MAX];

fn compare(plain: &impl State, real: &impl State) {
    assert_eq!(plain.horizon().unwrap(), real.horizon().unwrap());
    for partition in PARTITIONS {
        assert_eq!(export(plain, partition, 100), export(real, partition, 70));
        assert_eq!(plain.mark(partition).unwrap(), real.mark(partition).unwrap());
        assert_eq!(plain.open_txns(partition).unwrap(), real.open_txns(partition).unwrap());
        for at in [0, 1, 10, 25, 49, u64::MAX] {
            for key in (0..KEYS.len()).map(key) {
                assert_eq!(
                    plain.newest(partition, &key, Timestamp(at)).unwrap(),
                    real.newest(partition, &key, Timestamp(at)).unwrap(),
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
        cases: 12, failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn both_states_say_the_same(ops in vec(op(), 1..120)) {
        let folder = tempfile::tempdir().unwrap();
        let mut plain = MemoryState::default();
        let mut real = FjallState::open(folder.path()).unwrap();
        let mut last = Forget::default();
        for op in ops {
            let changes = changes(&op, &plain);
            let more = changes.forget.unwrap_or_default();
            last = Forget {
                versions: last.versions.max(more.versions),
                requests: last.requests.max(more.requests),
                outcomes: last.outcomes.max(more.outcomes),
            };
            plain.apply(std::slice::from_ref(&changes)).unwrap();
            real.apply(&[changes]).unwrap();
            if matches!(op, Op::Reopen) {
                drop(real);
                real = FjallState::open(folder.path()).unwrap();
                level(&mut plain, &mut real, last);
                compare(&plain, &real);
            }
        }
        level(&mut plain, &mut real, last);
        compare(&plain, &real);
    }
}

/// Both forget all that they may: when merges come is not known otherwise.
fn level(plain: &mut MemoryState, real: &mut FjallState, last: Forget) {
    let changes = Changes { forget: Some(last), ..Changes::default() };
    plain.apply(std::slice::from_ref(&changes)).unwrap();
    real.apply(&[changes]).unwrap();
    forget(real);
}

/// Everything goes that may go: merges find what is gone, the next change takes it away.
fn forget(state: &mut FjallState) {
    state.compact().unwrap();
    state.apply(&[Changes::default()]).unwrap();
}

/// Many changes with and without merges in between: whatever merges see, and in whatever order,
/// what can be read is the same.
#[test]
fn merges_change_nothing_that_can_be_read() {
    let (_folder, mut new) = on_disk();
    let (mut plain, mut real) = (MemoryState::default(), new());
    for round in 0..40_u64 {
        let put = |n: u64| {
            let content = match n % 3 {
                0 => Content::Deleted,
                _ => Content::Value(n.to_string().into()),
            };
            // Counted from the horizon.
            let version = round * 20 + n - plain.horizon().unwrap().0;
            Op::Put(1, (n % 8) as usize, version, content)
        };
        let mut all: Vec<Op> = (0..20).map(put).collect();
        all.push(Op::Forget((round * 20).saturating_sub(35), 0, 0));
        for op in all {
            let changes = changes(&op, &plain);
            plain.apply(std::slice::from_ref(&changes)).unwrap();
            real.apply(&[changes]).unwrap();
        }
        if round % 7 == 0 {
            forget(&mut real);
        }
        let horizon = plain.horizon().unwrap().0;
        for at in [horizon, horizon + 10, u64::MAX] {
            assert_eq!(visible(&plain, at), visible(&real, at), "round {round} at {at}");
        }
    }
    forget(&mut real);
    compare(&plain, &real);
}

/// The values of all keys.
fn visible(state: &impl State, at: u64) -> Vec<Option<Blob>> {
    let newest = |at_key| state.newest(1, &key(at_key), Timestamp(at)).unwrap();
    (0..KEYS.len()).map(|at_key| newest(at_key).and_then(|stored| stored.content.value())).collect()
}

/// A process died before it could say how far it had got: the same comes again.
#[test]
fn what_comes_twice_is_there_once() {
    let (_folder, mut new) = on_disk();
    let (mut once, mut twice) = (new(), new());
    once.apply(&filled()).unwrap();
    let contents = filled().into_iter().map(|changes| Changes { marks: vec![], ..changes });
    twice.apply(&contents.collect::<Vec<_>>()).unwrap();
    twice.apply(&filled()).unwrap();
    compare(&once, &twice);
    forget(&mut twice);
    compare(&once, &twice);
}

/// A transaction may begin, end and begin again within one batch.
#[test]
fn of_what_a_batch_says_of_a_transaction_the_last_counts() {
    let (_folder, mut new) = on_disk();
    let (mut plain, mut real) = (MemoryState::default(), new());
    let intent = |id| Op::Intent(1, id, 7);
    let of = |ops: &[Op]| ops.iter().map(|op| changes(op, &MemoryState::default())).collect();
    let batches: [Vec<Changes>; 3] = [
        of(&[intent(1), intent(2), Op::Unsettled(1, 1, 7)]),
        of(&[intent(3), Op::EndTxns(1, 3), Op::EndTxns(1, 1)]),
        of(&[Op::EndTxns(1, 2), intent(2), intent(4), Op::EndTxns(1, 4), intent(4)]),
    ];
    for (batch, left) in batches.iter().zip([3, 1, 2]) {
        plain.apply(batch).unwrap();
        real.apply(batch).unwrap();
        compare(&plain, &real);
        assert_eq!(real.open_txns(1).unwrap().len(), left);
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

/// Something of every kind in every partition.
fn filled() -> Vec<Changes> {
    let nothing = MemoryState::default();
    let mut all = Vec::new();
    for partition in PARTITIONS {
        for number in 0..40_u8 {
            let (at, time) = (usize::from(number) % KEYS.len(), u64::from(number) + 1);
            let content = Content::Value(vec![number; usize::from(number)].into());
            for op in [
                Op::Put(partition, at, time, content),
                Op::Request(partition, number, time),
                Op::Outcome(partition, number, time),
                Op::Intent(partition, number, time),
                Op::Unsettled(partition, number, time),
                Op::Mark(partition, time),
            ] {
                all.push(changes(&op, &nothing));
            }
        }
    }
    all
}

/// States on disk, each empty, and where they are.
fn on_disk() -> (tempfile::TempDir, impl FnMut() -> FjallState) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let mut next = 0;
    let new = move || {
        next += 1;
        FjallState::open(&path.join(next.to_string())).unwrap()
    };
    (folder, new)
}

/// A piece is at least one thing, and at most all.
const PIECES: [usize; 6] = [0, 40, 100, 999, 5_000, usize::MAX];

fn a_copy_in_pieces_is_the_same<S: State + StateWriter>(mut new: impl FnMut() -> S) {
    let mut from = new();
    from.apply(&filled()).unwrap();
    for bytes in PIECES {
        let mut to = new();
        to.apply(&filled()[..40]).unwrap();
        for partition in PARTITIONS {
            let mut copy = Changes { clear: Some(partition), ..Changes::default() };
            copy.marks.push((partition, from.mark(partition).unwrap()));
            copy.take(partition, export(&from, partition, bytes));
            to.apply(&[copy]).unwrap();
        }
        compare(&from, &to);
    }
}

#[test]
fn pieces_of_any_size_make_the_same_state_again() {
    a_copy_in_pieces_is_the_same(MemoryState::default);
    let (_folder, new) = on_disk();
    a_copy_in_pieces_is_the_same(new);
}

/// What a row, an answer or an outcome is known by.
fn name(item: &Item) -> String {
    match item {
        Item::Row(key, version, _) => format!("row {key} {version}"),
        Item::Request(request, ..) => format!("request {request}"),
        Item::Outcome(outcome) => format!("outcome {}", outcome.job),
        Item::Intent(intent) => format!("intent {:?}", intent.txn),
        Item::Unsettled(unsettled) => format!("unsettled {:?}", unsettled.txn),
    }
}

fn nothing_is_missed_or_doubled<S: State + StateWriter>(mut state: S, bytes: usize) {
    state.apply(&filled()).unwrap();
    let before: BTreeSet<String> = export(&state, 1, usize::MAX).iter().map(name).collect();
    let added = (0..400_u64).map(|number| {
        // In no order, so that some come before what was handed out and some behind it.
        let (at, id) = ((number * 5 % 8) as usize, (number * 37 % 256) as u8);
        let content = Content::Value("new".into());
        match number % 3 {
            0 => Op::Put(1, at, 50 + number * 7 % 400, content),
            1 => Op::Request(1, id, number),
            _ => Op::Outcome(1, id, number),
        }
    });
    let mut added = added.map(|op| changes(&op, &MemoryState::default()));
    let items = all_pieces(|from| {
        let piece = state.export(1, from, bytes).unwrap();
        let more: Vec<Changes> = added.by_ref().take(3).collect();
        state.apply(&more).unwrap();
        piece
    });
    let found: Vec<String> = items.iter().map(name).collect();
    let once: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(once.len(), found.len(), "each once");
    assert!(once.is_superset(&before), "missed: {:?}", before.difference(&once));
}

#[test]
fn what_is_added_during_an_export_does_not_hide_the_rest() {
    let (_folder, mut new) = on_disk();
    for bytes in PIECES {
        nothing_is_missed_or_doubled(MemoryState::default(), bytes);
        nothing_is_missed_or_doubled(new(), bytes);
    }
}

fn the_others_stay<S: State + StateWriter>(mut new: impl FnMut() -> S) {
    for cleared in PARTITIONS {
        let (mut state, mut others) = (new(), new());
        state.apply(&filled()).unwrap();
        others.apply(&without(cleared)).unwrap();
        let clear = Changes { clear: Some(cleared), ..Changes::default() };
        let mark = (cleared, Mark::default());
        state.apply(&[Changes { marks: vec![mark], ..clear }]).unwrap();
        assert_eq!(export(&state, cleared, 100), []);
        compare(&others, &state);
    }
}

/// Everything except what is in one partition.
fn without(partition: u16) -> Vec<Changes> {
    let mut all = filled();
    for changes in &mut all {
        changes.updates.retain(|(of, _)| *of != partition);
        changes.txns.retain(|(of, _)| *of != partition);
        changes.marks.retain(|(of, _)| *of != partition);
    }
    all
}

#[test]
fn one_partition_is_cleared_and_the_others_stay() {
    the_others_stay(MemoryState::default);
    let (_folder, new) = on_disk();
    the_others_stay(new);
}

/// How often a partition is cleared until somebody has seen it half cleared.
const ROUNDS: usize = 200;

/// A partition is cleared in several steps, so a crash may come in between. From the first to the
/// last the state says of itself that it must not be used.
#[test]
fn a_partition_that_is_half_cleared_says_so() {
    let (_folder, mut new) = on_disk();
    let mut state = new();
    let seen = (0..ROUNDS).any(|_| is_seen_half_cleared(&mut state));
    assert!(seen, "nobody looked in between");
}

fn is_seen_half_cleared(state: &mut FjallState) -> bool {
    let nothing = MemoryState::default();
    let full = [
        changes(&Op::Put(1, 0, 1, Content::Deleted), &nothing),
        changes(&Op::Mark(1, 1), &nothing),
    ];
    state.apply(&full).unwrap();
    let reader = state.clone();
    let watch = std::thread::spawn(move || {
        let mut seen = false;
        loop {
            let is_gone = reader.newest(1, &key(0), Timestamp::MAX).unwrap().is_none();
            let mark = reader.mark(1).unwrap();
            if mark.applied.index == 2 && !mark.copying {
                return seen;
            }
            assert!(!is_gone || mark.copying, "something of it is gone and it does not say so");
            seen |= is_gone;
        }
    });
    let emptied = Changes { clear: Some(1), ..changes(&Op::Mark(1, 2), &nothing) };
    state.apply(&[emptied]).unwrap();
    assert_eq!(export(state, 1, usize::MAX), [], "all of it is gone");
    watch.join().unwrap()
}

/// The copy ends with its last piece, not before; what came so far does not count.
#[test]
fn a_copy_that_was_not_finished_says_so_when_it_is_opened_again() {
    let (folder, mut new) = on_disk();
    let mut state = new();
    state.apply(&filled()).unwrap();
    let begun = Mark { copying: true, ..Mark::default() };
    let clear = Changes { clear: Some(1), marks: vec![(1, begun)], ..Changes::default() };
    state.apply(&[clear]).unwrap();
    drop(state);
    let state = FjallState::open(&folder.path().join("1")).unwrap();
    assert!(state.mark(1).unwrap().copying);
    assert!(!state.mark(0).unwrap().copying);
}

/// A log that is replayed brings records again that were deleted so long ago that this is forgotten.
#[test]
fn what_comes_again_of_a_record_that_is_gone_stays_gone() {
    let (_folder, mut new) = on_disk();
    let mut real = new();
    let row = |version, content| {
        let rows = vec![(key(0), content)];
        (1, Arc::new(Update { version: Timestamp(version), rows, ..Update::default() }))
    };
    let updates = vec![row(1, Content::Value("x".into())), row(2, Content::Deleted)];
    let replayed = Changes { updates, ..Changes::default() };
    real.apply(std::slice::from_ref(&replayed)).unwrap();
    let versions = Timestamp(10);
    let forget = Some(Forget { versions, ..Forget::default() });
    real.apply(&[Changes { forget, ..Changes::default() }]).unwrap();
    // The merge finds that it is gone, and takes the first version away.
    real.compact().unwrap();
    real.apply(&[replayed]).unwrap();
    assert_eq!(real.newest(1, &key(0), Timestamp::MAX).unwrap(), None);
    // Later versions are others.
    let updates = vec![row(11, Content::Value("y".into()))];
    real.apply(&[Changes { updates, ..Changes::default() }]).unwrap();
    real.compact().unwrap();
    real.apply(&[Changes::default()]).unwrap();
    let newest = real.newest(1, &key(0), Timestamp::MAX).unwrap();
    assert_eq!(newest.map(|stored| stored.version), Some(Timestamp(11)));
}
