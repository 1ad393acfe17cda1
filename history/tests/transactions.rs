//! Every anomaly is found in the smallest history that has it, and in nothing that is right.
#![allow(clippy::unwrap_used, reason = "a test")]

use catena_history::{Fate, Level, Phenomenon, Transaction, check_mixed, check_transactions};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn lists(some: &[(&str, &[u64])]) -> Vec<(String, Vec<u64>)> {
    some.iter().map(|(list, elements)| ((*list).to_owned(), elements.to_vec())).collect()
}

/// A committed transaction.
fn txn(id: u64, reads: &[(&str, &[u64])], appends: &[(&str, u64)]) -> Transaction {
    let appends = appends.iter().map(|(list, element)| ((*list).to_owned(), *element)).collect();
    Transaction { id, reads: lists(reads), appends, fate: Fate::Committed }
}

fn ended(transaction: Transaction, fate: Fate) -> Transaction {
    Transaction { fate, ..transaction }
}

fn seen(transactions: &[Transaction], level: Level) -> Option<Phenomenon> {
    check_transactions(transactions, level).err().map(|anomaly| anomaly.phenomenon)
}

fn both(transactions: &[Transaction]) -> Option<Phenomenon> {
    let seen_in = |level| seen(transactions, level);
    assert_eq!(seen_in(Level::Serializable), seen_in(Level::Snapshot));
    seen_in(Level::Serializable)
}

#[test]
fn one_after_the_other_is_right() {
    let history = [
        txn(1, &[("x", &[]), ("y", &[])], &[("x", 11)]),
        txn(2, &[("x", &[11])], &[("x", 12), ("y", 21)]),
        txn(3, &[("x", &[11, 12]), ("y", &[21])], &[]),
    ];
    assert_eq!(both(&history), None);
}

#[test]
fn lists_that_cannot_be() {
    let one = txn(1, &[], &[("x", 11)]);
    let two = txn(2, &[], &[("x", 12)]);
    let reads = |elements: &[u64]| txn(3, &[("x", elements)], &[]);
    assert_eq!(both(&[one.clone(), reads(&[99])]), Some(Phenomenon::Invented));
    assert_eq!(both(&[one.clone(), reads(&[11, 11])]), Some(Phenomenon::Doubled));
    assert_eq!(both(&[one.clone(), txn(3, &[("y", &[11])], &[])]), Some(Phenomenon::Doubled));
    let other = txn(4, &[("x", &[12, 11])], &[]);
    assert_eq!(both(&[one, two, reads(&[11, 12]), other]), Some(Phenomenon::Forked));
}

#[test]
fn g1a_what_was_aborted_is_read() {
    let aborted = ended(txn(1, &[], &[("x", 11)]), Fate::Aborted);
    let reads = txn(2, &[("x", &[11])], &[]);
    assert_eq!(both(&[aborted.clone(), reads.clone()]), Some(Phenomenon::G1a));
    assert_eq!(both(&[ended(aborted, Fate::Unknown), reads]), None);
}

#[test]
fn g1b_a_list_is_read_in_the_middle() {
    let appends = txn(1, &[], &[("x", 11), ("x", 12)]);
    let reads = |elements: &[u64]| txn(2, &[("x", elements)], &[]);
    assert_eq!(both(&[appends.clone(), reads(&[11])]), Some(Phenomenon::G1b));
    assert_eq!(both(&[appends, reads(&[11, 12])]), None);
}

#[test]
fn g0_writes_in_a_circle() {
    let history = [
        txn(1, &[], &[("x", 11), ("y", 21)]),
        txn(2, &[], &[("x", 12), ("y", 22)]),
        txn(3, &[("x", &[11, 12])], &[]),
        txn(4, &[("y", &[22, 21])], &[]),
    ];
    assert_eq!(both(&history), Some(Phenomenon::G0));
}

#[test]
fn g1c_each_reads_what_the_other_wrote() {
    let history = [txn(1, &[("y", &[21])], &[("x", 11)]), txn(2, &[("x", &[11])], &[("y", 21)])];
    assert_eq!(both(&history), Some(Phenomenon::G1c));
}

#[test]
fn g_single_a_lost_update_and_a_torn_read() {
    // Both read nothing and both append: one has overwritten what it did not see.
    let lost = [
        txn(1, &[("x", &[])], &[("x", 11)]),
        txn(2, &[("x", &[])], &[("x", 12)]),
        txn(3, &[("x", &[11, 12])], &[]),
    ];
    assert_eq!(both(&lost), Some(Phenomenon::GSingle));
    let torn = [
        txn(1, &[], &[("x", 11), ("y", 21)]),
        txn(2, &[("x", &[11]), ("y", &[])], &[]),
        txn(3, &[("y", &[21])], &[]),
    ];
    assert_eq!(both(&torn), Some(Phenomenon::GSingle));
}

