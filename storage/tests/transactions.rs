//! Jobs over several partitions on three nodes: all or nothing, also when somebody is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where this fails")]

mod rig;

use catena_protocol::chain::Isolation;
use catena_protocol::message::commit::{Costs, Decided, End, Outcome, Part};
use catena_protocol::message::gossip::{Item, Line};
use catena_protocol::message::read::At;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::Change;
use catena_protocol::{AttemptId, Code, JobId, Timestamp};
use rig::cluster::{Cluster, Mail, member};
use rig::{PARTITIONS, START_US, but, commit, effects, key, put, read};

/// A tag whose keys live in a partition.
fn tag(partition: u16) -> String {
    (0..).map(|n| format!("{{{n}}}")).find(|t| key(t).partition(PARTITIONS) == partition).unwrap()
}

fn name(partition: u16, name: &str) -> String {
    format!("{}{name}", tag(partition))
}

/// Two partitions with different primaries: home and another.
fn apart(cluster: &Cluster) -> (u16, u16) {
    let leads = |number| cluster.primary(number).unwrap();
    let other = (1..PARTITIONS).find(|number| leads(*number) != leads(0));
    (0, other.expect("not all are led by one node"))
}

fn job(home: u16, number: u64) -> JobId {
    JobId::random(home, START_US, number.to_be_bytes())
}

fn now(cluster: &Cluster) -> Timestamp {
    Timestamp(cluster.now.wall_us)
}

/// Asks the primary of the partition that it is about.
fn ask(cluster: &mut Cluster, ask: (u16, Ask)) -> Tell {
    let (primary, _) = cluster.elected(ask.0);
    cluster.ask(primary, ask)
}

fn value(cluster: &mut Cluster, name: &str) -> Option<String> {
    let Tell::Record(record) = ask(cluster, read(name, At::Latest)) else { panic!("no record") };
    record.value.map(|value| String::from_utf8(value.0.to_vec()).unwrap())
}

fn puts(names: &[&str], value: &str) -> catena_protocol::message::handoff::Effects {
    effects(&[], &[], names.iter().map(|name| (*name, Change::Put(value.into()))).collect())
}

fn outcome(tell: &Tell) -> &Outcome {
    match tell {
        Tell::Decided(Decided::Outcome(outcome)) => outcome,
        other => panic!("not decided: {other:?}"),
    }
}

fn is_committed(tell: &Tell) -> bool {
    matches!(tell, Tell::Decided(Decided::Outcome(Outcome { end: End::Committed(_), .. })))
}

fn is_conflict(tell: &Tell) -> bool {
    matches!(tell, Tell::Decided(Decided::Conflict { .. }))
}

/// Whether no replica of any partition remembers a transaction.
fn is_clean(cluster: &Cluster) -> bool {
    (0..3).all(|node| {
        (0..PARTITIONS).all(|number| {
            let held = cluster.held(node, number);
            held.iter().all(|item| !matches!(item, Item::Intent(_) | Item::Unsettled(_)))
        })
    })
}

#[test]
fn writes_in_two_partitions_appear_together_with_one_version() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, b) = (name(home, "a"), name(other, "b"));
    let before = now(&cluster);
    let told = ask(&mut cluster, commit(job(home, 1), before, puts(&[&a, &b], "x")));
    assert!(is_committed(&told), "{told:?}");
    let version = outcome(&told).version;
    for name in [&a, &b] {
        assert_eq!(value(&mut cluster, name).as_deref(), Some("x"));
        for (at, there) in [(version.0 - 1, false), (version.0, true)] {
            let told = ask(&mut cluster, read(name, At::Snapshot(Timestamp(at))));
            let Tell::Record(record) = told else { panic!("{told:?}") };
            assert_eq!(record.value.is_some(), there, "{name} at {at}");
        }
    }
    cluster.until("everybody has heard of it", is_clean);
}

