//! Three nodes that keep the same partitions: what is promised when messages, disks and nodes
//! are lost.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where this fails")]

mod rig;

use catena_protocol::Key;
use catena_protocol::message::gossip::{Item, Line, Part};
use catena_protocol::message::read::At;
use catena_protocol::message::store::Tell;
use catena_protocol::message::write::Written;
use catena_storage::machine::{Event, LEASE_US, QUORUM_US, Settings};
use catena_storage::state::{Changes, Mark, StateWriter};
use rig::cluster::{Cluster, Mail, Replica, member};
use rig::{PARTITIONS, key, put, read};
use std::cell::Cell;
use std::rc::Rc;

/// Of which partition the tests are about.
fn partition() -> u16 {
    key("{t}").partition(PARTITIONS)
}

fn written(tell: &Tell) -> bool {
    matches!(tell, Tell::Written(Written::Done { .. }))
}

fn value(tell: &Tell) -> Option<String> {
    let Tell::Record(record) = tell else { panic!("not a record: {tell:?}") };
    record.value.as_ref().map(|value| String::from_utf8(value.0.to_vec()).unwrap())
}

/// Whether the state of a node has a record.
fn has(cluster: &Cluster, node: usize, name: &str) -> bool {
    let name = Key::new(name).unwrap();
    let held = cluster.held(node, partition());
    held.iter().any(|item| matches!(item, Item::Row(key, ..) if *key == name))
}

fn is_elected((_, event): &(usize, Event)) -> bool {
    matches!(event, Event::Leads { partition: of, .. } if *of == partition())
}

/// A cluster whose partition is led, and by whom, and who follows.
fn led() -> (Cluster, usize, [usize; 2]) {
    let mut cluster = Cluster::new();
    // Until those lead that should, and nothing moves any more.
    cluster.advance(6_000_000);
    let (primary, others) = cluster.elected(partition());
    (cluster, primary, others)
}

#[test]
fn each_partition_gets_one_primary_and_it_is_the_preferred_one() {
    let mut cluster = Cluster::new();
    for number in 0..PARTITIONS {
        cluster.elected(number);
    }
    for number in 0..PARTITIONS {
        let preferred = Some(Cluster::preferred(number));
        cluster.until("the preferred primary", |cluster| cluster.primary(number) == preferred);
    }
    let epochs = |cluster: &Cluster| {
        let leading = cluster.replicas.iter().flat_map(|r| r.node.as_ref().unwrap().led());
        leading.map(|(_, epoch)| epoch).collect::<Vec<_>>()
    };
    let before = epochs(&cluster);
    cluster.advance(5_000_000);
    assert_eq!(epochs(&cluster), before, "nobody is deposed without need");
}

/// The primary's own is one of them: its state never has what its log could still lose.
#[test]
fn a_write_is_acknowledged_when_two_disks_have_it() {
    let (mut cluster, primary, [one, other]) = led();
    let orders = [vec![primary, one], vec![one, primary], vec![one, other, primary]];
    for (number, mut order) in (1..).zip(orders) {
        let last = order.pop().unwrap();
        cluster.replicas.iter_mut().for_each(|replica| replica.slow_disk = true);
        let id = cluster.send(primary, put(number, "{t}a", &number.to_string()));
        cluster.settle();
        for node in &order {
            cluster.sync(*node);
            cluster.settle();
            assert!(!cluster.answers.contains_key(&id), "too early: {order:?}");
            let seen = cluster.ask(primary, read("{t}a", At::Latest));
            assert_ne!(value(&seen), Some(number.to_string()), "nobody may see it yet");
        }
        cluster.sync(last);
        cluster.settle();
        assert!(written(&cluster.answers[&id]), "it is there: {order:?}, {last}");
        cluster.replicas.iter_mut().for_each(|replica| replica.slow_disk = false);
        cluster.advance(200_000);
    }
}