#[test]
fn g2_write_skew_is_no_serial_order_but_a_snapshot() {
    let skew = [
        txn(1, &[("x", &[]), ("y", &[])], &[("x", 11)]),
        txn(2, &[("x", &[]), ("y", &[])], &[("y", 21)]),
        txn(3, &[("x", &[11]), ("y", &[21])], &[]),
    ];
    assert_eq!(seen(&skew, Level::Serializable), Some(Phenomenon::G2));
    assert_eq!(seen(&skew, Level::Snapshot), None);
}

#[test]
fn each_is_held_to_what_it_was_promised() {
    let skew = [
        txn(1, &[("x", &[]), ("y", &[])], &[("x", 11)]),
        txn(2, &[("x", &[]), ("y", &[])], &[("y", 21)]),
        txn(3, &[("x", &[11]), ("y", &[21])], &[]),
    ];
    let seen = |of_snapshot: &[u64]| {
        let level = |id| match of_snapshot.contains(&id) {
            true => Level::Snapshot,
            false => Level::Serializable,
        };
        check_mixed(&skew, level).err().map(|anomaly| anomaly.phenomenon)
    };
    assert_eq!(seen(&[]), Some(Phenomenon::G2));
    // Either may have been the second that writes, if it was promised no more than a snapshot.
    assert_eq!(seen(&[1]), None);
    assert_eq!(seen(&[2]), None);
    // Who only looks on has no part in it.
    assert_eq!(seen(&[3]), Some(Phenomenon::G2));
}

/// Two readers see two independent writers in opposite orders. Their names begin behind one.
fn long_fork(behind: u64) -> [Transaction; 4] {
    let id = |number| behind + number;
    let (x, y) = (id(1) * 10 + 1, id(2) * 10 + 1);
    [
        txn(id(1), &[], &[("x", x)]),
        txn(id(2), &[], &[("y", y)]),
        txn(id(3), &[("x", &[x]), ("y", &[])], &[]),
        txn(id(4), &[("x", &[]), ("y", &[y])], &[]),
    ]
}

/// The same history with every mix of promises to its transactions, of which those are named that
/// were promised a serial order.
fn mixes(transactions: &[Transaction]) -> Vec<(Vec<u64>, Option<Phenomenon>)> {
    let ids: Vec<u64> = transactions.iter().map(|one| one.id).collect();
    let mix = |bits: u32| {
        let serial = |at: usize| bits & (1 << at) != 0;
        let serial: Vec<u64> = (0..ids.len()).filter(|at| serial(*at)).map(|at| ids[at]).collect();
        let level = |id| match serial.contains(&id) {
            true => Level::Serializable,
            false => Level::Snapshot,
        };
        let seen = check_mixed(transactions, level).err().map(|anomaly| anomaly.phenomenon);
        (serial, seen)
    };
    (0..1 << ids.len()).map(mix).collect()
}

#[test]
fn a_long_fork_is_no_snapshot_either() {
    for (serial, seen) in mixes(&long_fork(0)) {
        assert_eq!(seen, Some(Phenomenon::G2), "{serial:?}");
    }
    let what = check_transactions(&long_fork(0), Level::Snapshot).map_err(|found| found.what);
    assert_eq!(what, Err("1 -Wr-> 3, 3 -Rw-> 2, 2 -Wr-> 4, 4 -Rw-> 1".to_owned()));
}

#[test]
fn a_longer_fork_is_no_snapshot_either() {
    // Each of three readers sees one writer and not the next.
    let fork = [
        txn(1, &[], &[("x", 11)]),
        txn(2, &[], &[("y", 21)]),
        txn(3, &[], &[("z", 31)]),
        txn(4, &[("x", &[11]), ("y", &[])], &[]),
        txn(5, &[("y", &[21]), ("z", &[])], &[]),
        txn(6, &[("z", &[31]), ("x", &[])], &[]),
    ];
    assert_eq!(both(&fork), Some(Phenomenon::G2));
}

#[test]
fn a_fork_is_found_beside_write_skew() {
    // 5 and 6 each read what the other writes; the readers of the fork know of 5.
    let history = [
        txn(1, &[], &[("x", 11)]),
        txn(2, &[], &[("y", 21)]),
        txn(3, &[("x", &[11]), ("y", &[]), ("u", &[51])], &[]),
        txn(4, &[("x", &[]), ("y", &[21]), ("u", &[51])], &[]),
        txn(5, &[("u", &[]), ("v", &[])], &[("u", 51)]),
        txn(6, &[("u", &[]), ("v", &[])], &[("v", 61)]),
        txn(7, &[("u", &[51]), ("v", &[61])], &[]),
    ];
    assert_eq!(both(&history), Some(Phenomenon::G2));
    let without_4: Vec<_> = history.into_iter().filter(|one| one.id != 4).collect();
    assert_eq!(seen(&without_4, Level::Snapshot), None);
}

