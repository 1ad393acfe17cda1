//! The rules, by what they say is to be done.

use super::*;
use catena_protocol::chain::{self, Isolation};
use catena_protocol::message::assign::{Assignment, Tries};
use catena_protocol::message::commit::{Costs, Decided, End, Outcome};
use catena_protocol::message::finish::{Answer, Explained};
use catena_protocol::{Code, Key, Name};

const NOW: Now = Now { wall_us: 1_000_000, mono_us: 1_000 };

fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

fn worker(capacity: u32) -> Worker {
    Worker::new(Settings { id: node("w1"), capacity, message_limit: 900_000 })
}

fn chain_of(steps: usize, effect: chain::Effect) -> Arc<Chain> {
    let step = chain::Step {
        operator: Name::new("echo").unwrap(),
        settings: String::new(),
        effect,
        service: None,
    };
    Arc::new(Chain {
        name: Name::new("test").unwrap(),
        steps: vec![step; steps],
        step_timeout_ms: 1_000,
        isolation: Isolation::Serializable,
    })
}

fn step(job: u8, chain: &Chain, plan: &[&str]) -> Step {
    Step {
        assignment: Box::new(Assignment {
            job: JobId([job; 16]),
            attempt: AttemptId([job; 16]),
            chain: chain.hashed().0,
            scheduler: node("s1"),
            plan: plan.iter().map(|id| node(id)).collect(),
            snapshot: Timestamp(900),
            deadline: Timestamp(60_000_000),
            reply: Some(Reply::Batch("inbox".into())),
            record_ms: None,
            trace: None,
            tries: None,
        }),
        index: 0,
        payload: Blob::from("in"),
        effects: Effects::default(),
    }
}

fn handle(worker: &mut Worker, input: Input) -> Vec<Effect> {
    let mut out = Vec::new();
    worker.handle(NOW, input, &mut out);
    out
}

/// Hands in a step and its chain; the token of the run.
fn start(worker: &mut Worker, chain: &Arc<Chain>, step: Step) -> Token {
    let hash = step.assignment.chain;
    let mut effects = handle(worker, Input::Step(step));
    if matches!(effects[..], [Effect::Want { .. }]) {
        effects = handle(worker, Input::Chain(hash, Some(Arc::clone(chain))));
    }
    match &effects[..] {
        [Effect::Run(run)] => run.token,
        other => panic!("{other:?}"),
    }
}

fn done(worker: &mut Worker, token: Token, output: Result<&str, Fault>) -> Vec<Effect> {
    let output = output.map(Blob::from);
    handle(worker, Input::Done { token, output, effects: Effects::default() })
}