#[test]
fn what_was_pushed_and_lost_is_fetched() {
    let (mut cluster, primary, [one, other]) = led();
    cluster.loses = Box::new(move |_, to, mail| to == one && matches!(mail, Mail::Push(_)));
    for number in 0..20 {
        let told = cluster.ask(primary, put(number, &format!("{{t}}{number}"), "x"));
        assert!(written(&told));
    }
    cluster.advance(500_000);
    for follower in [one, other] {
        assert!(cluster.agree(primary, follower, partition()), "{follower}");
    }
    assert!(has(&cluster, one, "{t}19"));
}

#[test]
fn a_primary_that_is_cut_off_answers_no_reads_after_its_lease() {
    let (mut cluster, primary, others) = led();
    cluster.ask(primary, put(1, "{t}a", "old"));
    cluster.replicas[primary].cut = true;
    cluster.advance(LEASE_US);
    let late = cluster.send(primary, read("{t}a", At::Latest));
    assert!(!cluster.answers.contains_key(&late), "somebody else may lead by now");
    let (new, _) = cluster.elected(partition());
    assert!(others.contains(&new));
    assert!(written(&cluster.ask(new, put(2, "{t}a", "new"))));
    cluster.until("the old one gives up", |cluster| cluster.answers.contains_key(&late));
    assert!(matches!(cluster.answers[&late], Tell::NotPrimary { .. }));
    let id = cluster.send(primary, read("{t}a", At::Latest));
    assert!(matches!(cluster.answers[&id], Tell::NotPrimary { .. }));
    assert_eq!(value(&cluster.ask(new, read("{t}a", At::Latest))), Some("new".into()));
}

/// At no moment do two answer, whoever hears whom.
#[test]
fn the_next_primary_begins_after_the_lease_of_the_last() {
    let (mut cluster, primary, _) = led();
    cluster.ask(primary, put(1, "{t}a", "old"));
    cluster.replicas[primary].cut = true;
    cluster.elected(partition());
    let id = cluster.send(primary, read("{t}a", At::Latest));
    assert!(!matches!(cluster.answers.get(&id), Some(Tell::Record(_))));
}

#[test]
fn what_no_majority_has_is_replaced_and_its_writer_is_told_that_it_is_open() {
    let (mut cluster, primary, [one, _]) = led();
    cluster.ask(primary, put(1, "{t}both", "x"));
    cluster.advance(200_000);
    cluster.replicas[primary].cut = true;
    let open = cluster.send(primary, put(2, "{t}cut", "x"));
    cluster.settle();
    let (new, _) = cluster.elected(partition());
    for number in 3..6 {
        let told = cluster.ask(new, put(number, &format!("{{t}}{number}"), "x"));
        assert!(written(&told));
    }
    cluster.advance(QUORUM_US);
    assert!(matches!(cluster.answers[&open], Tell::Deposed { .. }), "{:?}", cluster.answers[&open]);
    cluster.replicas[primary].cut = false;
    cluster.advance(1_000_000);
    for node in [primary, one] {
        assert!(cluster.agree(new, node, partition()));
        assert!(has(&cluster, node, "{t}both") && has(&cluster, node, "{t}5"));
        assert!(!has(&cluster, node, "{t}cut"));
    }
    // What was replaced stands in its log file for ever, and does not come back.
    cluster.kill(primary);
    cluster.start(primary);
    cluster.advance(6_000_000);
    let (leads, _) = cluster.elected(partition());
    assert!(!has(&cluster, primary, "{t}cut"));
    assert!(written(&cluster.ask(leads, put(7, "{t}7", "x"))));
}

#[test]
fn who_lacks_what_was_acknowledged_is_not_elected() {
    for lags in 0..2 {
        let (mut cluster, primary, others) = led();
        let (behind, complete) = (others[lags], others[1 - lags]);
        cluster.replicas[behind].cut = true;
        assert!(written(&cluster.ask(primary, put(1, "{t}a", "x"))));
        cluster.kill(primary);
        cluster.replicas[behind].cut = false;
        let (new, _) = cluster.elected(partition());
        assert_eq!(new, complete);
        assert_eq!(value(&cluster.ask(new, read("{t}a", At::Latest))), Some("x".into()));
    }
}

