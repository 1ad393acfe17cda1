//! Histories of which everybody can see whether they are right.
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use catena_history::{
    Call, Evidence, FinalRead, Held, History, Limits, Malformed, Operation, Outcome, Recorder,
    Rule, Verdict, Violation, check, lost_acknowledged,
};
use rig::*;

fn good(operations: impl IntoIterator<Item = Operation>) {
    assert_eq!(check(&history(operations), Limits::default()), Verdict::Linearizable);
}

fn violation(verdict: Verdict) -> Violation {
    match verdict {
        Verdict::Violation(violation) => *violation,
        other => panic!("{other}"),
    }
}

/// Wrong by its values alone, so also when no versions are told.
fn bad(operations: impl IntoIterator<Item = Operation>) -> Violation {
    let operations: Vec<Operation> = operations.into_iter().collect();
    let bare = history(without_versions(operations.clone()));
    assert_eq!(rule(&violation(check(&bare, Limits::default()))), Rule::Values);
    let violation = violation(check(&history(operations), Limits::default()));
    assert_eq!(rule(&violation), Rule::Values, "{violation}");
    violation
}

/// Right by its values, wrong by its versions.
fn bad_versions(operations: impl IntoIterator<Item = Operation>) {
    let operations: Vec<Operation> = operations.into_iter().collect();
    good(without_versions(operations.clone()));
    let violation = violation(check(&history(operations), Limits::default()));
    assert_eq!(rule(&violation), Rule::Versions, "{violation}");
}

fn rule(violation: &Violation) -> Rule {
    match &violation.evidence {
        Evidence::NoOrder { rule, .. } => *rule,
        other => panic!("{other}"),
    }
}

#[test]
fn an_empty_history_is_right() {
    good([]);
    good([op(1, 0, 5, Call::Read, nothing(0))]);
}

#[test]
fn concurrent_operations_may_have_either_order() {
    let write = op(1, 0, 100, write("a"), done(5));
    good([write.clone(), op(2, 10, 20, Call::Read, nothing(0))]);
    good([write, op(2, 10, 20, Call::Read, found("a", 5))]);
}

#[test]
fn a_return_at_the_same_time_orders_nothing() {
    good([op(1, 0, 10, write("a"), done(5)), op(2, 10, 20, Call::Read, nothing(0))]);
}

#[test]
fn a_stale_read() {
    bad([
        op(1, 0, 10, write("a"), done(5)),
        op(1, 11, 20, write("b"), done(6)),
        op(2, 21, 30, Call::Read, found("a", 5)),
    ]);
}

#[test]
fn reads_that_go_back() {
    bad([
        op(1, 0, 10, write("a"), done(5)),
        op(1, 11, 100, write("b"), done(6)),
        op(2, 20, 30, Call::Read, found("b", 6)),
        op(3, 31, 40, Call::Read, found("a", 5)),
    ]);
}

#[test]
fn a_lost_write() {
    bad([op(1, 0, 10, write("a"), done(5)), op(2, 11, 20, Call::Read, nothing(0))]);
}

#[test]
fn a_value_that_nobody_wrote() {
    bad([op(1, 0, 10, write("a"), done(5)), op(2, 0, 20, Call::Read, found("b", 6))]);
}

#[test]
fn a_value_before_it_was_written() {
    bad([op(2, 0, 20, Call::Read, found("a", 5)), op(1, 21, 30, write("a"), done(5))]);
}

#[test]
fn a_refused_write_is_never_seen() {
    bad([op(1, 0, 10, write("a"), Outcome::Refused), op(2, 11, 20, Call::Read, found("a", 5))]);
}

#[test]
fn two_comparisons_with_one_value_cannot_both_hold() {
    bad([
        op(1, 0, 10, write("a"), done(5)),
        op(2, 11, 50, cas(Some("a"), "b"), done(6)),
        op(3, 11, 50, cas(Some("a"), "c"), done(7)),
    ]);
    bad([op(2, 0, 50, cas(None, "b"), done(6)), op(3, 0, 50, cas(None, "c"), done(7))]);
}

#[test]
fn a_comparison_that_failed_must_have_found_something_else() {
    let write = op(1, 0, 10, write("a"), done(5));
    good([write.clone(), op(2, 11, 20, cas(Some("b"), "c"), differs(Some("a"), 5))]);
    bad([write.clone(), op(2, 11, 20, cas(Some("a"), "c"), differs(Some("a"), 5))]);
    bad([write.clone(), op(2, 11, 20, cas(Some("b"), "c"), differs(None, 0))]);
    bad_versions([write.clone(), op(2, 11, 20, compare_version(5, "c"), differs(Some("a"), 5))]);
    bad([op(2, 11, 20, compare_version(0, "c"), differs(None, 0))]);
}

