use crate::rig::{Rig, WALL_US, job, operator_failed, run};
use bytes::Bytes;
use catena_protocol::message::assign::Reply;
use catena_protocol::message::commit::End;
use catena_protocol::message::finish::{Answer, AttemptEnd};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Code, Fault, JobId, Timestamp, limit};
use catena_scheduler::machine::{Effect, Identity, Input, Source, Submission};

fn from_queue(n: u64, again: bool) -> Submission {
    Submission {
        source: Source::Queue { token: n, again, stored_ms: WALL_US / 1_000 },
        ..run(n, "pure")
    }
}

fn caller(n: u64, inbox: &str) -> Submission {
    Submission { source: Source::Run(Reply::Text(inbox.into())), ..run(n, "writing") }
}

#[test]
fn the_last_worker_answers_and_the_scheduler_only_frees_the_place() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(run(1, "pure,pure"));
    let step = rig.step();
    assert_eq!(step.assignment.reply, Some(Reply::Batch("inbox.1".into())));
    assert_eq!(step.assignment.record_ms, None);
    assert_eq!(rig.outstanding(), 2);
    rig.decide(&step);
    assert_eq!(rig.effects, []);
    rig.assert_empty();
}

#[test]
fn an_outcome_is_recorded_where_one_is_needed() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let keyed = Identity::Given { job: job(3), keyed: true };
    for (submission, expected) in [
        (run(1, "reading"), None),
        (run(2, "writing"), Some(limit::OUTCOME_RUN_MS)),
        (Submission { identity: keyed, ..run(3, "pure") }, Some(limit::OUTCOME_RUN_MS)),
        (from_queue(4, false), Some(limit::OUTCOME_SUBMIT_MS)),
    ] {
        rig.submit(submission);
        assert_eq!(rig.step().assignment.record_ms, expected);
    }
}

#[test]
fn a_failure_of_a_pure_chain_is_answered_at_once() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(run(1, "pure"));
    let step = rig.step();
    rig.fail(&step);
    assert_eq!(rig.fault(), operator_failed());
    rig.assert_empty();
}

#[test]
fn a_failure_is_answered_once_its_home_has_recorded_it() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(run(1, "writing"));
    let step = rig.step();
    rig.fail(&step);
    assert_eq!(rig.answers(), []);
    let asks = rig.asks();
    let [Ask::Commit(commit)] = &asks[..] else { panic!("{asks:?}") };
    assert_eq!(commit.end, End::Failed(operator_failed()));
    assert!(commit.effects.is_empty());
    rig.commit(commit);
    assert_eq!(rig.fault(), operator_failed());
    rig.assert_empty();
}

#[test]
fn an_earlier_outcome_wins_over_a_failure() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(run(1, "writing"));
    let step = rig.step();
    rig.fail(&step);
    rig.asks();
    let outcome = rig.outcome(job(1), End::Committed("done".into()));
    rig.told(job(1), Tell::Outcome(Some(outcome)));
    let answers = rig.answers();
    assert_eq!(answers[0].1.result, Answer::Result("done".into()));
    rig.assert_empty();
}

#[test]
fn failures_are_tried_again_as_the_chain_says() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(run(1, r#"{"steps":["pure"],"retries":2}"#));
    let mut attempts = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let step = rig.step();
        assert!(attempts.insert(step.assignment.attempt));
        assert_eq!(step.payload, "input".into());
        rig.fail(&step);
        rig.pass(300);
    }
    assert_eq!(rig.fault(), operator_failed());
    rig.assert_empty();
}

#[test]
fn conflicts_see_what_the_other_did_and_end_after_a_while() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(run(1, "writing"));
    let mut attempts = 0;
    loop {
        let steps = rig.steps();
        let [step] = &steps[..] else { break };
        attempts += 1;
        let version = Timestamp(rig.now.wall_us + 300_000);
        rig.end(step, AttemptEnd::Conflict { version });
        rig.pass(250);
        if let Some(Effect::Assign { step, .. }) = rig.effects.first() {
            assert!(step.assignment.snapshot >= version);
        }
    }
    assert_eq!(attempts, 101);
    let asks = rig.asks();
    let [Ask::Commit(commit), ..] = &asks[..] else { panic!("{asks:?}") };
    rig.commit(commit);
    assert_eq!(rig.fault().code, Code::Conflict);
    rig.assert_empty();
}

#[test]
fn the_same_job_twice_runs_once_and_answers_both() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(caller(1, "a"));
    rig.submit(caller(1, "b"));
    rig.submit(caller(1, "b"));
    let step = rig.step();
    rig.decide(&step);
    let asks = rig.asks();
    assert_eq!(asks, [Ask::Outcome(job(1))]);
    let outcome = rig.outcome(job(1), End::Committed("done".into()));
    rig.told(job(1), Tell::Outcome(Some(outcome)));
    let answers = rig.answers();
    assert_eq!(answers.len(), 1, "the worker answered `a`");
    assert_eq!(answers[0].0, Reply::Text("b".into()));
    rig.assert_empty();
}

