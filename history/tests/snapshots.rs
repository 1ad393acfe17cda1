//! Reads at a time.
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use catena_history::{Call, Operation, SnapshotRead, check_snapshots};
use proptest::collection::vec;
use proptest::prelude::*;
use rig::*;

fn at(at: u64, value: Option<&str>, version: u64) -> SnapshotRead {
    SnapshotRead { key: "k".into(), at, value: value.map(Into::into), version }
}

fn two_writes() -> Vec<Operation> {
    vec![op(1, 0, 10, write("a"), done(5)), op(1, 11, 20, write("b"), done(8))]
}

fn good(operations: Vec<Operation>, reads: &[SnapshotRead]) {
    check_snapshots(&history(operations), reads).unwrap();
}

fn bad(operations: Vec<Operation>, reads: &[SnapshotRead], because: &str) {
    let violation = check_snapshots(&history(operations), reads).unwrap_err().to_string();
    assert!(violation.contains(because), "{violation}");
}

fn and(mut operations: Vec<Operation>, last: Operation) -> Vec<Operation> {
    operations.push(last);
    operations
}

#[test]
fn a_snapshot_shows_the_newest_write_up_to_its_time() {
    let reads = [
        at(4, None, 0),
        at(5, Some("a"), 5),
        at(7, Some("a"), 5),
        at(8, Some("b"), 8),
        at(99, Some("b"), 8),
    ];
    good(two_writes(), &reads);
    good(two_writes(), &[]);
    good(Vec::new(), &[at(9, None, 0)]);
}

#[test]
fn it_does_not_miss_a_write() {
    bad(two_writes(), &[at(8, Some("a"), 5)], "version 8 is younger");
    bad(two_writes(), &[at(6, None, 0)], "version 5 is younger");
}

#[test]
fn it_does_not_show_a_younger_write() {
    bad(two_writes(), &[at(7, Some("b"), 8)], "younger than the snapshot");
}

#[test]
fn it_shows_what_was_written() {
    bad(two_writes(), &[at(9, Some("a"), 8)], "wrote `b`");
    bad(two_writes(), &[at(9, Some("c"), 9)], "nobody wrote");
    bad(two_writes(), &[at(9, Some("b"), 0)], "has a version");
}

#[test]
fn an_unknown_write_may_be_seen_but_then_by_all() {
    let maybe = || and(two_writes(), lost(2, 0, write("c")));
    good(maybe(), &[at(6, Some("a"), 5), at(7, Some("c"), 7)]);
    bad(maybe(), &[at(7, Some("c"), 6), at(7, Some("a"), 5)], "version 6 is younger");
    bad(maybe(), &[at(9, Some("c"), 6)], "version 8 is younger");
}

#[test]
fn what_another_read_found_is_known() {
    let maybe = and(two_writes(), lost(2, 0, write("c")));
    let seen = and(maybe, op(3, 12, 15, Call::Read, found("c", 6)));
    bad(seen, &[at(7, Some("a"), 5)], "version 6 is younger");
}

#[test]
fn two_reads_at_one_time_are_equal() {
    let maybe = and(two_writes(), lost(2, 0, Call::Delete));
    good(maybe.clone(), &[at(9, None, 0), at(9, None, 9)]);
    bad(maybe.clone(), &[at(9, None, 0), at(9, Some("b"), 8)], "another read at that time");
    bad(maybe, &[at(9, None, 0), at(12, Some("b"), 8)], "already found nothing");
}

#[test]
fn a_delete_may_be_forgotten_and_nothing_else() {
    let deleted = and(two_writes(), op(2, 30, 40, Call::Delete, done(10)));
    good(deleted.clone(), &[at(11, None, 10), at(11, None, 0), at(9, Some("b"), 8)]);
    bad(deleted.clone(), &[at(11, Some("b"), 8)], "version 10 is younger");
    bad(deleted, &[at(9, None, 0)], "version 8 is younger");
}

#[test]
fn a_sum_is_a_value() {
    let added = vec![op(1, 0, 10, add(3), sum(3, 5)), lost(2, 0, add(1))];
    good(added.clone(), &[at(5, Some("3"), 5), at(9, Some("4"), 7)]);
    bad(added, &[at(9, Some("x"), 7)], "nobody wrote");
}

proptest! {
    /// Reads of a register's real past pass; any other answer about a known past does not.
    #[test]
    fn only_the_real_past_passes(writes in vec(any::<bool>(), 1..20), when in 0..50_u64, wrong in 0..50_u64) {
        let operations: Vec<Operation> = writes.iter().enumerate().map(|(n, keeps)| {
            let time = n as u64 * 2 + 2;
            let call = if *keeps { write(&n.to_string()) } else { Call::Delete };
            op(1, time, time, call, done(time))
        }).collect();
        let past = |when: u64| {
            let newest = (when / 2).min(writes.len() as u64);
            let n = newest.checked_sub(1);
            let value = n.filter(|n| writes[*n as usize]).map(|n| n.to_string());
            at(when, value.as_deref(), newest * 2)
        };
        let read = past(when);
        let other = SnapshotRead { at: when, ..past(wrong) };
        let same = other == read;
        good(operations.clone(), &[read]);
        let forgotten = other.version == 0 && past(when).value.is_none();
        prop_assert_eq!(check_snapshots(&history(operations), &[other]).is_ok(), same || forgotten);
    }
}

#[test]
fn what_was_acknowledged_without_a_version_may_be_what_is_shown() {
    let add = || vec![op(1, 0, 10, add(3), sum(3, 0))];
    good(add(), &[at(8, Some("3"), 7)]);
    bad(add(), &[at(8, Some("4"), 7)], "nobody wrote that");
    let write = || vec![op(1, 0, 10, write("a"), done(0))];
    good(write(), &[at(8, Some("a"), 7)]);
    bad(write(), &[at(8, Some("b"), 7)], "nobody wrote that");
}