#[test]
fn a_comparison_of_versions() {
    let write = op(1, 0, 10, write("a"), done(5));
    good([write.clone(), op(2, 11, 20, compare_version(5, "b"), done(6))]);
    good([write.clone(), op(2, 11, 20, compare_version(0, "b"), differs(Some("a"), 5))]);
    bad([write.clone(), op(2, 11, 20, compare_version(0, "b"), done(6))]);
    let two = [
        op(2, 11, 20, compare_version(5, "b"), done(6)),
        op(3, 11, 20, compare_version(5, "b"), done(7)),
    ];
    let verdict = check(&history([vec![write], two.to_vec()].concat()), Limits::default());
    assert_eq!(rule(&violation(verdict)), Rule::Versions);
}

#[test]
fn an_unknown_write_may_happen_late_or_never_but_once() {
    let lost = lost(1, 0, write("a"));
    let b = |from, version| op(2, from, from + 5, write("b"), done(version));
    let a = |from, version| op(3, from, from + 5, Call::Read, found("a", version));
    good([lost.clone(), op(3, 10, 15, Call::Read, nothing(0))]);
    good([lost.clone(), b(10, 5), op(3, 20, 25, Call::Read, found("b", 5))]);
    good([lost.clone(), b(10, 5), a(20, 6), a(30, 6)]);
    bad([lost.clone(), a(10, 4), b(20, 5), a(30, 6)]);
    bad([
        lost.clone(),
        op(3, 10, 15, Call::Read, nothing(0)),
        a(20, 4),
        op(3, 30, 35, Call::Read, nothing(0)),
    ]);
}

#[test]
fn an_unknown_write_does_not_happen_before_it_is_asked_for() {
    bad([op(3, 0, 5, Call::Read, found("a", 4)), lost(1, 6, write("a"))]);
}

#[test]
fn unknown_operations_build_on_each_other() {
    let chain = [lost(1, 0, write("1")), lost(2, 0, add(2)), lost(3, 0, cas(Some("3"), "a"))];
    let read = op(4, 10, 20, Call::Read, found("a", 9));
    good([chain.to_vec(), vec![read.clone()]].concat());
    for missing in 0..3 {
        let mut part = chain.to_vec();
        part.remove(missing);
        part.push(read.clone());
        bad(part);
    }
}

#[test]
fn additions_are_neither_lost_nor_doubled() {
    let one = |process, sum_is, version| op(process, 0, 50, add(1), sum(sum_is, version));
    good([one(1, 1, 5), one(2, 2, 6), op(3, 60, 70, Call::Read, found("2", 6))]);
    bad([one(1, 1, 5), one(2, 1, 6)]);
    bad([one(1, 1, 5), one(2, 2, 6), op(3, 60, 70, Call::Read, found("1", 5))]);
    bad([one(1, 1, 5), one(2, 3, 6)]);
    good([one(1, 1, 5), one(2, 3, 8), lost(3, 0, add(1))]);
    bad([one(1, 1, 5), one(2, 4, 8), lost(3, 0, add(1))]);
}

#[test]
fn a_deleted_key_tells_its_version_or_none() {
    let deleted = [op(1, 0, 10, write("a"), done(5)), op(1, 11, 20, Call::Delete, done(6))];
    let with = |last: Operation| [deleted.to_vec(), vec![last]].concat();
    good(with(op(2, 21, 30, Call::Read, nothing(6))));
    good(with(op(2, 21, 30, Call::Read, nothing(0))));
    bad_versions(with(op(2, 21, 30, Call::Read, nothing(5))));
    good(with(op(2, 21, 30, add(4), sum(4, 7))));
}

#[test]
fn versions_grow_from_write_to_write() {
    bad_versions([op(1, 0, 10, write("a"), done(6)), op(1, 11, 20, write("b"), done(5))]);
}

#[test]
fn a_version_belongs_to_one_write() {
    bad_versions([op(1, 0, 50, write("a"), done(6)), op(2, 0, 50, write("b"), done(6))]);
}