#[test]
fn who_asks_is_told_what_a_commit_took() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, b) = (name(home, "a"), name(other, "b"));
    let before = now(&cluster);
    let explained = |cluster: &mut Cluster, number, names: &[&str]| {
        let asked = commit(job(home, number), before, puts(names, "x"));
        match ask(cluster, but(asked, |commit| commit.explain = true)) {
            Tell::Decided(Decided::Explained(outcome, costs)) => (outcome.version, *costs),
            other => panic!("not explained: {other:?}"),
        }
    };
    let led_by =
        |cluster: &Cluster, partition| Some(member(cluster.primary(partition).unwrap(), 1).node);
    let part = |cluster: &Cluster, partition, writes| {
        let node = led_by(cluster, partition);
        Part { partition, node, reads: 0, scans: 0, writes }
    };
    let (_, costs) = explained(&mut cluster, 1, &[&a]);
    let parts = vec![part(&cluster, home, 1)];
    assert_eq!(costs, Costs { parts, ..Costs::default() });

    let (version, costs) = explained(&mut cluster, 2, &[&b]);
    let mut parts = vec![part(&cluster, home, 0), part(&cluster, other, 1)];
    parts.sort_by_key(|part| part.partition);
    assert_eq!(costs.parts, parts);
    assert!(costs.rounds >= 1 && costs.asked >= costs.rounds, "{costs:?}");
    assert!(costs.answered >= costs.rounds && costs.answered <= costs.asked, "{costs:?}");
    assert_eq!(value(&mut cluster, &b).as_deref(), Some("x"));

    // Asked again, it is the outcome; what it took is not remembered.
    let again = commit(job(home, 2), before, puts(&[&b], "x"));
    let told = ask(&mut cluster, but(again, |commit| commit.explain = true));
    assert_eq!(outcome(&told).version, version);
}

#[test]
fn whoever_was_overtaken_in_another_partition_conflicts_and_changes_nothing() {
    for (reads, writes) in [(true, false), (false, true), (true, true)] {
        let mut cluster = Cluster::led();
        let (home, other) = apart(&cluster);
        let (a, b) = (name(home, "a"), name(other, "b"));
        let before = now(&cluster);
        cluster.advance(20_000);
        ask(&mut cluster, put(1, &b, "first"));
        let mut wanted = puts(&[&a], "x");
        if reads {
            wanted.reads.push(key(&b));
        }
        if writes {
            wanted.writes.extend(puts(&[&b], "x").writes);
        }
        let told = ask(&mut cluster, commit(job(home, 1), before, wanted.clone()));
        assert!(is_conflict(&told), "{told:?}");
        assert_eq!(value(&mut cluster, &a), None);
        assert_eq!(value(&mut cluster, &b).as_deref(), Some("first"));
        cluster.advance(20_000);
        let again = now(&cluster);
        let told = ask(&mut cluster, commit(job(home, 1), again, wanted));
        assert!(is_committed(&told), "{told:?}");
    }
}

fn is_line(mail: &Mail, what: fn(&Line) -> bool) -> bool {
    mail.line().is_some_and(what)
}

/// Sends a request to the primary of its partition, and does not wait.
fn send(cluster: &mut Cluster, ask: (u16, Ask)) -> u64 {
    let primary = cluster.primary(ask.0).unwrap();
    cluster.send(primary, ask)
}

fn answered(cluster: &mut Cluster, id: u64) -> Tell {
    cluster.until("an answer", |cluster| cluster.answers.contains_key(&id));
    cluster.answers[&id].clone()
}

fn snapshot(cluster: &mut Cluster, name: &str, at: Timestamp) -> u64 {
    send(cluster, read(name, At::Snapshot(at)))
}

/// A home whose question about a job has reached the other partition, which is ready; the answer
/// to that is lost.
fn prepared(cluster: &mut Cluster, home: u16, names: &[&str]) -> u64 {
    cluster.loses = Box::new(|_, _, mail| is_line(mail, |line| matches!(line, Line::Prepared(_))));
    let at = now(cluster);
    let id = send(cluster, commit(job(home, 1), at, puts(names, "x")));
    cluster.settle();
    cluster.advance(50_000);
    assert!(!cluster.answers.contains_key(&id));
    id
}

