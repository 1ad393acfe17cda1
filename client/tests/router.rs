//! The store router: where requests go, what happens when nobody answers, and that each gets
//! exactly one answer that tells the truth.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is wrong")]

use catena_client::machine::router::Settings;
use catena_client::machine::{Effect, Input, Router, Target};
use catena_protocol::chain::Isolation;
use catena_protocol::clock::Now;
use catena_protocol::message::commit::{Commit, Decided, End};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::heartbeat::{Heartbeat, Led, Load};
use catena_protocol::message::read::{At, Read, Record};
use catena_protocol::message::store::{Ask, Response, Tell};
use catena_protocol::message::write::{Change, Condition, Mutation, Write, Written};
use catena_protocol::{AttemptId, Code, Fault, JobId, Key, Name, NodeId, RequestId, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn at_ms(ms: u64) -> Now {
    Now { wall_us: 0, mono_us: ms * 1000 }
}

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn read() -> Ask {
    Ask::Read(Read { key: Key::new("a").unwrap(), at: At::Latest })
}

fn write(number: u8) -> Ask {
    Ask::Write(Write {
        request: RequestId([number; 16]),
        mutation: Mutation {
            key: Key::new(format!("key{number}")).unwrap(),
            change: Change::Put("x".into()),
        },
        condition: Condition::Always,
    })
}

fn leads(name: &str, partition: u16, epoch: u64) -> Heartbeat {
    Heartbeat {
        node: node(name),
        boot: 1,
        draining: false,
        load: Load::Storage { partitions: 4, led: vec![Led { partition, epoch }] },
    }
}

/// A router with its clock and its effects of the last call.
struct Harness {
    router: Router<u32>,
    ms: u64,
    out: Vec<Effect<u32>>,
}

impl Harness {
    fn new(settings: Settings) -> Self {
        Self { router: Router::new(settings, 1), ms: 0, out: Vec::new() }
    }

    fn give(&mut self, input: Input<u32>) -> &[Effect<u32>] {
        self.out.clear();
        self.router.handle(at_ms(self.ms), input, &mut self.out);
        &self.out
    }

    fn ask(&mut self, caller: u32, ask: Ask, within_ms: u64) -> &[Effect<u32>] {
        let deadline_us = (self.ms + within_ms) * 1000;
        self.give(Input::Ask { caller, partition: 3, ask, deadline_us, patient: false })
    }

    /// Lets time pass until something happens.
    fn pass(&mut self) -> &[Effect<u32>] {
        self.out.clear();
        while self.out.is_empty() {
            let due = self.router.next_deadline().expect("something to wait for");
            self.ms = self.ms.max(due.div_ceil(1000));
            self.give(Input::Tick);
        }
        &self.out
    }

    /// The one send among the last effects.
    fn sent(&self) -> (Target, u64, u64) {
        match &self.out[..] {
            [Effect::Send { to, id, turn }] => (to.clone(), *id, *turn),
            other => panic!("expected one send, got {other:?}"),
        }
    }

    fn fault(&self) -> &Fault {
        match &self.out[..] {
            [Effect::Answer { result: Err(fault), .. }] => fault,
            other => panic!("expected one error, got {other:?}"),
        }
    }

    fn tell(&mut self, id: u64, tell: Tell) -> &[Effect<u32>] {
        self.give(Input::Told(Response { id, tell }))
    }
}

fn record() -> Tell {
    Tell::Record(Record::default())
}

#[test]
fn a_known_leader_is_asked_directly_and_an_unknown_one_by_partition() {
    let mut h = Harness::new(Settings::default());
    h.ask(1, read(), 1000);
    assert_eq!(h.sent().0, Target::Primary(3));
    h.give(Input::Alive(leads("s1", 3, 1)));
    assert!(h.out.is_empty(), "what was sent to the primary is already there");
    h.ask(2, read(), 1000);
    let (to, id, _) = h.sent();
    assert_eq!(to, Target::Node(node("s1")));
    assert_eq!(h.router.request(id).unwrap().partition, 3);
    assert_eq!(h.tell(id, record()), [Effect::Answer { caller: 2, result: Ok(record()) }]);
    assert!(h.tell(id, record()).is_empty(), "an answer that comes twice");
    assert!(h.router.request(id).is_none());
}

#[test]
fn a_node_that_does_not_lead_sends_the_request_on_at_once() {
    let mut h = Harness::new(Settings::default());
    h.give(Input::Alive(leads("s1", 3, 1)));
    h.ask(1, read(), 1000);
    let (_, id, _) = h.sent();
    h.tell(id, Tell::NotPrimary { primary: Some(node("s2")) });
    assert_eq!(h.sent().0, Target::Node(node("s2")));
    let (_, second, _) = h.sent();
    assert!(h.tell(id, Tell::NotPrimary { primary: None }).is_empty(), "about an earlier try");
    assert_eq!(h.tell(second, record()).len(), 1);
}

#[test]
fn two_nodes_that_point_at_each_other_do_not_make_it_spin() {
    let mut h = Harness::new(Settings::default());
    h.give(Input::Alive(leads("s1", 3, 1)));
    h.ask(1, read(), 1000);
    let mut sends = 1;
    while !h.out.is_empty() {
        let (to, id, _) = h.sent();
        let other = if to == Target::Node(node("s1")) { "s2" } else { "s1" };
        h.tell(id, Tell::NotPrimary { primary: Some(node(other)) });
        sends += 1;
        assert!(sends < 10);
    }
    assert_eq!(h.pass().len(), 1, "it goes on after a pause");
}

#[test]
fn silence_is_answered_by_asking_whoever_is_primary_now() {
    let mut h = Harness::new(Settings::default());
    h.give(Input::Alive(leads("s1", 3, 1)));
    h.ask(1, write(7), 10_000);
    let (_, first, _) = h.sent();
    h.pass();
    assert!((180..=330).contains(&h.ms), "first after about 250 ms, not {}", h.ms);
    let (to, second, _) = h.sent();
    assert_eq!(to, Target::Primary(3));
    assert_eq!(h.router.request(second).unwrap().ask, write(7), "the same write");
    let done = Tell::Written(Written::Done { version: Timestamp(5), value: None });
    assert_eq!(h.tell(first, done).len(), 1, "a late answer to the first try counts");
}

#[test]
fn a_new_leader_gets_what_the_old_one_did_not_answer() {
    let mut h = Harness::new(Settings::default());
    h.give(Input::Alive(leads("s1", 3, 1)));
    h.ask(1, read(), 1000);
    h.give(Input::Alive(leads("s2", 3, 2)));
    assert_eq!(h.sent().0, Target::Node(node("s2")));
    h.give(Input::Alive(leads("s1", 3, 1)));
    assert!(h.out.is_empty(), "an old epoch changes nothing");
}

#[test]
fn where_nobody_listens_is_left_at_once() {
    let mut h = Harness::new(Settings::default());
    h.give(Input::Alive(leads("s1", 3, 1)));
    h.ask(1, read(), 1000);
    let (to, _, turn) = h.sent();
    h.give(Input::Refused { to: to.clone(), turn: turn.wrapping_add(1) });
    assert!(h.out.is_empty(), "another turn's refusal");
    h.give(Input::Refused { to, turn });
    let (to, _, turn) = h.sent();
    assert_eq!(to, Target::Primary(3));
    assert!(h.give(Input::Refused { to, turn }).is_empty(), "then it waits");
    h.give(Input::Alive(leads("s2", 3, 2)));
    assert_eq!(h.sent().0, Target::Node(node("s2")), "and goes as soon as somebody leads");
}

#[test]
fn errors_say_whether_anything_may_have_changed() {
    let mut h = Harness::new(Settings::default());
    h.ask(1, write(1), 100);
    let (to, _, turn) = h.sent();
    h.give(Input::Refused { to, turn });
    while !matches!(h.out[..], [Effect::Answer { .. }]) {
        h.pass();
        if let [Effect::Send { to, turn, .. }] = &h.out[..] {
            let (to, turn) = (to.clone(), *turn);
            h.give(Input::Refused { to, turn });
        }
    }
    assert_eq!(h.fault().code, Code::Unavailable);
    assert!(h.fault().message.contains("nothing was changed"), "{}", h.fault());

    h.ask(2, write(1), 100);
    h.pass();
    assert_eq!(h.fault().code, Code::Deadline);
    assert!(h.fault().message.contains("may or may not"), "{}", h.fault());
    assert!(h.router.next_deadline().is_none_or(|due| due > h.ms * 1000));
}

#[test]
fn a_busy_node_is_no_answer_when_an_earlier_try_may_have_arrived() {
    let mut h = Harness::new(Settings::default());
    let busy = || Tell::Fault(Fault::new(Code::TooBusy, "full; nothing was changed"));
    h.give(Input::Alive(leads("s1", 3, 1)));
    h.ask(1, write(1), 5000);
    let (_, id, _) = h.sent();
    h.tell(id, busy());
    assert_eq!(h.fault().code, Code::TooBusy, "the first try was refused: that is certain");

    h.ask(2, write(2), 5000);
    h.pass();
    let (_, id, _) = h.sent();
    assert!(h.tell(id, busy()).is_empty());
    h.pass();
    let (_, id, _) = h.sent();
    let done = Tell::Written(Written::Done { version: Timestamp(5), value: None });
    assert_eq!(h.tell(id, done).len(), 1);
}

/// Around an election two may listen as primary: one that was paused, and who leads by now.
#[test]
fn one_that_does_not_lead_says_nothing_about_others_who_listen_as_primary() {
    let busy = Tell::Fault(Fault::new(Code::TooBusy, "full; nothing was changed"));
    for turned_away in [Tell::NotPrimary { primary: None }, busy] {
        let mut h = Harness::new(Settings::default());
        h.ask(1, write(1), 5000);
        let (to, id, _) = h.sent();
        assert_eq!(to, Target::Primary(3));
        assert!(h.tell(id, turned_away).is_empty());
        h.refuse_all();
        assert!(h.fault().message.contains("may or may not"), "{}", h.fault());
    }
}

fn commit() -> Ask {
    Ask::Commit(Commit {
        job: JobId([1; 16]),
        attempt: AttemptId([2; 16]),
        chain: Name::new("shop").unwrap(),
        snapshot: Timestamp(5),
        isolation: Isolation::Serializable,
        effects: Effects::default(),
        end: End::Cancelled,
        keep_ms: 600_000,
        explain: false,
    })
}

#[test]
fn while_another_attempt_is_decided_about_the_question_waits_and_is_put_again() {
    let mut h = Harness::new(Settings::default());
    let busy = || Tell::Decided(Decided::Busy { wait_ms: 150 });
    h.ask(1, commit(), 1_000);
    let (_, first, _) = h.sent();
    assert!(h.tell(first, busy()).is_empty(), "the caller is not told");
    h.pass();
    let (_, second, _) = h.sent();
    assert!((150..250).contains(&h.ms), "when the primary said, not at {} ms", h.ms);
    let conflict =
        Tell::Decided(Decided::Conflict { key: Key::new("k").unwrap(), version: Timestamp(7) });
    let [Effect::Answer { caller: 1, result: Ok(told) }] = h.tell(second, conflict.clone()) else {
        panic!("no answer: {:?}", h.out);
    };
    assert_eq!(*told, conflict);

    h.ask(2, commit(), 100);
    let (_, id, _) = h.sent();
    h.tell(id, busy());
    h.pass();
    assert_eq!(h.fault().code, Code::TooBusy);
    assert!(h.fault().message.contains("another attempt"), "{}", h.fault());
}

#[test]
fn what_a_deposed_primary_began_goes_on_and_counts_as_open() {
    let mut h = Harness::new(Settings::default());
    h.give(Input::Alive(leads("s1", 3, 1)));
    h.ask(1, write(1), 5000);
    let (_, id, _) = h.sent();
    let asked = h.router.request(id).unwrap().ask.clone();
    h.tell(id, Tell::Deposed { primary: Some(node("s2")) });
    let (to, id, _) = h.sent();
    assert_eq!(to, Target::Node(node("s2")));
    assert_eq!(h.router.request(id).unwrap().ask, asked, "under the same request id");
    let busy = Tell::Fault(Fault::new(Code::TooBusy, "full; nothing was changed"));
    assert!(h.tell(id, busy).is_empty(), "the first try may still have changed something");
    while !matches!(h.out[..], [Effect::Answer { .. }]) {
        h.pass();
    }
    assert!(h.fault().message.contains("may or may not"), "{}", h.fault());
}

#[test]
fn a_read_at_a_snapshot_asks_replicas_when_the_primary_is_silent_and_goes_back_from_one_behind() {
    let mut h = Harness::new(Settings::default());
    h.give(Input::Alive(leads("s1", 3, 1)));
    let key = Key::new("a").unwrap();
    h.ask(1, Ask::Read(Read { key, at: At::Snapshot(Timestamp(7)) }), 5000);
    assert_eq!(h.sent().0, Target::Node(node("s1")));
    h.pass();
    let (to, id, _) = h.sent();
    assert_eq!(to, Target::Replica(3));
    h.tell(id, Tell::Behind { primary: Some(node("s2")), closed: Timestamp(6) });
    assert_eq!(h.router.redirected(), 1);
    h.pass();
    let (to, id, _) = h.sent();
    assert_ne!(to, Target::Replica(3), "at least one replica is behind");
    assert_eq!(h.tell(id, record()).len(), 1);

    h.ask(2, read(), 5000);
    for _ in 0..4 {
        h.pass();
        assert_ne!(h.sent().0, Target::Replica(3), "only its primary knows the latest");
    }
}

impl Harness {
    /// Refuses whatever is sent, until there is an answer. Returns when that came, in milliseconds.
    fn refuse_all(&mut self) -> u64 {
        loop {
            match &self.out[..] {
                [Effect::Answer { .. }] => return self.ms,
                [Effect::Send { to, turn, .. }] => {
                    let (to, turn) = (to.clone(), *turn);
                    self.give(Input::Refused { to, turn });
                }
                _ => drop(self.pass()),
            }
        }
    }
}

fn read_at(version: u64) -> Ask {
    let at = At::Snapshot(Timestamp(version));
    Ask::Read(Read { key: Key::new("a").unwrap(), at })
}

#[test]
fn where_nobody_leads_for_longer_than_an_election_takes_it_says_so_and_then_at_once() {
    let mut h = Harness::new(Settings::default());
    h.give(Input::Alive(leads("s1", 3, 1)));
    for ask in [write(1), read()] {
        h.ask(1, ask, 60_000);
        assert!((1_990..2_100).contains(&h.refuse_all()), "after {} ms", h.ms);
        assert_eq!(h.fault().code, Code::Unavailable);
        assert!(h.fault().message.contains("no primary"), "{}", h.fault());
        assert!(h.fault().message.contains("nothing was changed"), "{}", h.fault());
    }
    h.give(Input::Alive(leads("s2", 3, 2)));
    h.ask(2, write(2), 60_000);
    assert_eq!(h.sent().0, Target::Node(node("s2")));
    let since = h.ms;
    assert!(h.refuse_all() > since + 1_990, "a new primary, a new patience");
}

#[test]
fn who_is_patient_waits_to_the_end() {
    let mut h = Harness::new(Settings::default());
    let deadline_us = 10_000_000;
    let ask = Input::Ask { caller: 1, partition: 3, ask: write(1), deadline_us, patient: true };
    h.give(ask);
    assert!(h.refuse_all() >= 10_000);
}

#[test]
fn a_write_that_was_begun_where_nobody_leads_any_more_is_not_said_to_have_changed_nothing() {
    let mut h = Harness::new(Settings::default());
    h.give(Input::Alive(leads("s1", 3, 1)));
    h.ask(1, write(1), 60_000);
    let (_, id, _) = h.sent();
    h.ms = 200;
    h.tell(id, Tell::Deposed { primary: None });
    assert!((1_990..2_100).contains(&h.refuse_all()), "after {} ms", h.ms);
    assert_eq!(h.fault().code, Code::Unavailable);
    assert!(h.fault().message.contains("may or may not"), "{}", h.fault());
}

/// Their machines are gone without a word, so that the server goes on delivering to them.
#[test]
fn nodes_that_fell_silent_lead_nothing_while_another_is_heard() {
    let mut h = Harness::new(Settings::default());
    h.give(Input::Alive(leads("s1", 3, 1)));
    h.ask(1, write(1), 60_000);
    while !matches!(h.out[..], [Effect::Answer { .. }]) {
        h.ms += 100;
        h.give(Input::Tick);
        if h.out.is_empty() {
            h.give(Input::Alive(leads("s2", 0, 1)));
        }
    }
    assert!((3_000..4_500).contains(&h.ms), "after {} ms", h.ms);
    assert_eq!(h.fault().code, Code::Unavailable);
    assert!(h.fault().message.contains("may or may not"), "{}", h.fault());
}

#[test]
fn a_read_at_a_snapshot_is_answered_by_a_replica_where_nobody_leads() {
    let mut h = Harness::new(Settings::default());
    h.give(Input::Alive(leads("s1", 3, 1)));
    for caller in 0..20 {
        h.ask(caller, read_at(7), 60_000);
        let (to, _, turn) = h.sent();
        h.give(Input::Refused { to, turn });
        let (to, id, _) = h.sent();
        assert_eq!(to, Target::Replica(3), "at once");
        assert_eq!(h.tell(id, record()).len(), 1);
        h.ms += 500;
    }
    h.ask(20, read_at(9), 60_000);
    let (to, _, turn) = h.sent();
    h.give(Input::Refused { to, turn });
    let (_, id, _) = h.sent();
    h.tell(id, Tell::Behind { primary: None, closed: Timestamp(8) });
    assert_eq!(h.fault().code, Code::Unavailable, "neither a primary nor a replica has it");
}

#[test]
fn what_does_not_fit_is_refused_at_once() {
    let mut h = Harness::new(Settings {
        open: 2,
        bytes: 10_000,
        request_bytes: 5_000,
        ..Settings::default()
    });
    let Ask::Write(mut large) = write(1) else { unreachable!() };
    large.mutation.change = Change::Put(vec![0; 5_000].into());
    h.ask(1, Ask::Write(large), 1000);
    assert_eq!(h.fault().code, Code::TooLarge);
    h.ask(1, read(), 0);
    assert_eq!(h.fault().code, Code::Deadline);
    h.ask(1, read(), 1000);
    h.ask(2, read(), 1000);
    h.ask(3, read(), 1000);
    assert_eq!(h.fault().code, Code::TooBusy);
    assert_eq!(h.router.open(), 2);
}

/// What may happen in a run.
#[derive(Clone, Debug)]
enum Step {
    Ask {
        write: bool,
        within_ms: u64,
    },
    /// The n-th message on its way arrives and is answered.
    Answered(usize),
    /// It arrives, takes effect, and the answer is lost.
    Silent(usize),
    Lost(usize),
    /// The node does not lead; another one that listens as primary may take it, and be silent.
    NotPrimary {
        n: usize,
        hint: Option<u8>,
        taken: bool,
    },
    /// It arrives, and the node ceases to lead before it is certain that it takes effect.
    Deposed {
        n: usize,
        hint: Option<u8>,
        takes_effect: bool,
    },
    /// A replica has not got as far.
    Behind(usize, Option<u8>),
    /// As for `NotPrimary`.
    Busy {
        n: usize,
        taken: bool,
    },
    /// Nobody listens where it goes.
    Refused(usize),
    /// It arrives twice, with two answers.
    Twice(usize),
    Leads {
        node: u8,
        epoch: u64,
    },
    Pass(u64),
    /// Bytes from nowhere.
    Foreign(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), 0..3_000_u64).prop_map(|(write, within_ms)| Step::Ask { write, within_ms }),
        2 => any::<usize>().prop_map(Step::Answered),
        2 => any::<usize>().prop_map(Step::Silent),
        1 => any::<usize>().prop_map(Step::Lost),
        2 => (any::<usize>(), proptest::option::of(0..3_u8), any::<bool>())
            .prop_map(|(n, hint, taken)| Step::NotPrimary { n, hint, taken }),
        2 => (any::<usize>(), proptest::option::of(0..3_u8), any::<bool>())
            .prop_map(|(n, hint, takes_effect)| Step::Deposed { n, hint, takes_effect }),
        1 => (any::<usize>(), proptest::option::of(0..3_u8)).prop_map(|(n, hint)| Step::Behind(n, hint)),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(n, taken)| Step::Busy { n, taken }),
        2 => any::<usize>().prop_map(Step::Refused),
        1 => any::<usize>().prop_map(Step::Twice),
        1 => (0..3_u8, 0..5_u64).prop_map(|(node, epoch)| Step::Leads { node, epoch }),
        3 => (0..400_u64).prop_map(Step::Pass),
        1 => any::<u64>().prop_map(Step::Foreign),
    ]
}