#[test]
fn a_vote_counts_once_it_is_durable() {
    for slow in 0..2 {
        let (mut cluster, primary, others) = led();
        cluster.kill(primary);
        cluster.replicas[others[slow]].slow_disk = true;
        cluster.events.clear();
        cluster.advance(3_000_000);
        assert!(!cluster.events.iter().any(is_elected), "{:?}", cluster.events);
        cluster.replicas[others[slow]].slow_disk = false;
        cluster.elected(partition());
    }
}

#[test]
fn a_follower_answers_at_a_snapshot_that_is_closed_and_says_so_if_it_is_not() {
    let (mut cluster, primary, [one, _]) = led();
    let version = rig::version(&cluster.ask(primary, put(1, "{t}a", "x")));
    cluster.advance(500_000);
    let past = cluster.send(one, read("{t}a", At::Snapshot(version)));
    assert_eq!(value(&cluster.answers[&past]), Some("x".into()));
    cluster.replicas[one].cut = true;
    let version = rig::version(&cluster.ask(primary, put(2, "{t}a", "y")));
    cluster.advance(100_000);
    let behind = cluster.send(one, read("{t}a", At::Snapshot(version)));
    assert!(matches!(cluster.answers[&behind], Tell::Behind { .. }));
}

/// That a majority has it does not make it certain: its epoch is over, and a third log could
/// still win against it (Raft, figure 8).
#[test]
fn what_an_earlier_primary_left_is_committed_only_with_a_record_of_the_next() {
    let (mut cluster, primary, [one, other]) = led();
    let is_ack = |mail: &Mail| matches!(mail.line(), Some(Line::Ack { .. }));
    cluster.loses = Box::new(move |_, to, mail| to == primary && is_ack(mail));
    cluster.send(primary, put(1, "{t}left", "x"));
    cluster.settle();
    cluster.kill(primary);
    cluster.loses = Box::new(|_, _, mail| {
        matches!(mail, Mail::Push(_)) || matches!(mail.line(), Some(Line::Fetched(_)))
    });
    cluster.events.clear();
    cluster.until("an election", |cluster| cluster.events.iter().any(is_elected));
    cluster.advance(300_000);
    assert!(!has(&cluster, one, "{t}left") && !has(&cluster, other, "{t}left"));
    cluster.loses = Box::new(|_, _, _| false);
    cluster.until("it is committed", |cluster| {
        has(cluster, one, "{t}left") && has(cluster, other, "{t}left")
    });
}

fn short_tail() -> Settings {
    Settings { tail_bytes: 4_000, message_bytes: 40_000, ..Settings::default() }
}

/// A cluster with one node away while more was written than anybody keeps in memory.
fn one_is_behind() -> (Cluster, usize, usize) {
    one_is_behind_while_the_third_gathers(0)
}

/// The same, where what is committed gathers on the third until it is so many bytes.
fn one_is_behind_while_the_third_gathers(apply_bytes: usize) -> (Cluster, usize, usize) {
    let mut cluster = Cluster::with(&short_tail());
    cluster.advance(6_000_000);
    let (primary, [one, third]) = cluster.elected(partition());
    cluster.kill(third);
    cluster.replicas[third].settings.apply_bytes = apply_bytes;
    cluster.start(third);
    cluster.advance(1_000_000);
    cluster.ask(primary, put(1, "{t}before", "x"));
    cluster.advance(200_000);
    cluster.replicas[one].cut = true;
    let large = "x".repeat(10_000);
    for number in 2..102 {
        assert!(written(&cluster.ask(primary, put(number, &format!("{{t}}{number}"), &large))));
    }
    assert!(!has(&cluster, one, "{t}2"));
    cluster.replicas[one].cut = false;
    (cluster, primary, one)
}

