//! The rules one by one, on lists of effects.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where this fails")]

mod rig;

use catena_protocol::chain::Isolation;
use catena_protocol::limit::{
    DEADLINE_MAX_MS, OUTCOME_RUN_MS, OUTCOME_SUBMIT_MS, PAYLOAD_BYTES, REQUEST_MEMORY_MS,
    RETENTION_MARGIN_MS, SET_KEYS, VALUE_BYTES, WRITE_SET_BYTES,
};
use catena_protocol::message::commit::{Decided, End, Outcome};
use catena_protocol::message::read::At;
use catena_protocol::message::replicate::{Decision, LogEntry, LogRecord, Position};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::{Change, Condition, Mutation, Written};
use catena_protocol::placement::Member;
use catena_protocol::{AttemptId, Code, DiskId, Fault, JobId, Timestamp};
use catena_storage::machine::{Event, Input, Node, Settings};
use catena_storage::state::{Changes, Mark, MemoryState, StateWriter};
use rig::{
    PARTITIONS, Rig, START_US, but, commit, effects, job, key, put, read, record, request, scan,
    version, write,
};

fn value(tell: &Tell) -> Option<String> {
    let Tell::Record(record) = tell else { panic!("not a record: {tell:?}") };
    record.value.as_ref().map(|value| String::from_utf8(value.0.to_vec()).unwrap())
}

fn fault(tell: &Tell) -> &Fault {
    match tell {
        Tell::Fault(fault) => fault,
        other => panic!("not refused: {other:?}"),
    }
}

fn outcome(tell: &Tell) -> &Outcome {
    match tell {
        Tell::Decided(Decided::Outcome(outcome)) => outcome,
        other => panic!("no outcome: {other:?}"),
    }
}

fn conflict(tell: &Tell) -> bool {
    matches!(tell, Tell::Decided(Decided::Conflict { .. }))
}

fn present(rig: &Rig) -> Timestamp {
    Timestamp(rig.now.wall_us)
}

#[test]
fn a_write_is_told_and_seen_only_when_it_is_durable() {
    let mut rig = Rig::new();
    let first = rig.send(put(1, "a", "1"));
    let early = rig.send(read("a", At::Latest));
    assert!(!rig.answers.contains_key(&first));
    assert_eq!(value(&rig.answers[&early]), None);
    rig.sync();
    assert!(rig.answers.contains_key(&first));
    // The state does not have it yet.
    let late = rig.send(read("a", At::Latest));
    assert_eq!(value(&rig.answers[&late]), Some("1".into()));
}

#[test]
fn one_turn_is_one_frame() {
    let mut rig = Rig::new();
    rig.send_all((0..1_000).map(|n| put(n, &format!("k{n}"), "x")).collect());
    assert_eq!(rig.unsynced.len(), 1);
    // What comes meanwhile is the next frame, which waits for this one.
    rig.send(put(1_000, "a", "1"));
    rig.send(put(1_001, "b", "1"));
    assert_eq!(rig.unsynced.len(), 1);
    rig.sync();
    assert_eq!(rig.unsynced.len(), 1);
    assert!(rig.unsynced[0].1.len() >= 2);
    rig.settle();
}

#[test]
fn a_condition_sees_writes_that_are_on_their_way() {
    let mut rig = Rig::new();
    let ids = rig.send_all(vec![
        put(1, "a", "1"),
        write(2, "a", Change::Put("2".into()), Condition::ValueIs(Some("1".into()))),
        write(3, "a", Change::Put("3".into()), Condition::ValueIs(Some("1".into()))),
    ]);
    rig.settle();
    assert!(matches!(rig.answers[&ids[1]], Tell::Written(Written::Done { .. })));
    let Tell::Written(Written::Differs { value, .. }) = &rig.answers[&ids[2]] else { panic!() };
    assert_eq!(*value, Some("2".into()));
    // Asked again, the answer is the same, although by now the condition would hold.
    rig.ask(put(4, "a", "1"));
    let again = write(3, "a", Change::Put("3".into()), Condition::ValueIs(Some("1".into())));
    assert_eq!(rig.ask(again), rig.answers[&ids[2]]);
}