fn end_of(effects: &[Effect]) -> AttemptEnd {
    match effects.last() {
        Some(Effect::Finish { finish, .. }) => finish.end.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_result_goes_to_the_next_worker_without_a_hop_between_own_steps() {
    let (mut worker, chain) = (worker(10), chain_of(3, chain::Effect::Pure));
    let token = start(&mut worker, &chain, step(1, &chain, &["w1", "w1", "w2"]));
    let effects = done(&mut worker, token, Ok("a"));
    let [Effect::Run(run)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((run.index, run.payload.clone()), (1, Blob::from("a")));
    let token = run.token;
    let effects = done(&mut worker, token, Ok("b"));
    let [Effect::Handoff { to, step }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((to.as_str(), step.index, step.payload.clone()), ("w2", 2, Blob::from("b")));
    assert_eq!(worker.outstanding(), 0);
}

#[test]
fn a_pure_job_is_answered_without_a_commit() {
    let (mut worker, chain) = (worker(10), chain_of(1, chain::Effect::Pure));
    let token = start(&mut worker, &chain, step(1, &chain, &["w1"]));
    let effects = done(&mut worker, token, Ok("a"));
    let [Effect::Answer { finished, .. }, Effect::Finish { .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(finished.result, Answer::Result(Blob::from("a")));
    assert!(matches!(end_of(&effects), AttemptEnd::Decided { good: true, .. }));
}

#[test]
fn a_recorded_job_is_answered_from_its_outcome_only() {
    let (mut worker, chain) = (worker(10), chain_of(1, chain::Effect::Writing));
    let mut first = step(1, &chain, &["w1"]);
    first.assignment.record_ms = Some(1_000);
    let token = start(&mut worker, &chain, first);
    let effects = done(&mut worker, token, Ok("mine"));
    let [Effect::Commit(token, commit)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(commit.keep_ms, 1_000);
    let outcome = Outcome {
        job: commit.job,
        attempt: AttemptId([9; 16]),
        chain: commit.chain.clone(),
        version: Timestamp(77),
        end: End::Committed(Blob::from("the first one's")),
        expires: Timestamp::MAX,
    };
    let tell = Tell::Decided(Decided::Outcome(outcome));
    let effects = handle(&mut worker, Input::Decided(*token, tell));
    let [Effect::Answer { finished, .. }, _] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(finished.result, Answer::Result(Blob::from("the first one's")));
    assert_eq!(finished.version, Timestamp(77));
    assert_eq!(worker.outstanding(), 0);
}

#[test]
fn a_conflict_goes_back_to_the_scheduler_and_nobody_is_answered() {
    let conflict = Decided::Conflict { key: Key::new("k").unwrap(), version: Timestamp(5) };
    let end = committed_with(Tell::Decided(conflict));
    assert_eq!(end, AttemptEnd::Conflict { version: Timestamp(5) });
}

/// A job that is about to commit: how its attempt ends with this answer of the store.
fn committed_with(tell: Tell) -> AttemptEnd {
    let (mut worker, chain) = (worker(10), chain_of(1, chain::Effect::Writing));
    let mut first = step(1, &chain, &["w1"]);
    first.assignment.record_ms = Some(1_000);
    let token = start(&mut worker, &chain, first);
    let effects = done(&mut worker, token, Ok("x"));
    let [Effect::Commit(token, _)] = &effects[..] else { panic!("{effects:?}") };
    let effects = handle(&mut worker, Input::Decided(*token, tell));
    assert_eq!(effects.len(), 1, "only the scheduler is told: {effects:?}");
    assert_eq!(worker.outstanding(), 0);
    end_of(&effects)
}

#[test]
fn what_passes_is_run_again_and_what_is_too_large_has_failed() {
    for code in [Code::TooBusy, Code::Unavailable, Code::Deadline, Code::Internal] {
        let fault = Fault::new(code, "later");
        assert_eq!(committed_with(Tell::Fault(fault.clone())), AttemptEnd::Again { fault });
    }
    let fault = Fault::new(Code::TooLarge, "4001 keys read");
    let failed = AttemptEnd::Failed { step: 0, fault: fault.clone() };
    assert_eq!(committed_with(Tell::Fault(fault)), failed);
    for tell in [
        Tell::Decided(Decided::Busy { wait_ms: 150 }),
        Tell::SnapshotTooOld { horizon: Timestamp(9) },
    ] {
        assert!(matches!(committed_with(tell), AttemptEnd::Again { .. }));
    }
}

#[test]
fn a_caller_who_asks_is_told_what_the_job_took() {
    let (mut worker, chain) = (worker(10), chain_of(1, chain::Effect::Writing));
    let tries = Tries { attempts: 3, conflicts: 2, ..Tries::default() };
    let costs = Costs { rounds: 1, asked: 2, answered: 2, ..Costs::default() };
    let mut first = step(1, &chain, &["w1"]);
    (first.assignment.record_ms, first.assignment.tries) = (Some(1_000), Some(tries));
    let token = start(&mut worker, &chain, first);
    let effects = done(&mut worker, token, Ok("x"));
    let [Effect::Commit(token, commit)] = &effects[..] else { panic!("{effects:?}") };
    assert!(commit.explain);
    let outcome = Outcome {
        job: commit.job,
        attempt: commit.attempt,
        chain: commit.chain.clone(),
        version: Timestamp(77),
        end: End::Committed(Blob::from("x")),
        expires: Timestamp::MAX,
    };
    let tell = Tell::Decided(Decided::Explained(outcome, Box::new(costs.clone())));
    let effects = handle(&mut worker, Input::Decided(*token, tell));
    let [Effect::Answer { finished, .. }, _] = &effects[..] else { panic!("{effects:?}") };
    let explained = Explained { tries, plan: vec![node("w1")], commit: Some(costs) };
    assert_eq!(finished.explained, Some(Box::new(explained)));
}

#[test]
fn over_capacity_and_while_draining_steps_go_back() {
    let (mut worker, chain) = (worker(1), chain_of(1, chain::Effect::Pure));
    let token = start(&mut worker, &chain, step(1, &chain, &["w1"]));
    let effects = handle(&mut worker, Input::Step(step(2, &chain, &["w1"])));
    assert_eq!(end_of(&effects), AttemptEnd::Full { worker: node("w1") });
    done(&mut worker, token, Ok("x"));
    handle(&mut worker, Input::Drain);
    let effects = handle(&mut worker, Input::Step(step(3, &chain, &["w1"])));
    assert_eq!(end_of(&effects), AttemptEnd::Full { worker: node("w1") });
}

#[test]
fn a_step_that_hangs_is_stopped_and_its_late_result_does_not_count() {
    let (mut worker, chain) = (worker(10), chain_of(1, chain::Effect::Pure));
    let token = start(&mut worker, &chain, step(1, &chain, &["w1"]));
    handle(&mut worker, Input::Started(token));
    let at = worker.next_deadline().unwrap();
    assert_eq!(at, NOW.mono_us + 1_000_000);
    let mut effects = Vec::new();
    let later = Now { wall_us: NOW.wall_us, mono_us: at };
    worker.handle(later, Input::Tick, &mut effects);
    assert!(matches!(effects[0], Effect::Stop(stopped) if stopped == token));
    let AttemptEnd::Failed { fault, .. } = end_of(&effects) else { panic!("{effects:?}") };
    assert_eq!(fault.code, Code::Deadline);
    assert!(done(&mut worker, token, Ok("late")).is_empty());
    assert_eq!(worker.next_deadline(), None);
}

#[test]
fn a_chain_that_nobody_sends_is_asked_for_three_times() {
    let (mut worker, chain) = (worker(10), chain_of(1, chain::Effect::Pure));
    let mut now = NOW;
    let mut effects = handle(&mut worker, Input::Step(step(1, &chain, &["w1"])));
    let mut wants = 0;
    while matches!(effects[..], [Effect::Want { .. }]) {
        wants += 1;
        now.mono_us = worker.next_deadline().unwrap();
        effects.clear();
        worker.handle(now, Input::Tick, &mut effects);
    }
    assert_eq!(wants, 3);
    assert!(matches!(end_of(&effects), AttemptEnd::Again { .. }));
    assert_eq!((worker.outstanding(), worker.next_deadline()), (0, None));
}

#[test]
fn a_store_that_is_away_is_no_failure_of_the_operator() {
    let (mut worker, chain) = (worker(10), chain_of(1, chain::Effect::ReadOnly));
    let token = start(&mut worker, &chain, step(1, &chain, &["w1"]));
    let effects = done(&mut worker, token, Err(Fault::new(Code::Unavailable, "no primary")));
    assert!(matches!(end_of(&effects), AttemptEnd::Again { .. }));
    let token = start(&mut worker, &chain, step(2, &chain, &["w1"]));
    let effects = done(&mut worker, token, Err(Fault::new(Code::OperatorFailed, "no")));
    assert!(matches!(end_of(&effects), AttemptEnd::Failed { step: 0, .. }));
}

#[test]
fn results_over_the_limit_fail_the_job() {
    let (mut worker, chain) = (worker(10), chain_of(2, chain::Effect::Pure));
    let token = start(&mut worker, &chain, step(1, &chain, &["w1", "w2"]));
    let effects = done(&mut worker, token, Ok(&"x".repeat(512 * 1024 + 1)));
    let AttemptEnd::Failed { fault, .. } = end_of(&effects) else { panic!("{effects:?}") };
    assert_eq!(fault.code, Code::TooLarge);
}

#[test]
fn unreached_handoffs_name_their_jobs_and_only_them() {
    let (mut worker, chain) = (worker(10), chain_of(2, chain::Effect::Pure));
    let number = worker.handoff_number();
    for (job, to) in [(1, "w2"), (2, "w3"), (3, "w2")] {
        let token = start(&mut worker, &chain, step(job, &chain, &["w1", to]));
        done(&mut worker, token, Ok("x"));
    }
    worker.turn_over();
    let effects = handle(&mut worker, Input::Unreached { number, to: node("w2") });
    let jobs: Vec<u8> = effects
        .iter()
        .map(|effect| match effect {
            Effect::Finish { finish, .. } => finish.job.0[0],
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(jobs, [1, 3]);
    assert!(handle(&mut worker, Input::Unreached { number, to: node("w2") }).is_empty());
}

#[test]
fn capacity_is_shared_among_live_schedulers() {
    let mut worker = worker(100);
    assert_eq!(worker.share(NOW), 100);
    for id in ["s1", "s2"] {
        handle(&mut worker, Input::Scheduler { id: node(id), draining: false });
    }
    assert_eq!(worker.share(NOW), 50);
    handle(&mut worker, Input::Scheduler { id: node("s2"), draining: true });
    assert_eq!(worker.share(NOW), 100);
}