#[test]
fn a_home_that_is_gone_before_the_outcome_takes_the_job_with_it() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, b) = (name(home, "a"), name(other, "b"));
    prepared(&mut cluster, home, &[&a, &b]);
    let gone = cluster.primary(home).unwrap();
    cluster.kill(gone);
    cluster.loses = Box::new(|_, _, _| false);
    // Whoever reads waits for the next home to say so.
    assert_eq!(value(&mut cluster, &b), None);
    assert_eq!(value(&mut cluster, &a), None);
    cluster.start(gone);
    cluster.until("no intent is left", is_clean);
}

#[test]
fn a_home_that_is_gone_behind_the_outcome_is_followed_by_one_that_tells() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, b) = (name(home, "a"), name(other, "b"));
    cluster.loses = Box::new(|_, _, mail| is_line(mail, |line| matches!(line, Line::Resolve(_))));
    let at = now(&cluster);
    let told = ask(&mut cluster, commit(job(home, 1), at, puts(&[&a, &b], "x")));
    assert!(is_committed(&told));
    let gone = cluster.primary(home).unwrap();
    cluster.kill(gone);
    cluster.loses = Box::new(|_, _, _| false);
    assert_eq!(value(&mut cluster, &b).as_deref(), Some("x"));
    assert_eq!(value(&mut cluster, &a).as_deref(), Some("x"));
    cluster.start(gone);
    cluster.until("no intent is left", is_clean);
}

#[test]
fn whoever_said_ready_and_is_gone_is_followed_by_one_that_is_ready() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, b) = (name(home, "a"), name(other, "b"));
    let id = prepared(&mut cluster, home, &[&a, &b]);
    let gone = cluster.primary(other).unwrap();
    cluster.kill(gone);
    cluster.loses = Box::new(|_, _, _| false);
    let told = answered(&mut cluster, id);
    assert!(is_committed(&told), "{told:?}");
    assert_eq!(value(&mut cluster, &b).as_deref(), Some("x"));
    cluster.start(gone);
    cluster.until("no intent is left", is_clean);
}

#[test]
fn a_partition_that_does_not_answer_leaves_nothing_changed() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, b) = (name(home, "a"), name(other, "b"));
    let id = prepared(&mut cluster, home, &[&a, &b]);
    let told = answered(&mut cluster, id);
    assert!(matches!(&told, Tell::Fault(fault) if fault.code == Code::Unavailable), "{told:?}");
    cluster.loses = Box::new(|_, _, _| false);
    cluster.until("no intent is left", is_clean);
    assert_eq!((value(&mut cluster, &a), value(&mut cluster, &b)), (None, None));
    let at = now(&cluster);
    assert!(is_committed(&ask(&mut cluster, commit(job(home, 1), at, puts(&[&a, &b], "x")))));
}

#[test]
fn the_same_attempt_joins_and_another_one_is_told_to_wait() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, b) = (name(home, "a"), name(other, "b"));
    let first = prepared(&mut cluster, home, &[&a, &b]);
    let at = now(&cluster);
    let same = commit(job(home, 1), at, puts(&[&a, &b], "x"));
    let other = but(same.clone(), |commit| commit.attempt = AttemptId([9; 16]));
    let busy = send(&mut cluster, other.clone());
    assert!(matches!(cluster.answers[&busy], Tell::Decided(Decided::Busy { .. })));
    let joined = send(&mut cluster, same);
    cluster.loses = Box::new(|_, _, _| false);
    let told = answered(&mut cluster, first);
    assert!(is_committed(&told));
    assert_eq!(answered(&mut cluster, joined), told);
    assert_eq!(ask(&mut cluster, other), told, "the first outcome is everybody's");
}

#[test]
fn a_snapshot_below_an_intent_passes_it_and_one_above_waits() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, b) = (name(home, "a"), name(other, "b"));
    let before = now(&cluster);
    cluster.advance(20_000);
    let id = prepared(&mut cluster, home, &[&a, &b]);
    let after = now(&cluster);
    for name in [&a, &b] {
        let below = snapshot(&mut cluster, name, before);
        assert!(matches!(&cluster.answers[&below], Tell::Record(record) if record.value.is_none()));
    }
    let above = [&a, &b].map(|name| snapshot(&mut cluster, name, after));
    cluster.settle();
    assert!(above.iter().all(|id| !cluster.answers.contains_key(id)), "it is not decided");
    let direct = send(&mut cluster, put(1, &b, "direct"));
    cluster.settle();
    assert!(!cluster.answers.contains_key(&direct), "it comes behind the job");
    cluster.loses = Box::new(|_, _, _| false);
    assert!(is_committed(&answered(&mut cluster, id)));
    for id in above {
        let told = answered(&mut cluster, id);
        assert!(matches!(&told, Tell::Record(record) if record.value.is_some()), "{told:?}");
    }
    answered(&mut cluster, direct);
    assert_eq!(value(&mut cluster, &b).as_deref(), Some("direct"));
}