/// A request on its way.
struct Flying {
    to: Target,
    id: u64,
    turn: u64,
    sent_in: u64,
    caller: u32,
}

/// A whole run: messages on their way, what the store did, and what callers were told.
struct Run {
    h: Harness,
    flying: Vec<Flying>,
    /// Turns of which something arrived or was lost: a message is refused whole or not at all.
    touched: BTreeSet<u64>,
    turns: u64,
    deadlines: BTreeMap<u32, u64>,
    applied: BTreeSet<u32>,
    answered: BTreeSet<u32>,
    next: u32,
}

const OPEN: usize = 8;

impl Run {
    fn new() -> Self {
        // Often there is nobody who leads for so long.
        let settings = Settings { open: OPEN, vacant_ms: 200, ..Settings::default() };
        Self {
            h: Harness::new(settings),
            flying: Vec::new(),
            touched: BTreeSet::new(),
            turns: 0,
            deadlines: BTreeMap::new(),
            applied: BTreeSet::new(),
            answered: BTreeSet::new(),
            next: 0,
        }
    }

    fn give(&mut self, input: Input<u32>) {
        self.h.give(input);
        self.turns += 1;
        assert!(self.h.router.open() <= OPEN);
        for effect in std::mem::take(&mut self.h.out) {
            match effect {
                Effect::Send { to, id, turn } => {
                    let Some(request) = self.h.router.request(id) else { continue };
                    let caller = match &request.ask {
                        Ask::Write(write) => {
                            u32::from_be_bytes(write.request.0[..4].try_into().unwrap())
                        }
                        _ => u32::MAX,
                    };
                    if let Some(deadline) = self.deadlines.get(&caller) {
                        assert!(!self.answered.contains(&caller), "sent after its answer");
                        assert!(self.h.ms < deadline + 10, "sent after its deadline");
                    }
                    let sent_in = self.turns;
                    self.flying.push(Flying { to, id, turn, sent_in, caller });
                }
                Effect::Answer { caller, result } => {
                    assert!(self.answered.insert(caller), "{caller} was answered twice");
                    if let Err(fault) = result {
                        let claims = fault.message.contains("nothing was changed");
                        assert!(!(claims && self.applied.contains(&caller)), "{caller}: {fault}");
                    }
                }
            }
        }
    }

