use crate::rig::{Rig, job, node, run};
use catena_protocol::message::commit::End;
use catena_protocol::message::finish::{Answer, AttemptEnd};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Code, Fault};
use catena_scheduler::machine::{Input, Submission};

#[test]
fn jobs_of_a_worker_that_fell_silent_run_elsewhere_under_fresh_attempts() {
    let mut rig = Rig::new();
    rig.worker("w0", 1000);
    rig.worker("w1", 1000);
    for n in 0..100 {
        rig.submit(run(n, "pure"));
    }
    let first = rig.steps();
    let on_w0 = first.iter().filter(|step| step.assignment.plan[0] == node("w0")).count();
    assert_eq!(on_w0, 50);
    rig.kill("w0");
    rig.pass(2_200);
    let again = rig.steps();
    assert_eq!(again.len(), 50, "those of w0, and no others");
    for step in &again {
        assert_eq!(step.assignment.plan, [node("w1")]);
        let before = first.iter().find(|f| f.assignment.job == step.assignment.job).unwrap();
        assert_ne!(before.assignment.attempt, step.assignment.attempt);
        assert!(before.assignment.snapshot < step.assignment.snapshot);
    }
    // The attempts before do not count any more, unless they decided.
    rig.fail(&first[0]);
    rig.pass(100);
    first.iter().filter(|s| s.assignment.plan[0] == node("w1")).for_each(|s| rig.decide(s));
    again.iter().for_each(|step| rig.decide(step));
    assert_eq!(rig.answers(), []);
    rig.assert_empty();
}

#[test]
fn a_job_that_may_have_an_outcome_asks_for_it_before_it_runs_again() {
    let mut rig = Rig::new();
    rig.worker("w0", 1000);
    rig.submit(run(1, "writing"));
    rig.submit(run(2, "writing"));
    rig.steps();
    rig.restart("w0");
    rig.pass(1);
    let asks = rig.asks();
    assert_eq!(asks, [Ask::Outcome(job(1)), Ask::Outcome(job(2))]);
    rig.told(job(1), Tell::Outcome(None));
    let step = rig.step();
    rig.decide(&step);
    let outcome = rig.outcome(job(2), End::Committed("done".into()));
    rig.told(job(2), Tell::Outcome(Some(outcome)));
    assert_eq!(rig.answers().len(), 1);
    rig.assert_empty();
}

#[test]
fn many_suspects_are_taken_up_in_shares() {
    let mut rig = Rig::new();
    rig.worker("w0", 4096);
    for n in 0..1_000 {
        rig.submit(run(n, "pure"));
    }
    assert_eq!(rig.steps().len(), 1_000);
    rig.input(Input::Reconnected);
    rig.pass(1);
    assert_eq!(rig.steps().len(), 256);
    rig.input(Input::Tick);
    assert_eq!(rig.steps().len(), 0, "the next share has to wait");
    rig.pass(15);
    assert_eq!(rig.steps().len(), 256);
    rig.pass(100);
    assert_eq!(rig.steps().len(), 1_000 - 512);
    assert_eq!(rig.outstanding(), 1_000);
}

#[test]
fn a_worker_that_is_gone_loses_what_was_sent_to_it() {
    let mut rig = Rig::new();
    rig.worker("w0", 100);
    rig.worker("w1", 100);
    rig.submit(run(1, "pure"));
    let step = rig.step();
    rig.input(Input::Gone(step.assignment.plan[0].clone()));
    rig.pass(1);
    assert_ne!(rig.step().assignment.plan, step.assignment.plan);
}

#[test]
fn a_lost_message_is_noticed_when_all_its_workers_are_idle() {
    let mut rig = Rig::new();
    rig.worker("w0", 100);
    rig.pass_with(2_000, 0);
    rig.submit(run(1, "pure"));
    let step = rig.step();
    rig.pass_with(900, 0);
    assert_eq!(rig.steps(), [], "one idle heartbeat may be older than the job");
    rig.pass_with(600, 0);
    let again = rig.step();
    assert_ne!(again.assignment.attempt, step.assignment.attempt);
    // A busy worker may be busy with this job.
    rig.pass_with(20_000, 1);
    assert_eq!(rig.steps(), []);
}