fn adds(names: &[&str]) -> catena_protocol::message::handoff::Effects {
    effects(&[], &[], names.iter().map(|name| (*name, Change::Add(1))).collect())
}

#[test]
fn additions_meet_without_conflict_and_none_is_lost_whoever_hears_of_its_end_first() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, b) = (name(home, "a"), name(other, "b"));
    // The ends of all are on their way until all have committed, then the last comes first.
    cluster.delays = Box::new(|_, _, mail| is_line(mail, |line| matches!(line, Line::Resolve(_))));
    let at = now(&cluster);
    let ids: Vec<u64> = (1..=5)
        .map(|number| send(&mut cluster, commit(job(home, number), at, adds(&[&a, &b]))))
        .collect();
    for id in ids {
        let told = answered(&mut cluster, id);
        assert!(is_committed(&told), "{told:?}");
    }
    cluster.reverse_delayed();
    cluster.arrive();
    cluster.until("no intent is left", is_clean);
    for name in [&a, &b] {
        assert_eq!(value(&mut cluster, name).as_deref(), Some("5"), "{name}");
    }
}

/// Else jobs that add to the same records in several places chase each other's times, and hardly
/// one gets through.
#[test]
fn an_addition_may_come_in_below_one_that_is_not_decided() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let b = name(other, "b");
    cluster.delays = Box::new(|_, _, mail| is_line(mail, |line| matches!(line, Line::Prepare(_))));
    let at = now(&cluster);
    let ids: Vec<u64> = (1..=3)
        .map(|number| {
            let asked = commit(job(home, number), at, adds(&[&b]));
            send(&mut cluster, but(asked, |commit| commit.explain = true))
        })
        .collect();
    while cluster.deliver() {}
    // The one with the latest time is ready first.
    cluster.reverse_delayed();
    cluster.arrive();
    for id in ids {
        let told = answered(&mut cluster, id);
        let Tell::Decided(Decided::Explained(_, costs)) = told else { panic!("{told:?}") };
        assert_eq!(costs.rounds, 1, "nobody needs another time");
    }
    cluster.until("no intent is left", is_clean);
    assert_eq!(value(&mut cluster, &b).as_deref(), Some("3"));
}

#[test]
fn a_question_that_comes_when_all_is_over_does_nothing() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, b) = (name(home, "a"), name(other, "b"));
    cluster.repeats = Box::new(|_, _, mail| is_line(mail, |line| matches!(line, Line::Prepare(_))));
    let at = now(&cluster);
    assert!(is_committed(&ask(&mut cluster, commit(job(home, 1), at, adds(&[&a, &b])))));
    cluster.until("no intent is left", is_clean);
    cluster.arrive();
    cluster.settle();
    cluster.advance(2_000_000);
    assert!(is_clean(&cluster));
    assert_eq!(value(&mut cluster, &b).as_deref(), Some("1"));
}

#[test]
fn of_two_that_each_read_what_the_other_writes_one_conflicts() {
    for (isolation, both) in [(Isolation::Serializable, false), (Isolation::Snapshot, true)] {
        let mut cluster = Cluster::led();
        let (home, other) = apart(&cluster);
        let (a, b) = (name(home, "a"), name(other, "b"));
        let at = now(&cluster);
        let skewed = |number: u64, reads: &str, writes: &str| {
            let effects = effects(&[reads], &[], vec![(writes, Change::Put("x".into()))]);
            but(commit(job(home, number), at, effects), |commit| commit.isolation = isolation)
        };
        let ids = [skewed(1, &a, &b), skewed(2, &b, &a)].map(|ask| send(&mut cluster, ask));
        let told = ids.map(|id| answered(&mut cluster, id));
        let committed = told.iter().filter(|tell| is_committed(tell)).count();
        assert!(committed == 2 || !both, "{told:?}");
        assert!(committed < 2 || both, "{told:?}");
    }
}

