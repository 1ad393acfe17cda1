//! Jobs over several partitions on three nodes: all or nothing, also when somebody is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where this fails")]

mod rig;

use catena_protocol::chain::Isolation;
use catena_protocol::message::commit::{Decided, End, Outcome};
use catena_protocol::message::gossip::{Item, Line};
use catena_protocol::message::read::At;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::Change;
use catena_protocol::{AttemptId, Code, JobId, Timestamp};
use rig::cluster::{Cluster, Mail};
use rig::{PARTITIONS, START_US, but, commit, effects, key, put, read, write};

/// A tag whose keys live in a partition.
fn tag(partition: u16) -> String {
    (0..).map(|n| format!("{{{n}}}")).find(|t| key(t).partition(PARTITIONS) == partition).unwrap()
}

fn name(partition: u16, name: &str) -> String {
    format!("{}{name}", tag(partition))
}

/// A cluster in which each partition is led by who should lead it.
fn led() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.advance(6_000_000);
    (0..PARTITIONS).for_each(|number| drop(cluster.elected(number)));
    cluster
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
    let mut cluster = led();
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
fn whoever_was_overtaken_in_another_partition_conflicts_and_changes_nothing() {
    for (reads, writes) in [(true, false), (false, true), (true, true)] {
        let mut cluster = led();
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