#[test]
fn who_was_away_too_long_takes_a_copy() {
    let (mut cluster, primary, one) = one_is_behind();
    cluster.until("a copy", |cluster| cluster.agree(primary, one, partition()));
    assert!(cluster.events.contains(&(one, Event::Copies { partition: partition() })));
    assert!(has(&cluster, one, "{t}before") && has(&cluster, one, "{t}101"));
    // It takes part again: with it there is a majority, also after a start.
    cluster.kill(one);
    cluster.start(one);
    let third = 3 - primary - one;
    cluster.replicas[third].cut = true;
    cluster.advance(1_000_000);
    let (primary, _) = cluster.elected(partition());
    assert!(written(&cluster.ask(primary, put(200, "{t}after", "x"))));
    cluster.until("the same", |cluster| cluster.agree(primary, one, partition()));
}

#[test]
fn a_copy_that_was_begun_counts_for_nothing_and_is_begun_again() {
    let (mut cluster, primary, one) = one_is_behind();
    cluster.step_until("a piece of it", |cluster| cluster.mark(one, partition()).copying);
    cluster.kill(one);
    assert!(!has(&cluster, one, "{t}99"), "in the middle of it");
    cluster.start(one);
    cluster.tick();
    let told = cluster.replicas[one].told.clone().unwrap();
    let standing = told.replicas.iter().find(|standing| standing.partition == partition());
    assert_eq!(standing.unwrap().part, Part::Copying);
    cluster.until("a copy", |cluster| cluster.agree(primary, one, partition()));
    assert!(has(&cluster, one, "{t}99"));
}

#[test]
fn a_copy_does_not_wait_for_a_new_primary_whose_state_is_behind_its_log() {
    let (mut cluster, primary, one) = one_is_behind_while_the_third_gathers(usize::MAX);
    let third = 3 - primary - one;
    cluster.step_until("a piece of it", |cluster| cluster.mark(one, partition()).copying);
    assert!(!has(&cluster, third, "{t}99"), "it is only in its log");
    cluster.replicas[primary].cut = true;
    let cut_us = cluster.now.mono_us;
    cluster.until("a copy from the next", |cluster| has(cluster, one, "{t}99"));
    let waited_us = cluster.now.mono_us - cut_us;
    assert!(waited_us < 5_000_000, "{waited_us} us");
}

#[test]
fn the_log_behind_a_copy_is_not_kept_at_any_length() {
    let (mut cluster, primary, one) = one_is_behind();
    cluster.step_until("a piece of it", |cluster| cluster.mark(one, partition()).copying);
    // It asks again and again, and its pieces come late.
    let is_piece = |mail: &Mail| matches!(mail.line(), Some(Line::Piece(_)));
    cluster.loses = Box::new(move |_, to, mail| to == one && is_piece(mail));
    let small = "x".repeat(100);
    for number in 200..500 {
        assert!(written(&cluster.ask(primary, put(number, &format!("{{t}}{number}"), &small))));
    }
    cluster.advance(500_000);
    let kept = cluster.replicas[primary].node.as_ref().unwrap().log(partition()).count();
    assert!(kept < 100, "{kept} records");
    cluster.loses = Box::new(|_, _, _| false);
    cluster.until("a copy", |cluster| cluster.agree(primary, one, partition()));
    assert!(has(&cluster, one, "{t}99") && has(&cluster, one, "{t}499"));
}