#[test]
fn what_was_scanned_elsewhere_must_not_have_grown() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, list) = (name(home, "a"), name(other, "list:"));
    let at = now(&cluster);
    cluster.advance(20_000);
    ask(&mut cluster, put(1, &format!("{list}1"), "new"));
    let mut wanted = puts(&[&a], "x");
    wanted.scans.push(key(&list));
    assert!(is_conflict(&ask(&mut cluster, commit(job(home, 1), at, wanted.clone()))));
    cluster.advance(20_000);
    let at = now(&cluster);
    assert!(is_committed(&ask(&mut cluster, commit(job(home, 1), at, wanted))));
}

/// What comes below a scan that counted is a phantom.
#[test]
fn nothing_comes_in_below_what_a_job_has_scanned() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, list) = (name(home, "a"), name(other, "list:"));
    let at = now(&cluster);
    // The scan counts at a later time than the other job was first given.
    cluster.delays = Box::new(|_, _, mail| is_line(mail, |line| matches!(line, Line::Prepare(_))));
    let new = send(&mut cluster, commit(job(home, 1), at, puts(&[&format!("{list}1")], "new")));
    cluster.settle();
    cluster.delays = Box::new(|_, _, _| false);
    cluster.advance(20_000);
    let mut scans = puts(&[&a], "x");
    scans.scans.push(key(&list));
    let told = ask(&mut cluster, commit(job(home, 2), at, scans));
    assert!(is_committed(&told), "{told:?}");
    let scanned = outcome(&told).version;
    cluster.arrive();
    let told = answered(&mut cluster, new);
    assert!(!is_committed(&told) || outcome(&told).version > scanned, "{told:?} {scanned}");
}

#[test]
fn who_adds_to_text_in_another_partition_has_failed() {
    let mut cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    let (a, b) = (name(home, "a"), name(other, "b"));
    ask(&mut cluster, put(1, &b, "text"));
    cluster.advance(20_000);
    let at = now(&cluster);
    let told = ask(&mut cluster, commit(job(home, 1), at, adds(&[&a, &b])));
    assert!(
        matches!(&outcome(&told).end, End::Failed(fault) if fault.code == Code::OperatorFailed)
    );
    assert_eq!(value(&mut cluster, &a), None);
    cluster.until("no intent is left", is_clean);
}

#[test]
fn more_intents_than_there_is_room_for_are_refused_and_nothing_is_changed() {
    let settings = catena_storage::machine::Settings { intents: 2, ..Default::default() };
    let mut cluster = Cluster::with(&settings);
    cluster.advance(6_000_000);
    let (home, other) = apart(&cluster);
    cluster.loses = Box::new(|_, _, mail| is_line(mail, |line| matches!(line, Line::Prepared(_))));
    let at = now(&cluster);
    let ids: Vec<u64> = (1..=3)
        .map(|number| {
            let b = name(other, &number.to_string());
            send(&mut cluster, commit(job(home, number), at, puts(&[&b], "x")))
        })
        .collect();
    cluster.settle();
    cluster.loses = Box::new(|_, _, _| false);
    let told: Vec<Tell> = ids.into_iter().map(|id| answered(&mut cluster, id)).collect();
    let refused = |tell: &&Tell| matches!(tell, Tell::Fault(fault) if fault.code == Code::TooBusy);
    assert_eq!(told.iter().filter(refused).count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|tell| is_committed(tell)).count(), 2);
    assert_eq!(value(&mut cluster, &name(other, "3")), None);
}

