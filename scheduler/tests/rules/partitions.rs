//! The number of partitions decides where keys live: it is told once, and never guessed.

use crate::rig::{WALL_US, node, run};
use catena_protocol::chain::Effect;
use catena_protocol::clock::Now;
use catena_protocol::message::finish::Answer;
use catena_protocol::message::heartbeat::{Heartbeat, Load, Offer};
use catena_protocol::{Code, Name};
use catena_scheduler::machine::Effect as Outcome;
use catena_scheduler::machine::{Identity, Input, Scheduler, Settings, Submission};

const LATER: Now = Now { wall_us: WALL_US, mono_us: 10_000_000 };

fn storage(partitions: u16) -> Input {
    let load = Load::Storage { partitions, led: Vec::new() };
    Input::Heartbeat(Heartbeat { node: node("storage"), boot: 1, draining: false, load })
}

fn worker() -> Input {
    let offer = Offer {
        name: Name::new("pure").unwrap(),
        effect: Effect::Pure,
        help: String::new(),
        native: false,
    };
    let load = Load::Worker { outstanding: 0, credit: 10, operators: vec![offer] };
    Input::Heartbeat(Heartbeat { node: node("worker"), boot: 1, draining: false, load })
}

/// What a job with an idempotency key leads to.
fn submit(scheduler: &mut Scheduler) -> Vec<Outcome> {
    let identity = Identity::Key { idempotency: "order-7".into(), routing: None };
    let submission = Submission { identity, ..run(1, "pure") };
    let mut out = Vec::new();
    scheduler.handle(LATER, Input::Submit(submission), &mut out);
    out
}

#[test]
fn a_key_means_one_job_whatever_is_heard_later() {
    let start = Now { mono_us: 0, ..LATER };
    let mut scheduler = Scheduler::new(Settings::of(node("s")), [1; 32], start);
    let mut out = Vec::new();
    scheduler.handle(LATER, Input::Chains(Default::default()), &mut out);
    scheduler.handle(LATER, worker(), &mut out);
    match &submit(&mut scheduler)[..] {
        [Outcome::Answer { finished, .. }] => match &finished.result {
            Answer::Fault(fault) => assert_eq!(fault.code, Code::Unavailable),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }

    scheduler.handle(LATER, storage(8), &mut out);
    match &submit(&mut scheduler)[..] {
        [Outcome::Assign { step, .. }] => assert!(step.assignment.job.home() < 8),
        other => panic!("{other:?}"),
    }

    scheduler.handle(LATER, storage(4_096), &mut out);
    let joined = submit(&mut scheduler);
    assert!(joined.is_empty(), "it is the job that runs already: {joined:?}");
}
