//! Frames stay small whatever fills them: one is closed before the record that would follow its
//! limit, so it has at most one record more than that.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where this fails")]

mod rig;

use catena_protocol::limit::VALUE_BYTES;
use catena_protocol::message::write::Change;
use catena_protocol::{JobId, Timestamp};
use rig::cluster::Cluster;
use rig::{PARTITIONS, START_US, commit, effects, key, put};

/// A frame is closed when it has so much, and a record and its head come before that is seen.
const MOST: usize = 1024 * 1024 + VALUE_BYTES + 1024;
/// So many of the largest records are more than two frames.
const RECORDS: u64 = 12;

fn tag(partition: u16) -> String {
    (0..).map(|n| format!("{{{n}}}")).find(|t| key(t).partition(PARTITIONS) == partition).unwrap()
}

fn value() -> String {
    "x".repeat(VALUE_BYTES)
}

/// Jobs of one home that each write a large record in another partition.
fn commits(
    cluster: &Cluster,
    home: u16,
    other: u16,
) -> Vec<(u16, catena_protocol::message::store::Ask)> {
    let one = |number: u64| {
        let (name, value) = (format!("{}{number}", tag(other)), Change::Put(value().into()));
        let job = JobId::random(home, START_US, number.to_be_bytes());
        commit(job, Timestamp(cluster.now.wall_us), effects(&[], &[], vec![(&name, value)]))
    };
    (0..RECORDS).map(one).collect()
}

/// Two partitions that are led by one node, or by two.
fn pair(cluster: &Cluster, by_one: bool) -> (u16, u16) {
    let leads = |number| cluster.primary(number).unwrap();
    let mut pairs = (0..PARTITIONS).flat_map(|a| (0..PARTITIONS).map(move |b| (a, b)));
    pairs.find(|(a, b)| a != b && (leads(*a) == leads(*b)) == by_one).unwrap()
}

fn are_small(cluster: &Cluster) {
    for (node, bytes) in cluster.largest_frames.iter().enumerate() {
        assert!(*bytes <= MOST, "a frame of {bytes} bytes at node {node}");
    }
    assert!(cluster.largest_frames.iter().any(|bytes| *bytes > VALUE_BYTES));
}

/// One message for each sync, whatever the number of partitions, as long as it is small.
#[test]
fn one_frame_is_one_message_to_the_replicas_of_all_its_partitions() {
    let mut cluster = Cluster::led();
    let (one, other) = pair(&cluster, true);
    let primary = cluster.primary(one).unwrap();
    let puts = (0..20).map(|n| put(n, &format!("{}{n}", tag([one, other][n as usize % 2])), "x"));
    let (frames, pushes) = (cluster.frames(primary), cluster.pushes[primary]);
    cluster.send_all(primary, puts.collect());
    assert_eq!(cluster.frames(primary) - frames, 1);
    assert_eq!(cluster.pushes[primary] - pushes, 1);
}

#[test]
fn filled_by_requests_of_one_turn() {
    let mut cluster = Cluster::led();
    let (primary, _) = cluster.elected(0);
    let puts = (0..RECORDS).map(|n| put(n, &format!("{}{n}", tag(0)), &value())).collect();
    cluster.send_all(primary, puts);
    cluster.settle();
    are_small(&cluster);
}

#[test]
fn filled_by_one_push() {
    let mut cluster = Cluster::led();
    let (primary, _) = cluster.elected(0);
    let puts = (0..RECORDS).map(|n| put(n, &format!("{}{n}", tag(0)), &value())).collect();
    cluster.send_all(primary, puts);
    while cluster.sync(primary) {}
    cluster.put_together();
    cluster.settle();
    are_small(&cluster);
}

#[test]
fn filled_by_one_letter() {
    let mut cluster = Cluster::led();
    let (home, other) = pair(&cluster, false);
    let commits = commits(&cluster, home, other);
    cluster.send_all(cluster.primary(home).unwrap(), commits);
    cluster.put_together();
    cluster.settle();
    are_small(&cluster);
}

#[test]
fn filled_by_what_a_node_tells_itself() {
    let mut cluster = Cluster::led();
    let (home, other) = pair(&cluster, true);
    let commits = commits(&cluster, home, other);
    cluster.send_all(cluster.primary(home).unwrap(), commits);
    cluster.settle();
    are_small(&cluster);
}