#[test]
fn a_second_caller_of_a_job_without_outcome_gets_a_run_of_its_own() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(run(1, "pure"));
    let second = Source::Run(Reply::Batch("second".into()));
    rig.submit(Submission { source: second, ..run(1, "pure") });
    let step = rig.step();
    rig.decide(&step);
    let again = rig.step();
    assert_eq!(again.assignment.reply, Some(Reply::Batch("second".into())));
    rig.decide(&step);
    assert_eq!(rig.scheduler.jobs(), 1, "the first attempt does not answer the second caller");
    rig.decide(&again);
    rig.assert_empty();
}

#[test]
fn callers_beyond_the_limit_are_told_so() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    for n in 0..70 {
        rig.submit(caller(1, &format!("inbox.{n}")));
    }
    let refused = rig.answers();
    assert_eq!(refused.len(), 70 - 1 - 64);
    for (_, finished) in refused {
        assert!(matches!(finished.result, Answer::Fault(Fault { code: Code::TooBusy, .. })));
    }
}

#[test]
fn a_caller_whose_time_is_up_is_told_that_the_job_goes_on() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(Submission { wait_ms: 4_500, ..run(1, "pure") });
    let step = rig.step();
    rig.pass(4_490);
    assert_eq!(rig.answers(), []);
    rig.pass(60);
    let fault = rig.fault();
    assert_eq!(fault.code, Code::Deadline);
    assert!(fault.message.contains(&job(1).to_string()));
    assert_eq!(rig.scheduler.jobs(), 1);
    rig.decide(&step);
    assert_eq!(rig.answers(), []);
    rig.assert_empty();
}

#[test]
fn at_the_deadline_the_failure_is_recorded_and_answered() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(Submission { deadline_ms: 10_000, ..run(1, "pure") });
    rig.submit(Submission { deadline_ms: 10_000, ..run(2, "writing") });
    assert_eq!(rig.steps()[0].assignment.deadline, Timestamp(rig.now.wall_us).plus_ms(10_000));
    rig.pass(9_990);
    assert_eq!(rig.effects, []);
    rig.pass(60);
    assert_eq!(rig.fault().code, Code::Deadline);
    let asks = rig.asks();
    let [Ask::Commit(commit)] = &asks[..] else { panic!("{asks:?}") };
    rig.commit(commit);
    assert_eq!(rig.fault().code, Code::Deadline);
    rig.assert_empty();
}

/// The outcome of a `run` job is kept for ten minutes: behind that it could not be told from one
/// that never ended. Jobs of the queue have a day.
#[test]
fn a_run_job_ends_while_its_outcome_would_be_kept() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let deadline_ms = 3_600_000;
    rig.submit(Submission { deadline_ms, ..run(1, "writing") });
    rig.submit(Submission { deadline_ms, ..from_queue(2, false) });
    let deadlines = rig.steps().into_iter().map(|step| step.assignment.deadline);
    let after = |ms| Timestamp(rig.now.wall_us).plus_ms(ms);
    assert_eq!(deadlines.collect::<Vec<_>>(), [after(570_000), after(deadline_ms)]);
}

/// An idempotency key does not say how old it is; the message does.
#[test]
fn a_message_that_is_older_than_outcomes_is_not_run() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let stored = |hours: u64| Submission {
        identity: Identity::Given { job: JobId::keyed(1, "c", None, "k"), keyed: true },
        source: Source::Queue {
            token: hours,
            again: false,
            stored_ms: WALL_US / 1_000 - hours * 3_600_000,
        },
        ..run(1, "writing")
    };
    rig.submit(stored(24));
    assert_eq!(rig.steps(), []);
    let asks = rig.asks();
    let [Ask::Commit(commit)] = &asks[..] else { panic!("{asks:?}") };
    assert!(
        matches!(&commit.end, End::Failed(fault) if fault.message.contains("nothing was started"))
    );
    rig.commit(commit);
    assert_eq!(rig.releases(), [(24, true)]);
    rig.submit(stored(22));
    rig.step();
}