#[test]
fn what_was_committed_before_a_copy_does_not_stand_for_it() {
    let mut cluster = Cluster::with(&short_tail());
    cluster.advance(6_000_000);
    let (primary, [one, _]) = cluster.elected(partition());
    // From now on what is committed gathers there.
    cluster.kill(one);
    cluster.replicas[one].settings.apply_bytes = usize::MAX;
    cluster.start(one);
    cluster.advance(1_000_000);
    assert!(written(&cluster.ask(primary, put(1, "{t}before", "x"))));
    cluster.advance(200_000);
    let before = cluster.mark(primary, partition()).applied;
    assert!(cluster.mark(one, partition()).applied < before && !has(&cluster, one, "{t}before"));
    cluster.replicas[one].cut = true;
    let small = "x".repeat(100);
    for number in 2..102 {
        assert!(written(&cluster.ask(primary, put(number, &format!("{{t}}{number}"), &small))));
    }
    cluster.replicas[one].cut = false;
    cluster.step_until("what was before", |cluster| has(cluster, one, "{t}before"));
    assert!(cluster.events.contains(&(one, Event::Copies { partition: partition() })));
    assert!(!has(&cluster, one, "{t}101"), "before the copy");
    assert_eq!(cluster.mark(one, partition()).applied, before);
    // The copy is lost with the process, which begins where it was.
    cluster.kill(one);
    cluster.start(one);
    cluster.until("a copy", |cluster| has(cluster, one, "{t}101"));
}

/// A follower whose disk takes nothing in for a while, in one way or the other.
fn takes_what_there_is_room_for(stop: impl Fn(&mut Replica, bool)) {
    const MOST: usize = 100_000;
    let mut cluster = Cluster::with(&Settings { pending_bytes: MOST, ..short_tail() });
    cluster.advance(6_000_000);
    let (primary, [one, _]) = cluster.elected(partition());
    stop(&mut cluster.replicas[one], true);
    let large = "x".repeat(10_000);
    let pending = |cluster: &Cluster| cluster.replicas[one].node.as_ref().unwrap().pending_bytes();
    for number in 1..101 {
        assert!(written(&cluster.ask(primary, put(number, &format!("{{t}}{number}"), &large))));
        assert!(pending(&cluster) <= MOST + 2 * large.len(), "{} bytes", pending(&cluster));
    }
    assert!(pending(&cluster) >= MOST, "as much as there is room for");
    stop(&mut cluster.replicas[one], false);
    cluster.until("the same", |cluster| cluster.agree(primary, one, partition()));
    assert_eq!(pending(&cluster), 0);
}

#[test]
fn a_follower_whose_state_stands_still_takes_no_more_than_there_is_room_for() {
    takes_what_there_is_room_for(|replica, stands| replica.slow_state = stands);
}

#[test]
fn a_follower_whose_log_stands_still_takes_no_more_than_there_is_room_for() {
    takes_what_there_is_room_for(|replica, stands| replica.slow_disk = stands);
}

/// A node is away for some time and comes back with an empty disk.
fn comes_back_empty(away_us: u64) {
    let (mut cluster, primary, [one, other]) = led();
    for number in 0..20 {
        cluster.ask(primary, put(number, &format!("{{t}}{number}"), "x"));
    }
    cluster.wipe(one, 2);
    cluster.advance(away_us);
    cluster.start(one);
    let new = member(one, 2);
    cluster.until("it is a voter", |cluster| {
        let voters = cluster.mark(one, partition()).voters;
        voters.is_some_and(|voters| voters.contains(&new))
    });
    assert!(cluster.agree(primary, one, partition()));
    let sorted = |mut members: Vec<_>| {
        members.sort();
        members
    };
    let two = sorted(vec![member(primary, 1), member(other, 1)]);
    let three = sorted(vec![member(primary, 1), member(other, 1), new]);
    assert_eq!(cluster.voters(primary, partition()), [two, three], "out first, then in");
    // Its disk counts, and a majority is two of three.
    cluster.replicas[other].cut = true;
    assert!(written(&cluster.ask(primary, put(100, "{t}100", "x"))));
}

#[test]
fn a_node_with_a_new_disk_learns_and_takes_the_place_of_its_old_self() {
    comes_back_empty(2_000_000);
}

#[test]
fn a_node_that_is_back_at_once_with_a_new_disk_takes_the_place_of_its_old_self() {
    comes_back_empty(0);
}