#[test]
fn a_read_tells_the_version_of_what_it_found() {
    let write = op(1, 0, 10, write("a"), done(5));
    bad_versions([write.clone(), op(2, 11, 20, Call::Read, found("a", 6))]);
    bad_versions([
        op(1, 0, 10, rig::write("a"), done(5)),
        op(1, 11, 20, rig::write("a"), done(6)),
        op(2, 21, 30, Call::Read, found("a", 5)),
    ]);
}

#[test]
fn the_evidence_is_the_first_answer_that_cannot_be() {
    let stale = op(2, 21, 30, Call::Read, found("a", 5));
    let violation = bad([
        op(1, 0, 10, write("a"), done(5)),
        op(1, 11, 20, write("b"), done(6)),
        op(3, 25, 90, write("c"), done(7)),
        stale.clone(),
        op(2, 91, 95, Call::Read, nothing(0)),
    ]);
    let text = violation.to_string();
    let Evidence::NoOrder { answered, held, last, open, .. } = violation.evidence else { panic!() };
    assert_eq!(answered, 3);
    assert_eq!(*last, stale);
    let b = Held { value: Some("b".into()), version: 0 };
    assert_eq!(held, [b]);
    assert_eq!(open.len(), 1);
    assert!(text.contains("read -> `a` (version 5)"), "{text}");
    assert!(text.contains("write `c`"), "{text}");
}

#[test]
fn keys_are_judged_one_by_one() {
    let other = |mut operation: Operation| {
        operation.key = "other".into();
        operation
    };
    let write = op(1, 0, 10, write("a"), done(5));
    good([write.clone(), other(op(2, 11, 20, Call::Read, nothing(0)))]);
    let stale = other(op(2, 21, 30, Call::Read, nothing(0)));
    let verdict = check(&history([other(write), stale]), Limits::default());
    assert_eq!(violation(verdict).key, "other");
}

#[test]
fn too_long_a_search_is_given_up() {
    let mut operations: Vec<Operation> =
        (0..30).map(|n| op(n, 0, 1_000, write(&n.to_string()), done(0))).collect();
    operations
        .extend((0..30).map(|n| op(50 + n, 0, 1_000, cas(Some(&n.to_string()), "x"), done(0))));
    let verdict = check(&history(operations), Limits { states: 20 });
    assert!(matches!(verdict, Verdict::Undecided { .. }), "{verdict}");
}

#[test]
fn what_was_acknowledged_is_there_at_the_end() {
    let history = history([op(1, 0, 10, write("a"), done(5)), lost(2, 3, write("b"))]);
    let end = |value: &str, version| {
        let read = FinalRead { key: "k".into(), value: Some(value.into()), version };
        lost_acknowledged(&history, &[read], Limits::default())
    };
    assert_eq!(end("a", 5), Verdict::Linearizable);
    assert_eq!(end("b", 7), Verdict::Linearizable);
    violation(end("b", 4));
    let gone = FinalRead { key: "k".into(), value: None, version: 0 };
    violation(lost_acknowledged(&history, &[gone], Limits::default()));
    let nobody_looked = lost_acknowledged(&history, &[], Limits::default());
    assert!(matches!(nobody_looked, Verdict::Undecided { .. }), "{nobody_looked}");
}

#[test]
fn a_recorder_keeps_what_is_open_as_unknown() {
    let mut recorder = Recorder::new(2);
    let begun = recorder.invoke(1, "k", write("a"), 5).unwrap();
    recorder.invoke(2, "k", Call::Read, 6).unwrap();
    assert_eq!(recorder.invoke(3, "k", Call::Read, 7), Err(Malformed::Full(2)));
    assert!(recorder.complete(begun, 9, nothing(0)).is_err(), "an answer to a read");
    recorder.complete(begun, 9, done(4)).unwrap();
    assert_eq!(recorder.complete(begun, 9, done(4)), Err(Malformed::NotOpen));
    let history = recorder.finish();
    assert_eq!(history.operations(), [op(1, 5, 9, write("a"), done(4)), lost(2, 6, Call::Read)]);
    assert_eq!((history.tally().answered, history.tally().unknown), (1, 1));
}

#[test]
fn what_contradicts_itself_is_no_history() {
    assert!(History::new(vec![op(1, 9, 5, Call::Read, nothing(0))]).is_err());
    let open = Operation { returned: None, ..op(1, 0, 5, Call::Read, nothing(0)) };
    assert!(History::new(vec![open]).is_err());
    assert!(History::new(vec![op(1, 0, 5, add(1), done(3))]).is_err());
}