/// Two partitions with one primary ask each other nothing over the network.
#[test]
fn one_primary_of_two_partitions_sends_no_letters_to_itself() {
    let mut cluster = Cluster::led();
    let leads = |number| cluster.primary(number).unwrap();
    let pair = (0..PARTITIONS)
        .flat_map(|a| (a + 1..PARTITIONS).map(move |b| (a, b)))
        .find(|(a, b)| leads(*a) == leads(*b));
    let (home, other) = pair.expect("four partitions on three nodes");
    cluster.loses = Box::new(|_, _, mail| {
        let about = |line: &Line| {
            matches!(
                line,
                Line::Prepare(_) | Line::Prepared(_) | Line::Resolve(_) | Line::Resolved(_)
            )
        };
        assert!(!is_line(mail, about), "{mail:?}");
        false
    });
    let (a, b) = (name(home, "a"), name(other, "b"));
    let at = now(&cluster);
    assert!(is_committed(&ask(&mut cluster, commit(job(home, 1), at, puts(&[&a, &b], "x")))));
    cluster.until("no intent is left", is_clean);
}

/// Runs jobs that each read a counter and replace it by what comes next, all at once, and again
/// after a conflict, until all are through. Returns how often each ran. If `moves`, the primary of
/// the record is gone when half of them are through.
fn count_up(home: u16, at: u16, jobs: u64, moves: bool) -> Vec<u32> {
    let mut cluster = Cluster::led();
    let counter = name(at, "counter");
    let mut runs = vec![0_u32; usize::try_from(jobs).unwrap()];
    let mut open = Vec::new();
    let begin = |cluster: &mut Cluster, number: u64, snapshot: Timestamp| {
        let told = ask(cluster, read(&counter, At::Snapshot(snapshot)));
        let Tell::Record(record) = told else { panic!("{told:?}") };
        let before = record.value.map_or(0, |v| String::from_utf8_lossy(&v.0).parse().unwrap());
        let mut next = puts(&[&counter], &(before + 1_u64).to_string());
        next.reads.push(key(&counter));
        let id = send(cluster, commit(job(home, number), snapshot, next));
        (number, id)
    };
    let at_once = now(&cluster);
    for number in 0..jobs {
        open.push(begin(&mut cluster, number, at_once));
    }
    let mut moves = moves;
    while !open.is_empty() {
        if moves && open.len() as u64 <= jobs / 2 {
            moves = false;
            let (primary, _) = cluster.elected(at);
            cluster.kill(primary);
        }
        cluster.until("an answer to some job", |cluster| {
            open.iter().any(|(_, id)| cluster.answers.contains_key(id))
        });
        let answered = |cluster: &Cluster, id: &u64| cluster.answers.get(id).cloned();
        for (number, id) in std::mem::take(&mut open) {
            match answered(&cluster, &id) {
                None => open.push((number, id)),
                Some(tell) => {
                    runs[usize::try_from(number).unwrap()] += 1;
                    let version = match tell {
                        Tell::Decided(Decided::Conflict { version, .. }) => version,
                        Tell::Fault(fault) if fault.code == Code::Unavailable => Timestamp::ZERO,
                        tell => {
                            assert!(is_committed(&tell), "{tell:?}");
                            continue;
                        }
                    };
                    let snapshot = now(&cluster).max(version);
                    open.push(begin(&mut cluster, number, snapshot));
                }
            }
        }
    }
    assert_eq!(value(&mut cluster, &counter), Some(jobs.to_string()));
    runs
}

/// Each loses once, stands in line, and gets its turn. Here a turn takes some 10 ms, so that the
/// last wait for longer than anybody is left without an answer: they run twice more.
#[test]
fn a_thousand_jobs_that_rewrite_one_record_are_through_after_four_runs_each() {
    let cluster = Cluster::led();
    let (home, other) = apart(&cluster);
    for at in [home, other] {
        let runs = count_up(home, at, 1_000, false);
        let most = runs.iter().max().unwrap();
        let mean = f64::from(runs.iter().sum::<u32>()) / runs.len() as f64;
        assert!(*most <= 4 && mean < 3.5, "most {most}, mean {mean}");
    }
}

/// The line is forgotten with its primary: each that stood in it hears of its conflict when it has
/// waited long enough, runs once more than otherwise, and stands in the new line by its age.
#[test]
fn a_failover_costs_those_in_line_one_run() {
    let (home, other) = apart(&Cluster::led());
    let runs = count_up(home, other, 200, true);
    let most = runs.iter().max().unwrap();
    assert!(*most <= 5, "most {most}: {runs:?}");
}