#[test]
fn a_new_disk_has_no_vote_before_it_is_voted_in() {
    let (mut cluster, primary, [one, other]) = led();
    cluster.ask(primary, put(1, "{t}a", "x"));
    cluster.kill(primary);
    cluster.wipe(one, 2);
    cluster.start(one);
    cluster.events.clear();
    cluster.advance(5_000_000);
    assert!(!cluster.events.iter().any(is_elected), "only {other} has its data");
    cluster.start(primary);
    let (leads, _) = cluster.elected(partition());
    assert_eq!(value(&cluster.ask(leads, read("{t}a", At::Latest))), Some("x".into()));
}

/// One of three replicas has found that its log is another one and has halted.
fn halted() -> (Cluster, usize, [usize; 2]) {
    let (mut cluster, primary, [one, other]) = led();
    cluster.ask(primary, put(1, "{t}a", "x"));
    cluster.advance(500_000);
    cluster.kill(one);
    let mark = cluster.mark(one, partition());
    let wrong = Mark { hash: mark.hash ^ 1, ..mark };
    let changes = Changes { marks: vec![(partition(), wrong)], ..Changes::default() };
    cluster.replicas[one].state.apply(&[changes]).unwrap();
    cluster.start(one);
    let halts = |cluster: &Cluster| {
        let mut events = cluster.events.iter();
        events.any(|(node, event)| {
            *node == one
                && matches!(event, Event::Halts { partition: of, .. } if *of == partition())
        })
    };
    cluster.until("it halts", halts);
    (cluster, primary, [one, other])
}

#[test]
fn a_replica_whose_log_is_another_halts_and_takes_no_part() {
    let (mut cluster, primary, [one, other]) = halted();
    assert!(written(&cluster.ask(primary, put(2, "{t}b", "x"))), "the others go on");
    cluster.replicas[other].cut = true;
    let id = cluster.send(primary, put(3, "{t}c", "x"));
    cluster.settle();
    assert!(!cluster.answers.contains_key(&id), "it acknowledges nothing");
    cluster.advance(5_000_000);
    assert!(!cluster.leads(one, partition()));
}

/// Its vote would count for a log that is not the one of the others.
#[test]
fn a_replica_that_halted_takes_no_part_after_a_restart_either() {
    let (mut cluster, primary, [one, _]) = halted();
    cluster.settle();
    cluster.kill(one);
    cluster.kill(primary);
    cluster.start(one);
    cluster.events.clear();
    cluster.advance(5_000_000);
    assert!(!cluster.events.iter().any(is_elected), "one of three is no majority");
    cluster.start(primary);
    let (leads, _) = cluster.elected(partition());
    assert_ne!(leads, one);
}

#[test]
fn the_preferred_primary_gets_its_partition_back_and_nothing_is_lost() {
    let (mut cluster, primary, _) = led();
    assert_eq!(primary, Cluster::preferred(partition()));
    cluster.kill(primary);
    cluster.advance(100_000);
    let (stands_in, _) = cluster.elected(partition());
    assert_ne!(stands_in, primary);
    assert!(written(&cluster.ask(stands_in, put(1, "{t}a", "x"))));
    cluster.start(primary);
    let mut nobody_us = 0;
    while cluster.primary(partition()) != Some(primary) {
        cluster.advance(10_000);
        nobody_us += if cluster.primary(partition()).is_none() { 10_000 } else { 0 };
        assert!(nobody_us <= 50_000, "it is handed over without an election's wait");
    }
    assert_eq!(value(&cluster.ask(primary, read("{t}a", At::Latest))), Some("x".into()));
}

/// Each strict read makes it speak at once; that must not put off what it looks after now and then.
#[test]
fn a_primary_that_is_asked_all_the_time_notices_that_it_is_alone() {
    let (mut cluster, primary, _) = led();
    cluster.replicas[primary].cut = true;
    for _ in 0..60 {
        cluster.send(primary, read("{t}a", At::Strict));
        cluster.advance(50_000);
    }
    assert!(!cluster.leads(primary, partition()));
}

