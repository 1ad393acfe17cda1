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

#[test]
fn a_reader_of_two_orders_is_a_long_circle() {
    // Two readers see two independent writers in different orders.
    let fork = [
        txn(1, &[], &[("x", 11)]),
        txn(2, &[], &[("y", 21)]),
        txn(3, &[("x", &[11]), ("y", &[])], &[]),
        txn(4, &[("x", &[]), ("y", &[21])], &[]),
    ];
    assert_eq!(seen(&fork, Level::Serializable), Some(Phenomenon::G2));
}

proptest! {
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