#[test]
fn adding_counts_and_refuses_what_is_no_number() {
    let mut rig = Rig::new();
    let add = |n, delta| write(n, "n", Change::Add(delta), Condition::Always);
    let ids = rig.send_all(vec![add(1, 5), add(2, -7), add(3, i64::MAX)]);
    rig.settle();
    let sums: Vec<_> = ids
        .iter()
        .map(|id| match &rig.answers[id] {
            Tell::Written(Written::Done { value, .. }) => *value,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sums, [Some(5), Some(-2), Some(i64::MAX - 2)]);
    assert_eq!(fault(&rig.ask(add(4, 3))).code, Code::OperatorFailed);
    rig.ask(put(5, "n", "text"));
    assert_eq!(fault(&rig.ask(add(6, 1))).code, Code::OperatorFailed);
    rig.ask(write(7, "n", Change::Delete, Condition::Always));
    rig.ask(add(8, 1));
    assert_eq!(value(&rig.ask(read("n", At::Latest))), Some("1".into()));
}

#[test]
fn a_job_commits_over_all_partitions_in_one_frame() {
    let mut rig = Rig::new();
    let names: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
    let writes = names.iter().map(|name| (name.as_str(), Change::Put("v".into()))).collect();
    let id = rig.send(commit(job(1, START_US), present(&rig), effects(&[], &[], writes)));
    rig.now.wall_us += 10;
    assert_eq!(rig.unsynced.len(), 1);
    let parts: Vec<_> =
        rig.unsynced[0].1.iter().filter_map(record).map(|record| record.partition).collect();
    assert!((0..PARTITIONS).all(|partition| parts.contains(&partition)), "{parts:?}");
    rig.sync();
    let version = outcome(&rig.answers[&id]).version;
    for name in &names {
        let Tell::Record(record) = rig.ask(read(name, At::Latest)) else { panic!() };
        assert_eq!(record.version, version);
        let Tell::Record(before) = rig.ask(read(name, At::Snapshot(Timestamp(version.0 - 1))))
        else {
            panic!()
        };
        assert_eq!(before.value, None);
    }
}

#[test]
fn the_first_outcome_wins_and_everybody_gets_it() {
    let mut rig = Rig::new();
    let add = || effects(&[], &[], vec![("n", Change::Add(1))]);
    let now = present(&rig);
    let ids = rig.send_all(vec![
        commit(job(1, START_US), now, add()),
        commit(job(1, START_US), now, add()),
        but(commit(job(1, START_US), now, add()), |c| c.end = End::Cancelled),
    ]);
    rig.settle();
    assert_eq!(rig.answers[&ids[0]], rig.answers[&ids[1]]);
    assert_eq!(rig.answers[&ids[0]], rig.answers[&ids[2]]);
    rig.restart();
    assert_eq!(rig.ask(commit(job(1, START_US), now, add())), rig.answers[&ids[0]]);
    assert_eq!(value(&rig.ask(read("n", At::Latest))), Some("1".into()));
    let job = job(1, START_US);
    let Tell::Outcome(Some(known)) = rig.ask((job.home() % PARTITIONS, Ask::Outcome(job))) else {
        panic!()
    };
    assert_eq!(&known, outcome(&rig.answers[&ids[0]]));
}

#[test]
fn conflicts_depend_on_the_isolation() {
    let mut rig = Rig::new();
    let before = present(&rig);
    rig.advance(10);
    rig.ask(put(1, "x", "1"));
    rig.ask(put(2, "{t}:1", "1"));
    let put_y = || vec![("y", Change::Put("1".into()))];
    let mut next = 0;
    let mut end = |reads: &[&str], scans: &[&str], writes, isolation| {
        next += 1;
        let ask = commit(job(next, START_US), before, effects(reads, scans, writes));
        conflict(&rig.ask(but(ask, |c| c.isolation = isolation)))
    };
    use Isolation::{Serializable, Snapshot};
    assert!(end(&["x"], &[], put_y(), Serializable), "it read what was changed");
    assert!(!end(&["x"], &[], vec![("y1", Change::Delete)], Snapshot));
    assert!(end(&[], &[], vec![("x", Change::Delete)], Serializable));
    assert!(end(&[], &[], vec![("x", Change::Put("2".into()))], Snapshot));
    assert!(end(&[], &["{t}:"], vec![("y2", Change::Delete)], Serializable), "a phantom");
    assert!(!end(&[], &["{t}:2"], vec![("y3", Change::Delete)], Serializable));
    assert!(end(&[], &["{t"], vec![("y4", Change::Delete)], Serializable), "any partition");
    assert!(!end(&[], &[], vec![("x", Change::Add(1))], Serializable), "adding collides never");
    assert!(end(&["x"], &[], vec![("x", Change::Add(1))], Serializable), "but it was read");
    assert!(!end(&[], &[], vec![], Serializable));
    let prefixes: Vec<&str> = rig.events.iter().filter_map(conflicts).collect();
    assert_eq!(prefixes, ["x", "x", "x", "{}:1", "{}:1", "x"], "each is counted by its prefix");
}

fn conflicts(event: &Event) -> Option<&str> {
    match event {
        Event::Conflicts { prefix, .. } => Some(prefix),
        _ => None,
    }
}

#[test]
fn a_conflict_with_a_write_on_its_way_is_told_at_once() {
    let mut rig = Rig::new();
    let before = present(&rig);
    rig.advance(10);
    rig.send(put(1, "x", "1"));
    let id = rig.send(commit(job(1, START_US), before, effects(&["x"], &[], vec![])));
    assert!(conflict(&rig.answers[&id]));
    rig.settle();
}

#[test]
fn a_job_that_cannot_add_has_failed_and_changed_nothing() {
    let mut rig = Rig::new();
    rig.ask(put(1, "x", "text"));
    let writes = || vec![("a", Change::Put("1".into())), ("x", Change::Add(1))];
    let ask = || commit(job(1, START_US), present(&Rig::new()), effects(&[], &[], writes()));
    let told = rig.ask(ask());
    let End::Failed(fault) = &outcome(&told).end else { panic!("{told:?}") };
    assert_eq!(fault.code, Code::OperatorFailed);
    assert_eq!(value(&rig.ask(read("a", At::Latest))), None);
    assert_eq!(rig.ask(ask()), told, "it stays so");
}

#[test]
fn failures_are_recorded_without_their_effects() {
    let mut rig = Rig::new();
    let ends = [
        End::Failed(Fault::new(Code::OperatorFailed, "ä".repeat(100_000))),
        End::Cancelled,
        End::Dead(Fault::new(Code::Deadline, "too late")),
    ];
    for (number, end) in (0..).zip(ends) {
        let writes = vec![("a", Change::Put("1".into()))];
        let ask = commit(job(number, START_US), Timestamp::ZERO, effects(&[], &[], writes));
        let told = rig.ask(but(ask, |c| c.end = end));
        assert!(!matches!(outcome(&told).end, End::Committed(_)));
    }
    assert_eq!(value(&rig.ask(read("a", At::Latest))), None);
}

#[test]
fn what_is_too_large_is_refused_and_changes_nothing() {
    let mut rig = Rig::new();
    let now = present(&rig);
    let many: Vec<String> = (0..=SET_KEYS).map(|n| n.to_string()).collect();
    let names: Vec<&str> = many.iter().map(String::as_str).collect();
    let half = "x".repeat(VALUE_BYTES);
    let put = |text: &str| Change::Put(text.into());
    let large = "x".repeat(VALUE_BYTES + 1);
    let cases = [
        (effects(&names, &[], vec![]), End::Committed("".into())),
        (
            effects(&[], &[], names.iter().map(|name| (*name, Change::Delete)).collect()),
            End::Committed("".into()),
        ),
        (effects(&[], &[], vec![("a", put(&large))]), End::Committed("".into())),
        (effects(&[], &[], vec![("a", put(&half)), ("b", put(&half))]), End::Committed("".into())),
        (effects(&[], &[], vec![]), End::Committed(vec![0; PAYLOAD_BYTES + 1].into())),
    ];
    const { assert!(2 * VALUE_BYTES + 2 > WRITE_SET_BYTES) };
    for (effects, end) in cases {
        let told = rig.ask(but(commit(job(1, START_US), now, effects), |c| c.end = end));
        assert_eq!(fault(&told).code, Code::TooLarge, "{told:?}");
    }
    let twice = effects(&[], &[], vec![("a", put("1")), ("a", put("2"))]);
    let told = rig.ask(commit(job(1, START_US), now, twice));
    assert_eq!(fault(&told).code, Code::BadRequest);
    let direct = effects(&[], &[], vec![("a", put("1"))]);
    let latest = but(commit(job(1, START_US), now, direct), |c| c.isolation = Isolation::Latest);
    assert_eq!(fault(&rig.ask(latest)).code, Code::BadRequest);
    assert!(rig.records().all(|record| !matches!(record.decision, Decision::Outcome { .. })));
    assert!(!conflict(&rig.ask(commit(job(1, START_US), now, effects(&[], &[], vec![])))));
}

#[test]
fn old_jobs_and_old_snapshots_are_refused() {
    let mut rig = Rig::new();
    let old = present(&rig);
    rig.advance((OUTCOME_RUN_MS + 1) * 1_000);
    rig.settle();
    let now = present(&rig);
    let nothing = || effects(&[], &[], vec![]);
    let told = rig.ask(commit(job(1, START_US), now, nothing()));
    assert_eq!(fault(&told).code, Code::Deadline);
    let kept = but(commit(job(1, START_US), now, nothing()), |c| c.keep_ms = OUTCOME_SUBMIT_MS);
    assert!(!conflict(&rig.ask(kept)));
    let told = rig.ask(commit(job(2, rig.now.wall_us), old, nothing()));
    assert!(matches!(told, Tell::SnapshotTooOld { .. }), "{told:?}");
    let told = rig.ask(read("a", At::Snapshot(old)));
    assert!(matches!(told, Tell::SnapshotTooOld { .. }), "{told:?}");
}

#[test]
fn a_late_duplicate_gets_the_outcome_as_long_as_it_is_kept() {
    let mut rig = Rig::new();
    // Old snapshots can be read for longer than outcomes are kept.
    rig.input(Input::Longest { deadline_ms: DEADLINE_MAX_MS });
    let keyed = JobId::keyed(3, "shop", None, "order-1");
    let begun = present(&rig);
    let random = job(1, START_US);
    let run = |rig: &mut Rig, job, attempt| {
        let add = effects(&[], &[], vec![("n", Change::Add(1))]);
        let late = but(commit(job, present(rig), add), |c| c.attempt = AttemptId([attempt; 16]));
        rig.ask(late)
    };
    let first = [random, keyed].map(|job| run(&mut rig, job, 1));
    let pass = |rig: &mut Rig, ms: u64| {
        for _ in 0..ms / 100 {
            rig.advance(100_000);
            while rig.sync() || rig.apply() {}
        }
    };
    // To the last moment at which it may come, and over a restart.
    pass(&mut rig, OUTCOME_RUN_MS - 1_000);
    for restarts in [false, true] {
        if restarts {
            rig.restart();
        }
        assert_eq!([random, keyed].map(|job| run(&mut rig, job, 2)), first);
        assert_eq!(value(&rig.ask(read("n", At::Latest))), Some("2".into()));
    }
    // An id that tells its age is refused before its outcome is forgotten; a key begins anew.
    pass(&mut rig, 2_000);
    assert_eq!(run(&mut rig, random, 3), first[0], "it is still there");
    pass(&mut rig, RETENTION_MARGIN_MS + 2_000);
    assert_eq!(rig.state.outcomes(), 0);
    assert_eq!(fault(&run(&mut rig, random, 4)).code, Code::Deadline);
    // But not an attempt that began when the first one was known.
    let add = effects(&[], &[], vec![("n", Change::Add(1))]);
    let stood_still = but(commit(keyed, begun, add), |c| c.attempt = AttemptId([5; 16]));
    assert_eq!(fault(&rig.ask(stood_still)).code, Code::Deadline);
    assert_eq!(value(&rig.ask(read("n", At::Latest))), Some("2".into()));
    assert_ne!(run(&mut rig, keyed, 4), first[1]);
    assert_eq!(value(&rig.ask(read("n", At::Latest))), Some("3".into()));
}

#[test]
fn a_snapshot_once_read_stays_also_over_a_crash_and_a_clock_set_back() {
    let mut rig = Rig::new();
    let ahead = Timestamp(rig.now.wall_us + 400_000);
    let id = rig.send(read("a", At::Snapshot(ahead)));
    assert!(!rig.answers.contains_key(&id), "not before the ceiling is durable");
    rig.sync();
    assert_eq!(value(&rig.answers[&id]), None);
    rig.restart();
    rig.now.wall_us -= 300_000;
    let id = rig.send(put(1, "a", "1"));
    rig.sync();
    assert!(!rig.answers.contains_key(&id), "not before the clock has reached its version");
    let deadline = rig.node.next_deadline().unwrap();
    assert!(deadline > rig.now.mono_us);
    rig.advance(1_500_000);
    assert!(version(&rig.answers[&id]) > ahead);
    assert_eq!(value(&rig.ask(read("a", At::Snapshot(ahead)))), None);
}

#[test]
fn a_clock_set_far_back_refuses_writes_and_serves_reads() {
    let mut rig = Rig::new();
    rig.ask(put(1, "a", "1"));
    rig.now.wall_us -= 3_600_000_000;
    let told = rig.ask(put(2, "a", "2"));
    assert_eq!(fault(&told).code, Code::Unavailable);
}

#[test]
fn timestamps_cannot_pull_the_clock_along() {
    let mut rig = Rig::new();
    let far = Timestamp(rig.now.wall_us + 600_000);
    assert_eq!(fault(&rig.ask(read("a", At::Snapshot(far)))).code, Code::BadRequest);
    for step in 1..20 {
        let at = Timestamp(rig.now.wall_us + step * 400_000);
        rig.send(read("a", At::Snapshot(at)));
    }
    rig.sync();
    let id = rig.send(put(1, "a", "1"));
    rig.sync();
    rig.advance(900_000);
    assert!(version(&rig.answers[&id]).0 <= rig.now.wall_us);
    rig.settle();
}

#[test]
fn what_does_not_fit_is_told_so_and_room_comes_back() {
    let settings = Settings { partitions: PARTITIONS, held: 10, ..Settings::default() };
    let mut rig = Rig::with(settings);
    let ids = rig.send_all((0..20).map(|n| put(n, "a", "1")).collect());
    let busy = ids.iter().filter(|id| rig.answers.contains_key(id)).count();
    assert_eq!(busy, 10);
    assert_eq!(fault(&rig.answers[&ids[19]]).code, Code::TooBusy);
    rig.settle();
    assert!(matches!(rig.ask(put(30, "a", "1")), Tell::Written(_)));

    let settings = Settings { partitions: PARTITIONS, pending_bytes: 1_000, ..Settings::default() };
    let mut rig = Rig::with(settings);
    let ids = rig.send_all((0..20).map(|n| put(n, "a", "1")).collect());
    let busy = ids.iter().filter(|id| rig.answers.contains_key(id)).count();
    assert!(busy > 0);
    while rig.sync() {}
    assert_eq!(fault(&rig.ask(put(31, "a", "1"))).code, Code::TooBusy, "not applied yet");
    rig.settle();
    assert!(matches!(rig.ask(put(30, "a", "1")), Tell::Written(_)));
}

#[test]
fn a_scan_goes_on_where_the_last_one_ended() {
    let mut rig = Rig::new();
    let partition = key("{t}").partition(PARTITIONS);
    for n in 0..30 {
        rig.send(put(n, &format!("{{t}}:{n:02}"), "x"));
        if n % 3 == 0 {
            rig.sync();
        }
        if n % 5 == 0 {
            rig.apply();
        }
    }
    while rig.sync() {}
    rig.ask(write(99, "{t}:07", Change::Delete, Condition::Always));
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let (_, Ask::Scan(mut ask)) = scan(partition, "{t}:", At::Latest, 4) else { panic!() };
        ask.after = after;
        let Tell::Records { found: page, next } = rig.ask((partition, Ask::Scan(ask))) else {
            panic!()
        };
        assert!(page.len() <= 4);
        found.extend(page.into_iter().map(|found| found.key.to_string()));
        after = next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..30).filter(|n| *n != 7).map(|n| format!("{{t}}:{n:02}")).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_past_is_forgotten_piece_by_piece() {
    let settings = Settings {
        partitions: PARTITIONS,
        retention_ms: 10_000,
        request_memory_ms: REQUEST_MEMORY_MS,
        ..Settings::default()
    };
    let mut rig = Rig::with(settings);
    for n in 0..3_000 {
        rig.send(put(n, "hot", "x"));
        rig.send(write(n + 10_000, "n", Change::Add(1), Condition::Always));
        rig.advance(10);
    }
    rig.ask(put(3_000, "once", "x"));
    rig.ask(put(3_001, "gone", "x"));
    rig.ask(write(3_002, "gone", Change::Delete, Condition::Always));
    rig.ask(commit(job(1, rig.now.wall_us), present(&rig), effects(&[], &[], vec![])));
    rig.settle();
    let middle = present(&rig);
    assert!(rig.state.versions() > 6_000);
    let turns = |rig: &mut Rig, seconds: u64| {
        for _ in 0..seconds * 10 {
            rig.advance(100_000);
            while rig.sync() || rig.apply() {}
        }
    };
    turns(&mut rig, 9);
    assert_eq!(value(&rig.ask(read("hot", At::Snapshot(middle)))), Some("x".into()));
    turns(&mut rig, 30);
    assert_eq!(rig.state.versions(), 3, "hot, n and once");
    assert_eq!(value(&rig.ask(read("n", At::Latest))), Some("3000".into()));
    assert!(rig.state.requests() > 6_000);
    turns(&mut rig, REQUEST_MEMORY_MS / 1_000 - 20);
    assert_eq!(rig.state.outcomes(), 1);
    turns(&mut rig, 30);
    assert_eq!(rig.state.requests(), 0);
    turns(&mut rig, 30);
    assert_eq!(rig.state.outcomes(), 0);
    // Forgetting changed nothing of what is there, also over a restart.
    rig.restart();
    assert_eq!(value(&rig.ask(read("once", At::Latest))), Some("x".into()));
    assert_eq!(value(&rig.ask(read("gone", At::Latest))), None);
}

/// Who stands in line or waits for another job is looked after at every beat, also where there is
/// nobody to speak to.
#[test]
fn a_node_alone_looks_after_those_who_wait_ten_times_a_second() {
    let mut rig = Rig::new();
    for _ in 0..100 {
        rig.advance(30_000);
        rig.ask(read("a", At::Latest));
        let next = rig.node.next_deadline().unwrap();
        assert!(next > rig.now.mono_us && next <= rig.now.mono_us + 100_000);
    }
}

/// A process that has just begun does not know yet what schedulers tell.
#[test]
fn what_a_long_deadline_needs_is_kept_over_a_restart() {
    for heard in [true, false] {
        let settings =
            Settings { partitions: PARTITIONS, retention_ms: 10_000, ..Settings::default() };
        let mut rig = Rig::with(settings);
        let reads =
            |rig: &mut Rig, at| matches!(rig.ask(read("a", At::Snapshot(at))), Tell::Record(_));
        rig.ask(put(1, "a", "x"));
        rig.input(Input::Longest { deadline_ms: 60_000 });
        let at = present(&rig);
        rig.advance(30_000_000);
        rig.settle();
        rig.restart();
        rig.advance(2_000_000);
        assert!(reads(&mut rig, at), "it may be needed");
        if heard {
            rig.input(Input::Longest { deadline_ms: 60_000 });
        }
        rig.advance(2_000_000);
        assert_eq!(reads(&mut rig, at), heard);
    }
}

/// The horizon follows the longest deadline that schedulers tell of, and comes back to what is set
/// when no job that began under it can be under way any more.
#[test]
fn versions_are_kept_as_long_as_the_longest_deadline_says() {
    let settings = Settings { partitions: PARTITIONS, retention_ms: 10_000, ..Settings::default() };
    let mut rig = Rig::with(settings);
    let reads = |rig: &mut Rig, at| matches!(rig.ask(read("a", At::Snapshot(at))), Tell::Record(_));
    let longest = |rig: &mut Rig, deadline_ms| rig.input(Input::Longest { deadline_ms });
    rig.ask(put(1, "a", "x"));
    rig.settle();
    let at = present(&rig);
    longest(&mut rig, 60_000);
    longest(&mut rig, 1_000);
    rig.advance(89_000_000);
    assert!(reads(&mut rig, at), "within the deadline and the margin");
    rig.advance(2_000_000);
    assert!(!reads(&mut rig, at), "behind them");
    longest(&mut rig, 1_000);
    let at = present(&rig);
    rig.advance(30_000_000);
    assert!(reads(&mut rig, at), "within the shorter one and the margin");
    rig.advance(2_000_000);
    assert!(!reads(&mut rig, at), "the longer one counts no more");
    longest(&mut rig, u64::MAX);
    let at = present(&rig);
    rig.advance(3_600_000_000);
    assert!(reads(&mut rig, at));
    rig.advance(31_000_000);
    assert!(!reads(&mut rig, at), "nobody may ask for more than the longest deadline there is");
}

/// What another primary decided in place of what is in the log already stands behind it there.
#[test]
fn a_record_with_an_index_that_the_log_has_replaces_the_end() {
    let mut rig = Rig::new();
    rig.ask(put(1, "{t}stays", "1"));
    let number = key("{t}").partition(PARTITIONS);
    let last = rig.records().filter(|record| record.partition == number).last().unwrap().clone();
    let decided = |index, epoch, ask: (u16, Ask)| {
        let Ask::Write(write) = ask.1 else { panic!() };
        let version = Timestamp(last.version.0 + index + epoch);
        let (request, mutation) = (write.request, Some(write.mutation));
        let decision =
            Decision::Write { request, mutation, written: Written::Done { version, value: None } };
        let index = last.index + index;
        LogEntry::Record(LogRecord { partition: number, epoch, index, version, decision })
    };
    let stranger = Member { disk: DiskId([9; 16]), ..rig.settings.me.clone() };
    let voters = vec![rig.settings.me.clone(), stranger];
    let foreign = Decision::Voters(voters);
    rig.log.push(vec![
        decided(1, 1, put(2, "{t}kept", "1")),
        decided(2, 1, put(3, "{t}cut", "1")),
        decided(3, 1, put(4, "{t}cut too", "1")),
        LogEntry::Record(LogRecord { index: last.index + 4, decision: foreign, ..last.clone() }),
    ]);
    rig.log.push(vec![decided(2, 2, put(5, "{t}instead", "1"))]);
    rig.restart();
    assert!(rig.node.led().any(|(led, _)| led == number), "the other voters are cut off too");
    let found = ["{t}stays", "{t}kept", "{t}cut", "{t}cut too", "{t}instead"]
        .map(|name| value(&rig.ask(read(name, At::Latest))).is_some());
    assert_eq!(found, [true, true, false, false, true]);
    rig.restart();
    let mut records = rig.records().filter(|record| record.partition == number);
    let next = records.find(|record| record.epoch >= 3).unwrap();
    assert_eq!(next.index, last.index + 3, "the log goes on behind the new end");
}

#[test]
fn epochs_grow_with_every_start() {
    let mut rig = Rig::new();
    let epochs = |rig: &Rig| rig.node.led().map(|(_, epoch)| epoch).collect::<Vec<_>>();
    assert_eq!(epochs(&rig), [1; PARTITIONS as usize]);
    rig.restart();
    assert_eq!(epochs(&rig), [2; PARTITIONS as usize]);
    let _ = request(1);
}

/// A branch that was cut off may have epochs above and below that of what took its place.
#[test]
fn all_of_a_branch_that_was_cut_off_is_passed_over() {
    let mut state = MemoryState::default();
    let applied = Position { epoch: 3, index: 1 };
    let mark = Mark { applied, ..Mark::default() };
    let changes = Changes { marks: vec![(0, mark)], ..Changes::default() };
    state.apply(&[changes]).unwrap();
    let record = |index, epoch| {
        let (version, decision) = (Timestamp::ZERO, Decision::Epoch);
        LogEntry::Record(LogRecord { partition: 0, epoch, index, version, decision })
    };
    let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
    let restored = |entries: Vec<LogEntry>| {
        let mut node: Node<u64> = Node::new(settings.clone(), &state).unwrap();
        node.restore(entries, &state).map(|()| node.log(0).last().unwrap().0)
    };
    let cut = vec![record(1, 1), record(2, 2), record(3, 4), record(4, 5)];
    let taken = vec![record(1, 3), record(2, 6)];
    let last = restored([cut, taken].concat()).unwrap();
    assert_eq!(last, Position { epoch: 6, index: 2 });
    assert!(restored(vec![record(1, 3), record(3, 4)]).is_err(), "a record is missing");
}

/// After a crash the state may hold more than it stands for. What was added to a record may then be
/// forgotten together with a later deletion, and is added to nothing when the log is taken in.
#[test]
fn sums_whose_base_went_with_a_forgotten_deletion_stop_nothing() {
    let mut state = MemoryState::default();
    let applied = Position { epoch: 1, index: 1 };
    let mark = Mark { applied, newest: Timestamp(1), ..Mark::default() };
    state.apply(&[Changes { marks: vec![(0, mark)], ..Changes::default() }]).unwrap();
    let record = |index: u64, change| {
        let mutations = vec![Mutation { key: key("a"), change }];
        let (version, decision) = (Timestamp(index), Decision::Effects { mutations });
        LogEntry::Record(LogRecord { partition: 0, epoch: 1, index, version, decision })
    };
    // The record held -5 when these were decided.
    let changes = [Change::Add(i64::MAX), Change::Add(1), Change::Delete];
    let entries = (2..).zip(changes).map(|(index, change)| record(index, change)).collect();
    let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
    let mut node: Node<u64> = Node::new(settings, &state).unwrap();
    node.restore(entries, &state).unwrap();
    assert_eq!(node.log(0).last().unwrap().0, Position { epoch: 1, index: 4 });
}