/// Something happens to one node after the other. What each led is led by others after `most_us`.
fn is_replaced_within(
    most_us: u64,
    happens: impl Fn(&mut Cluster, usize),
    ends: impl Fn(&mut Cluster, usize),
) {
    let mut cluster = Cluster::new();
    cluster.advance(6_000_000);
    for node in 0..3 {
        let led = (0..PARTITIONS).filter(|number| cluster.primary(*number) == Some(node));
        let led: Vec<u16> = led.collect();
        assert!(!led.is_empty(), "{node} leads nothing");
        happens(&mut cluster, node);
        cluster.advance(most_us);
        for number in led {
            let next = (0..3).find(|other| *other != node && cluster.leads(*other, number));
            assert!(next.is_some(), "nobody but {node} leads partition {number}");
        }
        ends(&mut cluster, node);
        cluster.advance(6_000_000);
    }
}

#[test]
fn a_new_primary_is_there_within_a_second_and_a_half() {
    is_replaced_within(1_500_000, Cluster::kill, Cluster::start);
}

/// To the others who is paused is like who is cut off.
#[test]
fn who_is_cut_off_is_replaced_within_a_second_and_a_half() {
    let cut = |so| move |cluster: &mut Cluster, node: usize| cluster.replicas[node].cut = so;
    is_replaced_within(1_500_000, cut(true), cut(false));
}

/// It is heard until it gives up because it hears nobody: only then others ask for votes.
#[test]
fn who_hears_nobody_but_is_heard_is_replaced_within_a_second_and_a_half() {
    let deafen = |cluster: &mut Cluster, node| cluster.loses = Box::new(move |_, to, _| to == node);
    let heal = |cluster: &mut Cluster, _| cluster.loses = Box::new(|_, _, _| false);
    is_replaced_within(1_500_000, deafen, heal);
}

/// What it sent before it died comes when it is back.
#[test]
fn an_earlier_process_of_a_node_gets_no_answer() {
    let (mut cluster, primary, [one, _]) = led();
    let is_fetch = |mail: &Mail| matches!(mail.line(), Some(Line::Fetch { .. }));
    cluster.loses = Box::new(move |_, to, mail| to == one && matches!(mail, Mail::Push(_)));
    cluster.delays = Box::new(move |from, _, mail| from == one && is_fetch(mail));
    cluster.ask(primary, put(1, "{t}a", "x"));
    cluster.advance(200_000);
    cluster.kill(one);
    cluster.loses = Box::new(|_, _, _| false);
    cluster.delays = Box::new(|_, _, _| false);
    cluster.start(one);
    // Nothing is under way when it comes.
    cluster.until("the same", |cluster| cluster.agree(primary, one, partition()));
    let answers = Rc::new(Cell::new(0));
    let counted = Rc::clone(&answers);
    cluster.loses = Box::new(move |from, to, mail| {
        let answer = matches!(mail.line(), Some(Line::Fetched(_) | Line::Gone { .. }));
        counted.set(counted.get() + usize::from(from == primary && to == one && answer));
        false
    });
    assert!(cluster.arrive() > 0, "it had asked");
    cluster.settle();
    assert_eq!(answers.get(), 0);
}

/// What a majority heard before the read came does not count for it.
#[test]
fn a_strict_read_waits_for_a_majority_that_was_asked_after_it_came() {
    let (mut cluster, primary, _) = led();
    cluster.ask(primary, put(1, "{t}a", "x"));
    cluster.delays =
        Box::new(move |_, to, mail| to == primary && matches!(mail.line(), Some(Line::Ack { .. })));
    cluster.advance(200_000);
    let latest = cluster.send(primary, read("{t}a", At::Latest));
    assert!(matches!(cluster.answers[&latest], Tell::Record(_)), "under the lease");
    let strict = cluster.send(primary, read("{t}a", At::Strict));
    cluster.arrive();
    assert!(!cluster.answers.contains_key(&strict), "they answered something earlier");
    cluster.settle();
    assert_eq!(value(&cluster.answers[&strict]), Some("x".into()));
}