#[test]
fn an_attempt_past_its_step_timeouts_is_run_again() {
    let mut rig = Rig::new();
    rig.worker("w0", 100);
    rig.submit(run(1, r#"{"steps":["pure","pure"],"step_timeout":"2s"}"#));
    rig.step();
    rig.pass(4_900);
    assert_eq!(rig.steps(), []);
    rig.pass(2_000);
    rig.step();
}

#[test]
fn without_room_for_the_next_attempt_a_job_waits_until_its_deadline() {
    let mut rig = Rig::new();
    rig.worker("w0", 1);
    rig.submit(Submission { deadline_ms: 5_000, ..run(1, "pure") });
    let step = rig.step();
    rig.end(&step, AttemptEnd::Full { worker: node("w0") });
    assert_eq!(rig.steps(), []);
    rig.pass(1_000);
    let step = rig.step();
    rig.end(&step, AttemptEnd::Gone { worker: node("w0") });
    rig.kill("w0");
    rig.pass(5_000);
    let fault = rig.fault();
    assert_eq!(fault.code, Code::Deadline);
    assert!(fault.message.contains("`pure`"), "it says what was missing: {fault}");
    rig.assert_empty();
}

#[test]
fn trouble_with_the_store_is_tried_again_but_not_for_ever() {
    let mut rig = Rig::new();
    rig.worker("w0", 1);
    rig.submit(Submission { deadline_ms: 3_600_000, ..run(1, "reading") });
    let fault = Fault::new(Code::Unavailable, "no primary");
    let mut attempts = 0;
    while rig.scheduler.jobs() > 0 {
        let step = rig.step();
        attempts += 1;
        rig.end(&step, AttemptEnd::Again { fault: fault.clone() });
        rig.pass(250);
    }
    assert_eq!(attempts, 1_001);
    assert_eq!(rig.fault(), fault);
    rig.assert_empty();
}

/// A store that has no room: the job is tried again, and who does not wait so long is told why.
#[test]
fn a_store_without_room_is_transparent_until_somebody_stops_waiting() {
    let mut rig = Rig::new();
    rig.worker("w0", 1);
    rig.submit(Submission {
        wait_ms: 1_000,
        deadline_ms: 4_000,
        explain: true,
        ..run(1, "reading")
    });
    let fault = Fault::new(Code::TooBusy, "16384 jobs are about to write in partition 1");
    let mut attempts = 0;
    let mut told = Vec::new();
    while rig.scheduler.jobs() > 0 {
        for step in rig.steps() {
            attempts += 1;
            let tries = step.assignment.tries.unwrap();
            assert_eq!((tries.attempts, tries.repeats), (attempts, attempts - 1));
            rig.end(&step, AttemptEnd::Again { fault: fault.clone() });
        }
        rig.pass(250);
        told.extend(rig.answers().into_iter().map(|(_, finished)| finished.result));
    }
    assert!(attempts > 3, "{attempts} attempts");
    let [Answer::Fault(fault)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(fault.code, Code::Deadline);
    assert!(fault.message.contains("goes on") && fault.message.contains("16384"), "{fault}");
    rig.assert_empty();
}

/// What held a job up until its deadline is how it ends, if that was a limit.
#[test]
fn a_job_that_found_no_room_until_its_deadline_ends_with_the_limit() {
    for (code, end) in [(Code::TooBusy, Code::TooBusy), (Code::Unavailable, Code::Deadline)] {
        let mut rig = Rig::new();
        rig.worker("w0", 1);
        rig.submit(Submission { deadline_ms: 1_000, ..run(1, "reading") });
        while rig.scheduler.jobs() > 0 {
            for step in rig.steps() {
                rig.end(&step, AttemptEnd::Again { fault: Fault::new(code, "no room") });
            }
            rig.pass(250);
        }
        let fault = rig.fault();
        assert_eq!(fault.code, end);
        assert!(fault.message.contains("changed nothing") && fault.message.contains("no room"));
    }
}

#[test]
fn a_late_end_of_a_job_that_is_gone_changes_nothing() {
    let mut rig = Rig::new();
    rig.worker("w0", 10);
    rig.submit(run(1, "pure"));
    let step = rig.step();
    rig.decide(&step);
    for _ in 0..3 {
        rig.decide(&step);
        rig.fail(&step);
        rig.told(job(1), Tell::Outcome(None));
    }
    assert_eq!(rig.effects, []);
    rig.assert_empty();
}