/// The home of such a job records nothing for it: it would come again for ever.
#[test]
fn a_message_whose_id_is_older_than_outcomes_is_dropped() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let stored = |minutes: u64| {
        let stored_ms = WALL_US / 1_000 - minutes * 60_000;
        Submission {
            identity: Identity::Given {
                job: JobId::random(1, stored_ms * 1_000, [1; 8]),
                keyed: false,
            },
            source: Source::Queue { token: minutes, again: false, stored_ms },
            ..run(1, "writing")
        }
    };
    rig.submit(stored(1_441));
    let drops = rig.drops();
    let [(1_441, fault)] = &drops[..] else { panic!("{drops:?}") };
    assert!(fault.message.contains("its outcome is kept for"), "{fault}");
    assert_eq!((rig.steps(), rig.asks(), rig.releases()), (vec![], vec![], vec![]));
    // There is still time to record that it failed.
    rig.submit(stored(1_439));
    assert_eq!((rig.drops(), rig.asks().len()), (vec![], 1));
}

#[test]
fn a_home_that_does_not_answer_is_asked_again_and_given_up_in_the_end() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(Submission { deadline_ms: 1_000, ..run(1, "writing") });
    rig.submit(Submission { deadline_ms: 1_000, ..from_queue(2, false) });
    rig.steps();
    rig.pass(8_000);
    assert!(rig.asks().len() > 10);
    assert_eq!(rig.answers(), []);
    rig.pass(10_000);
    let fault = rig.fault();
    assert_eq!(fault.code, Code::Unavailable);
    assert_eq!(rig.releases(), [(2, false)]);
    rig.assert_empty();
}

#[test]
fn a_queue_message_is_acknowledged_when_the_outcome_is_durable() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(from_queue(1, false));
    let step = rig.step();
    assert_eq!(step.assignment.reply, None);
    assert_eq!(rig.effects, []);
    rig.decide(&step);
    assert_eq!(rig.releases(), [(1, true)]);

    rig.submit(from_queue(2, false));
    let step = rig.step();
    rig.fail(&step);
    assert_eq!(rig.releases(), []);
    let asks = rig.asks();
    let [Ask::Commit(commit)] = &asks[..] else { panic!("{asks:?}") };
    rig.commit(commit);
    assert_eq!(rig.releases(), [(2, true)]);
    rig.assert_empty();
}

#[test]
fn a_message_that_comes_again_is_answered_from_the_outcome() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(from_queue(1, true));
    assert_eq!(rig.steps(), []);
    assert_eq!(rig.asks(), [Ask::Outcome(job(1))]);
    let outcome = rig.outcome(job(1), End::Committed("done".into()));
    rig.told(job(1), Tell::Outcome(Some(outcome)));
    assert_eq!(rig.releases(), [(1, true)]);

    rig.submit(from_queue(2, true));
    rig.told(job(2), Tell::Outcome(None));
    let step = rig.step();
    rig.decide(&step);
    assert_eq!(rig.releases(), [(2, true)]);
    rig.assert_empty();
}

#[test]
fn a_message_that_can_never_run_ends_as_failed_and_one_without_room_comes_again() {
    let mut rig = Rig::new();
    rig.worker("w", 1);
    let input = Bytes::from(vec![0; limit::PAYLOAD_BYTES + 1]);
    rig.submit(Submission { input, ..from_queue(1, false) });
    let asks = rig.asks();
    let [Ask::Commit(commit)] = &asks[..] else { panic!("{asks:?}") };
    assert!(matches!(&commit.end, End::Failed(fault) if fault.code == Code::TooLarge));
    rig.commit(commit);
    assert_eq!(rig.releases(), [(1, true)]);

    rig.submit(run(2, "pure"));
    let step = rig.step();
    rig.submit(from_queue(3, false));
    assert_eq!(rig.releases(), [(3, false)]);
    rig.decide(&step);
    rig.assert_empty();
}

#[test]
fn a_queued_job_that_finds_no_worker_goes_back_instead_of_failing() {
    let mut rig = Rig::new();
    rig.worker("w", 1);
    rig.submit(run(1, "pure"));
    let step = rig.step();
    rig.submit(from_queue(2, true));
    rig.asks();
    rig.told(job(2), Tell::Outcome(None));
    assert_eq!(rig.releases(), [(2, false)]);
    rig.decide(&step);
    rig.assert_empty();
}

#[test]
fn at_the_end_of_the_process_everybody_is_told() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(caller(1, "a"));
    rig.submit(caller(1, "b"));
    rig.submit(from_queue(2, false));
    rig.input(Input::Stop);
    assert_eq!(rig.answers().len(), 2);
    assert_eq!(rig.releases(), [(2, false)]);
    rig.assert_empty();
}

#[test]
fn a_submission_for_the_queue_is_checked_first() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let source = Source::Enqueue(Some(Reply::Text("inbox".into())));
    rig.submit(Submission { source: source.clone(), ..run(1, "pure") });
    assert!(matches!(&rig.effects[..], [Effect::Enqueue(queueing)] if queueing.job == job(1)));
    rig.effects.clear();
    rig.submit(Submission { source, ..run(2, "nope") });
    assert_eq!(rig.fault().code, Code::NotFound);
    rig.assert_empty();
}