    fn take(&mut self, n: usize) -> Option<Flying> {
        let at = n.checked_rem(self.flying.len())?;
        let taken = self.flying.swap_remove(at);
        self.touched.insert(taken.sent_in);
        Some(taken)
    }

    /// A message that nobody gets takes all those of its turn and target with it.
    fn refuse(&mut self, n: usize) {
        let Some(at) = n.checked_rem(self.flying.len()) else { return };
        let (to, turn, sent_in) =
            (self.flying[at].to.clone(), self.flying[at].turn, self.flying[at].sent_in);
        if !self.touched.contains(&sent_in) {
            self.flying.retain(|other| other.to != to || other.sent_in != sent_in);
            self.give(Input::Refused { to, turn });
        }
    }

    fn tell(&mut self, id: u64, tell: Tell) {
        self.give(Input::Told(Response { id, tell }));
    }

    /// A message to whoever listens as primary may reach two.
    fn take_elsewhere(&mut self, to: &Target, caller: u32, taken: bool) {
        if taken && matches!(to, Target::Primary(_)) {
            self.applied.insert(caller);
        }
    }

    fn done() -> Tell {
        Tell::Written(Written::Done { version: Timestamp(1), value: None })
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Ask { write: writes, within_ms } => {
                let caller = self.next;
                self.next += 1;
                self.deadlines.insert(caller, self.h.ms + within_ms);
                let mut ask = read();
                if writes && let Ask::Write(mut put) = write(1) {
                    put.request.0[..4].copy_from_slice(&caller.to_be_bytes());
                    ask = Ask::Write(put);
                }
                let deadline_us = (self.h.ms + within_ms) * 1000;
                self.give(Input::Ask { caller, partition: 3, ask, deadline_us, patient: false });
            }
            Step::Answered(n) => {
                if let Some(Flying { id, caller, .. }) = self.take(n) {
                    self.applied.insert(caller);
                    self.tell(id, Self::done());
                }
            }
            Step::Twice(n) => {
                if let Some(Flying { id, caller, .. }) = self.take(n) {
                    self.applied.insert(caller);
                    self.tell(id, Self::done());
                    self.tell(id, Self::done());
                }
            }
            Step::Silent(n) => {
                if let Some(Flying { caller, .. }) = self.take(n) {
                    self.applied.insert(caller);
                }
            }
            Step::Lost(n) => {
                self.take(n);
            }
            Step::NotPrimary { n, hint, taken } => {
                if let Some(Flying { id, to, caller, .. }) = self.take(n) {
                    self.take_elsewhere(&to, caller, taken);
                    let primary = hint.map(|hint| node(&format!("s{hint}")));
                    self.tell(id, Tell::NotPrimary { primary });
                }
            }
            Step::Deposed { n, hint, takes_effect } => {
                if let Some(Flying { id, caller, .. }) = self.take(n) {
                    if takes_effect {
                        self.applied.insert(caller);
                    }
                    let primary = hint.map(|hint| node(&format!("s{hint}")));
                    self.tell(id, Tell::Deposed { primary });
                }
            }
            Step::Behind(n, hint) => {
                if let Some(Flying { id, .. }) = self.take(n) {
                    let primary = hint.map(|hint| node(&format!("s{hint}")));
                    self.tell(id, Tell::Behind { primary, closed: Timestamp(1) });
                }
            }
            Step::Busy { n, taken } => {
                if let Some(Flying { id, to, caller, .. }) = self.take(n) {
                    self.take_elsewhere(&to, caller, taken);
                    self.tell(id, Tell::Fault(Fault::new(Code::TooBusy, "nothing was changed")));
                }
            }
            Step::Refused(n) => self.refuse(n),
            Step::Leads { node, epoch } => {
                self.give(Input::Alive(leads(&format!("s{node}"), 3, epoch)));
            }
            Step::Pass(ms) => {
                self.h.ms += ms;
                self.give(Input::Tick);
            }
            Step::Foreign(id) => self.tell(id, record()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_request_gets_one_true_answer(steps in proptest::collection::vec(step(), 1..120)) {
        let mut run = Run::new();
        for step in steps {
            run.step(step);
            let due = run.h.router.next_deadline();
            prop_assert!(run.h.router.open() == 0 || due.is_some());
        }
        let mut turns = 0;
        while run.h.router.next_deadline().is_some() {
            run.h.ms += 50;
            run.give(Input::Tick);
            turns += 1;
            prop_assert!(turns < 200, "it never ends");
        }
        prop_assert_eq!(run.answered.len() as u32, run.next);
        prop_assert_eq!(run.h.router.open(), 0);
    }
}
