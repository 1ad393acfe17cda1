//! The rules of `run`: each call gets one answer, a job is only sent again under its own id, and
//! an error tells the truth about whether it may have had an effect.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is wrong")]

use catena_client::machine::submit::{Effect, Good, Input, Known, Settings, Submitter};
use catena_protocol::clock::Now;
use catena_protocol::message::finish::{Answer, Finished};
use catena_protocol::message::submit::Submit;
use catena_protocol::{Code, Fault, JobId, Name, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn chain() -> Name {
    Name::new("shout").unwrap()
}

/// Numbers below this stand for idempotency keys and come again; others are used once.
const KEYS: u16 = 4;

fn job(number: u16) -> JobId {
    JobId::keyed(0, "shout", None, &number.to_string())
}

fn finished(number: u16, result: Result<&str, Code>) -> Input<u32> {
    let result = match result {
        Ok(text) => Answer::Result(text.into()),
        Err(code) => Answer::Fault(Fault::new(code, "no effect")),
    };
    Input::Finished(Finished { job: job(number), version: Timestamp(9), result, explained: None })
}

/// A scheduler would not take it.
fn refusal(number: u16, code: Code) -> Input<u32> {
    let (job, version) = (job(number), Timestamp::ZERO);
    let result = Answer::Fault(Fault::new(code, "no effect"));
    Input::Finished(Finished { job, version, result, explained: None })
}

fn elsewhere(number: u16) -> Input<u32> {
    let result = Answer::Elsewhere { pointer: "/customer".into() };
    let (job, version) = (job(number), Timestamp::ZERO);
    Input::Finished(Finished { job, version, result, explained: None })
}

struct Harness {
    submitter: Submitter<u32>,
    ms: u64,
    out: Vec<Effect<u32>>,
}

impl Harness {
    fn new(settings: Settings) -> Self {
        Self { submitter: Submitter::new(settings, 1), ms: 0, out: Vec::new() }
    }

    fn give(&mut self, input: Input<u32>) -> &[Effect<u32>] {
        self.out.clear();
        let now = Now { wall_us: 0, mono_us: self.ms * 1000 };
        self.submitter.handle(now, input, &mut self.out);
        &self.out
    }

    fn run(&mut self, caller: u32, number: u16, within_ms: u64) -> &[Effect<u32>] {
        let submit = Submit {
            job: job(number),
            input: "x".into(),
            timeout_ms: within_ms,
            after: Timestamp::ZERO,
            keyed: number < KEYS,
            trace: None,
            inline: None,
            explain: false,
            may_move: number >= KEYS,
        };
        let deadline_us = (self.ms + within_ms) * 1000;
        self.give(Input::Run { caller, chain: chain(), submit, deadline_us })
    }

    fn known(&mut self, number: u16, known: Known) -> &[Effect<u32>] {
        self.give(Input::Known { job: job(number), known })
    }

    /// Lets time pass until something happens.
    fn pass(&mut self) -> &[Effect<u32>] {
        self.out.clear();
        while self.out.is_empty() {
            let due = self.submitter.next_deadline().expect("something to wait for");
            self.ms = self.ms.max(due.div_ceil(1000));
            self.give(Input::Tick);
        }
        &self.out
    }

    fn turn(&self) -> u64 {
        match &self.out[..] {
            [Effect::Send { turn, .. }] => *turn,
            other => panic!("expected one send, got {other:?}"),
        }
    }

    fn fault(&self) -> &Fault {
        match &self.out[..] {
            [Effect::Answer { result: Err(fault), .. }] => fault,
            other => panic!("expected one error, got {other:?}"),
        }
    }
}

fn good(caller: u32) -> Effect<u32> {
    let good = Good { version: Timestamp(9), result: "HI".into(), explained: None };
    Effect::Answer { caller, result: Ok(good) }
}

#[test]
fn a_result_goes_to_everybody_who_waits_for_the_job() {
    let mut h = Harness::new(Settings::default());
    h.run(1, 7, 5000);
    h.turn();
    assert!(h.run(2, 7, 5000).is_empty(), "one job is sent once");
    assert_eq!(h.give(finished(7, Ok("HI"))), [good(1), good(2)]);
    assert!(h.give(finished(7, Ok("HI"))).is_empty());
    assert!(h.submitter.submission(job(7)).is_none());
}

#[test]
fn after_a_silence_it_is_asked_and_an_unknown_job_is_sent_again_under_its_id() {
    let mut h = Harness::new(Settings::default());
    h.run(1, 7, 20_000);
    assert_eq!(h.pass(), [Effect::AskStatus { job: job(7) }]);
    assert!((1_500..=2_510).contains(&h.ms), "after about 2 s, not {} ms", h.ms);
    h.known(7, Known::Unknown);
    assert!(matches!(h.out[..], [Effect::Send { job: sent, .. }] if sent == job(7)));
    let left = h.submitter.submission(job(7)).unwrap().1.timeout_ms;
    assert!(left <= 20_000 - h.ms, "the job's deadline does not move: {left}");
    assert_eq!(h.pass(), [Effect::AskStatus { job: job(7) }]);
    assert!(h.known(7, Known::Running).is_empty());
    assert_eq!(h.pass(), [Effect::AskStatus { job: job(7) }], "it is asked again");
    assert_eq!(h.known(7, Known::Ended), [Effect::AskResult { job: job(7) }]);
    assert_eq!(h.give(finished(7, Ok("HI"))), [good(1)]);
}

#[test]
fn where_nobody_is_there_it_is_tried_again_until_the_deadline() {
    let mut h = Harness::new(Settings::default());
    h.run(1, 7, 3_000);
    let mut sends = 0;
    while let [Effect::Send { turn, .. }] = h.out[..] {
        sends += 1;
        h.give(Input::Refused { chain: chain(), turn, fault: None });
        assert!(h.out.is_empty());
        h.pass();
    }
    assert!((4..20).contains(&sends), "{sends} times");
    assert_eq!(h.fault().code, Code::Unavailable);
    assert!(h.fault().message.contains("had no effect"));
    assert!((3_000..3_010).contains(&h.ms));
}

#[test]
fn a_refusal_is_passed_on_unless_an_earlier_try_may_run() {
    let mut h = Harness::new(Settings::default());
    h.run(1, 7, 20_000);
    h.give(refusal(7, Code::TooBusy));
    assert_eq!(h.fault().code, Code::TooBusy);

    h.run(2, 8, 20_000);
    h.pass();
    h.known(8, Known::Unknown);
    assert!(h.give(refusal(8, Code::TooBusy)).is_empty());
    assert_eq!(h.pass(), [Effect::AskStatus { job: job(8) }]);
    assert_eq!(h.give(finished(8, Ok("HI"))), [good(2)], "the first try came through after all");
}

#[test]
fn an_end_that_was_recorded_is_passed_on_whatever_its_reason() {
    let mut h = Harness::new(Settings::default());
    for code in [Code::TooBusy, Code::Unavailable] {
        h.run(1, 7, 20_000);
        while h.pass() != [Effect::AskStatus { job: job(7) }] {}
        h.known(7, Known::Ended);
        h.give(finished(7, Err(code)));
        assert_eq!(h.fault().code, code);
    }
}

#[test]
fn a_job_moves_only_while_nobody_can_have_it() {
    let may_move = |h: &Harness, number| h.submitter.submission(job(number)).unwrap().1.may_move;
    let mut h = Harness::new(Settings::default());
    h.run(1, 7, 20_000);
    assert!(may_move(&h, 7));
    let moves = Effect::Elsewhere { caller: 1, pointer: "/customer".into() };
    assert_eq!(h.give(elsewhere(7)), [moves]);
    assert_eq!(h.submitter.open(), 0);

    // Where nobody was there nobody has it.
    h.run(2, 8, 20_000);
    let turn = h.turn();
    h.give(Input::Refused { chain: chain(), turn, fault: None });
    h.pass();
    assert!(may_move(&h, 8));

    // After a silence somebody may have it, whatever another one says.
    h.run(3, 9, 20_000);
    while h.pass() != [Effect::AskStatus { job: job(9) }] {}
    assert!(h.give(elsewhere(9)).is_empty());
    h.known(9, Known::Unknown);
    assert!(matches!(h.out[..], [Effect::Send { .. }]), "{:?}", h.out);
    assert!(!may_move(&h, 9));
    assert!(h.give(elsewhere(9)).is_empty());
    assert_eq!(h.give(finished(9, Ok("HI"))), [good(3)]);
}

#[test]
fn a_message_that_is_refused_as_a_whole_answers_all_in_it() {
    let mut h = Harness::new(Settings::default());
    h.run(1, 7, 5_000);
    let turn = h.turn();
    let fault = Some(Fault::new(Code::BadRequest, "malformed"));
    h.give(Input::Refused { chain: chain(), turn: turn + 1, fault: fault.clone() });
    assert!(h.out.is_empty());
    h.give(Input::Refused { chain: chain(), turn, fault });
    assert_eq!(h.fault().code, Code::BadRequest);
}

#[test]
fn limits_are_answered_at_once() {
    let settings = Settings { open: 1, callers: 2, ..Settings::default() };
    let mut h = Harness::new(settings);
    h.run(1, 7, 5_000);
    h.run(2, 8, 5_000);
    assert_eq!(h.fault().code, Code::TooBusy);
    assert!(h.run(3, 7, 5_000).is_empty());
    h.run(4, 7, 5_000);
    assert_eq!(h.fault().code, Code::TooBusy);
    h.run(5, 9, 0);
    assert_eq!(h.fault().code, Code::Deadline);
}

#[derive(Clone, Debug)]
enum Step {
    /// With a key, or under an id of its own.
    Run {
        key: Option<u16>,
        within_ms: u64,
    },
    /// The n-th message on its way arrives and the job is run and answered.
    Answered(usize),
    /// It arrives and is run, and the answer is lost.
    Silent(usize),
    Lost(usize),
    Busy(usize),
    /// It arrives where another home is known to be better.
    Elsewhere(usize),
    Refused(usize),
    /// The n-th question is answered truthfully.
    Asked(usize),
    Nobody(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (proptest::option::of(0..KEYS), 0..20_000_u64).prop_map(|(key, within_ms)| Step::Run { key, within_ms }),
        2 => any::<usize>().prop_map(Step::Answered),
        2 => any::<usize>().prop_map(Step::Silent),
        1 => any::<usize>().prop_map(Step::Lost),
        1 => any::<usize>().prop_map(Step::Busy),
        1 => any::<usize>().prop_map(Step::Elsewhere),
        2 => any::<usize>().prop_map(Step::Refused),
        4 => any::<usize>().prop_map(Step::Asked),
        1 => any::<usize>().prop_map(Step::Nobody),
        4 => (0..1_500_u64).prop_map(Step::Pass),
    ]
}

/// A whole run, with a scheduler that remembers what it ran.
struct World {
    h: Harness,
    flying: Vec<(u16, u64)>,
    questions: Vec<u16>,
    touched: BTreeSet<u64>,
    ran: BTreeSet<u16>,
    calls: BTreeMap<u32, u16>,
    answered: BTreeSet<u32>,
    next: u32,
}

impl World {
    fn give(&mut self, input: Input<u32>) {
        self.h.give(input);
        self.after();
    }

    fn after(&mut self) {
        for effect in std::mem::take(&mut self.h.out) {
            match effect {
                Effect::Send { job: sent, turn } => {
                    let number = self.number(sent);
                    self.flying.push((number, turn));
                }
                Effect::AskStatus { job: asked } | Effect::AskResult { job: asked } => {
                    let number = self.number(asked);
                    self.questions.push(number);
                }
                Effect::Elsewhere { caller, .. } => {
                    assert!(self.answered.insert(caller), "{caller} was answered twice");
                    let number = self.calls[&caller];
                    let flying = self.flying.iter().any(|(flying, _)| *flying == number);
                    assert!(!flying && !self.ran.contains(&number), "{number} happens twice");
                }
                Effect::Answer { caller, result } => {
                    assert!(self.answered.insert(caller), "{caller} was answered twice");
                    if let Err(fault) = result {
                        let number = self.calls[&caller];
                        let claims = fault.message.contains("no effect");
                        let qualified = fault.message.contains("an earlier one");
                        assert!(!claims || qualified == (number < KEYS), "{caller}: {fault}");
                        let lies = claims && !qualified && self.ran.contains(&number);
                        assert!(!lies, "{caller}: {fault}");
                    }
                }
            }
        }
    }

    fn number(&self, wanted: JobId) -> u16 {
        *self.calls.values().find(|number| job(**number) == wanted).unwrap()
    }

    fn take(&mut self, n: usize) -> Option<u16> {
        let at = n.checked_rem(self.flying.len())?;
        let (number, turn) = self.flying.swap_remove(at);
        self.touched.insert(turn);
        Some(number)
    }

    fn refuse(&mut self, n: usize) {
        let Some(at) = n.checked_rem(self.flying.len()) else { return };
        let (_, turn) = self.flying[at];
        if !self.touched.contains(&turn) {
            self.flying.retain(|(_, other)| *other != turn);
            self.give(Input::Refused { chain: chain(), turn, fault: None });
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Run { key, within_ms } => {
                let number = key.unwrap_or(KEYS + self.next as u16);
                self.calls.insert(self.next, number);
                self.next += 1;
                self.h.run(self.next - 1, number, within_ms);
                self.after();
            }
            Step::Answered(n) => {
                if let Some(number) = self.take(n) {
                    self.ran.insert(number);
                    self.give(finished(number, Ok("HI")));
                }
            }
            Step::Silent(n) => {
                if let Some(number) = self.take(n) {
                    self.ran.insert(number);
                }
            }
            Step::Lost(n) => {
                self.take(n);
            }
            Step::Busy(n) => {
                if let Some(number) = self.take(n) {
                    self.give(refusal(number, Code::TooBusy));
                }
            }
            Step::Elsewhere(n) => {
                if let Some(number) = self.take(n) {
                    self.give(elsewhere(number));
                }
            }
            Step::Refused(n) => self.refuse(n),
            Step::Asked(n) => {
                if let Some(at) = n.checked_rem(self.questions.len()) {
                    let number = self.questions.swap_remove(at);
                    let ran = self.ran.contains(&number);
                    let known = if ran { Known::Ended } else { Known::Unknown };
                    self.give(Input::Known { job: job(number), known });
                }
            }
            Step::Nobody(n) => {
                if let Some(at) = n.checked_rem(self.questions.len()) {
                    let number = self.questions.swap_remove(at);
                    self.give(Input::Known { job: job(number), known: Known::Nobody });
                }
            }
            Step::Pass(ms) => {
                self.h.ms += ms;
                self.give(Input::Tick);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_call_gets_one_true_answer(steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World {
            h: Harness::new(Settings { open: 4, ..Settings::default() }),
            flying: Vec::new(),
            questions: Vec::new(),
            touched: BTreeSet::new(),
            ran: BTreeSet::new(),
            calls: BTreeMap::new(),
            answered: BTreeSet::new(),
            next: 0,
        };
        for step in steps {
            world.step(step);
            prop_assert!(world.h.submitter.open() <= 4);
            let due = world.h.submitter.next_deadline();
            prop_assert!(world.h.submitter.open() == 0 || due.is_some());
        }
        let mut turns = 0;
        while world.h.submitter.next_deadline().is_some() {
            world.h.ms += 100;
            world.give(Input::Tick);
            turns += 1;
            prop_assert!(turns < 400, "it never ends");
        }
        prop_assert_eq!(world.answered.len() as u32, world.next);
        prop_assert_eq!(world.h.submitter.open(), 0);
    }
}