#[test]
fn whose_snapshot_lies_between_two_rw_may_take_effect_late() {
    // 2 reads before 1 writes, and takes effect behind 3, which sees 1 and not 2 (Fekete, O'Neil
    // and O'Neil 2004). Whoever has a serial order has no such time to be late.
    let history = [
        txn(1, &[], &[("x", 11)]),
        txn(2, &[("x", &[])], &[("y", 21)]),
        txn(3, &[("x", &[11]), ("y", &[])], &[]),
        txn(4, &[("x", &[11]), ("y", &[21])], &[]),
    ];
    for (serial, seen) in mixes(&history) {
        let wrong = serial.contains(&2).then_some(Phenomenon::G2);
        assert_eq!(seen, wrong, "{serial:?}");
    }
}

#[test]
fn thousands_are_judged_soon() {
    // Ten after the other append to one list, then ten, who know of these, to the next.
    let list = |number: u64| format!("l{number}");
    let chain = |id: u64| {
        let first = id / 10 * 10;
        let own = (list(first), (first..id).collect());
        let before = (list(first.saturating_sub(10)), (first.saturating_sub(10)..first).collect());
        let reads = if first == 0 { vec![own] } else { vec![own, before] };
        Transaction { id, reads, appends: vec![(list(first), id)], fate: Fate::Committed }
    };
    let mut history: Vec<Transaction> = (0..20_000).map(chain).collect();
    assert_eq!(both(&history), None);
    history.extend(long_fork(20_000));
    assert_eq!(both(&history), Some(Phenomenon::G2));
}

/// What one transaction of a store with snapshots does.
#[derive(Clone, Debug)]
struct Step {
    reads: Vec<u8>,
    appends: Vec<u8>,
    /// How many others take effect between its snapshot and its own effect.
    late: usize,
    serial: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::btree_set(0..4_u8, 0..4).prop_map(|s| s.into_iter().collect());
    (some(), some(), 0..6_usize, any::<bool>()).prop_map(|(reads, appends, late, serial)| Step {
        reads,
        appends,
        late,
        serial,
    })
}

/// What a correct store makes of steps: those that it refuses are missing.
fn stored(steps: &[Step]) -> Vec<Transaction> {
    let mut states: Vec<BTreeMap<String, Vec<u64>>> = vec![BTreeMap::new()];
    let mut history = Vec::new();
    for (id, step) in (1_u64..).zip(steps) {
        let now = states[states.len() - 1].clone();
        let late = if step.serial { 0 } else { step.late.min(states.len() - 1) };
        let snapshot = &states[states.len() - 1 - late];
        let name = |list: &u8| format!("l{list}");
        if step.appends.iter().any(|list| now.get(&name(list)) != snapshot.get(&name(list))) {
            continue;
        }
        let read = |list: &u8| (name(list), snapshot.get(&name(list)).cloned().unwrap_or_default());
        let reads = step.reads.iter().map(read).collect();
        let append = |list: &u8| (name(list), id * 10 + u64::from(*list));
        let appends: Vec<(String, u64)> = step.appends.iter().map(append).collect();
        let mut next = now;
        for (list, element) in &appends {
            next.entry(list.clone()).or_default().push(*element);
        }
        states.push(next);
        history.push(Transaction { id, reads, appends, fate: Fate::Committed });
    }
    history
}

proptest! {
    /// A store that keeps what it promised to each has no anomaly.
    #[test]
    fn what_a_store_with_snapshots_does_is_right(steps in prop::collection::vec(step(), 1..60)) {
        let level = |id: u64| match usize::try_from(id - 1).is_ok_and(|at| steps[at].serial) {
            true => Level::Serializable,
            false => Level::Snapshot,
        };
        prop_assert_eq!(check_mixed(&stored(&steps), level), Ok(()));
    }

    /// Whatever is really done one after the other has no anomaly.
    #[test]
    fn what_was_serial_is_right(plan in prop::collection::vec(
        (prop::collection::btree_set(0..4_u8, 0..3), prop::collection::btree_set(0..4_u8, 0..3), 0..3_u8), 1..40)
    ) {
        let mut state: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut history = Vec::new();
        for (id, (reads, appends, fate)) in (1_u64..).zip(plan) {
            let name = |list: &u8| format!("l{list}");
            let read = |list: &u8| (name(list), state.get(&name(list)).cloned().unwrap_or_default());
            let reads = reads.iter().map(read).collect();
            let appends: Vec<_> =
                appends.iter().map(|list| (name(list), id * 10 + u64::from(*list))).collect();
            let fate = [Fate::Committed, Fate::Unknown, Fate::Aborted][usize::from(fate)];
            if fate != Fate::Aborted {
                for (list, element) in &appends {
                    state.entry(list.clone()).or_default().push(*element);
                }
            }
            history.push(Transaction { id, reads, appends, fate });
        }
        prop_assert_eq!(check_transactions(&history, Level::Serializable), Ok(()));
    }
}
