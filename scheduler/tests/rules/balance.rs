use crate::rig::{Rig, node, run};
use catena_protocol::message::handoff::Step;
use std::collections::{BTreeMap, VecDeque};

/// Runs `jobs` jobs with `in_flight` at a time; returns the steps that each worker got.
fn spread(rig: &mut Rig, jobs: u64, in_flight: usize, chain: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut running: VecDeque<Step> = VecDeque::new();
    for n in 0..jobs {
        rig.submit(run(n, chain));
        for step in rig.steps() {
            for worker in &step.assignment.plan {
                *counts.entry(worker.to_string()).or_default() += 1;
            }
            running.push_back(step);
        }
        if running.len() >= in_flight {
            // Not in order: every third waits for another round.
            let step = running.pop_front().unwrap();
            if n % 3 == 0 {
                running.push_back(step);
            } else {
                rig.decide(&step);
            }
        }
    }
    for step in running {
        rig.decide(&step);
    }
    rig.assert_empty();
    counts
}

fn assert_even(counts: &BTreeMap<String, u64>, workers: usize) {
    assert_eq!(counts.len(), workers);
    let mean = counts.values().sum::<u64>() as f64 / workers as f64;
    for (worker, count) in counts {
        let off = (*count as f64 - mean).abs() / mean;
        assert!(off < 0.05, "{worker} is {:.1} % off: {counts:?}", off * 100.0);
    }
}

#[test]
fn equal_workers_get_equal_shares() {
    for (workers, in_flight, chain) in [
        (2, 1, "pure"),
        (4, 1, "pure,pure,pure"),
        (4, 64, "pure,pure,pure"),
        (7, 256, "pure,reading"),
        (3, 16, "pure,pure,pure,pure,pure,pure,pure,pure,pure,pure"),
    ] {
        let mut rig = Rig::new();
        for n in 0..workers {
            rig.worker(&format!("w{n}"), 4096);
        }
        assert_even(&spread(&mut rig, 2_000, in_flight, chain), workers);
    }
}

#[test]
fn a_worker_that_joins_gets_its_share_and_one_that_leaves_gets_nothing() {
    let mut rig = Rig::new();
    for n in 0..3 {
        rig.worker(&format!("w{n}"), 4096);
    }
    assert_even(&spread(&mut rig, 999, 64, "pure,pure"), 3);
    rig.worker("w3", 4096);
    assert_even(&spread(&mut rig, 2_000, 64, "pure,pure"), 4);
    rig.kill("w0");
    rig.pass(2_500);
    let counts = spread(&mut rig, 2_000, 64, "pure,pure");
    assert!(!counts.contains_key("w0"));
    assert_even(&counts, 3);
}

#[test]
fn among_equals_a_job_stays_where_it_is() {
    let mut rig = Rig::new();
    rig.worker("w0", 10);
    rig.worker("w1", 10);
    rig.submit(run(1, "pure"));
    rig.submit(run(2, "pure,pure"));
    let steps = rig.steps();
    let plan = &steps[1].assignment.plan;
    // One worker has one step more; after the first step of the second job both have one.
    assert_eq!(plan[0], plan[1]);
    assert_ne!(steps[0].assignment.plan[0], plan[0]);
}

#[test]
fn a_full_or_gone_worker_gets_nothing_until_it_is_heard_again() {
    use catena_protocol::message::finish::AttemptEnd;
    for gone in [false, true] {
        let mut rig = Rig::new();
        rig.worker("w0", 100);
        rig.worker("w1", 100);
        rig.submit(run(1, "pure"));
        let step = rig.step();
        let worker = step.assignment.plan[0].clone();
        let end = if gone {
            AttemptEnd::Gone { worker: worker.clone() }
        } else {
            AttemptEnd::Full { worker: worker.clone() }
        };
        rig.end(&step, end);
        let again = rig.step();
        assert_ne!(again.assignment.plan[0], worker);
        assert_ne!(again.assignment.attempt, step.assignment.attempt);
        for n in 2..20 {
            rig.submit(run(n, "pure"));
        }
        assert!(rig.steps().iter().all(|step| step.assignment.plan[0] != worker));
        rig.beat(worker.as_str(), 0);
        rig.submit(run(99, "pure"));
        assert_eq!(rig.step().assignment.plan[0], node(worker.as_str()));
    }
}

#[test]
fn a_worker_that_is_behind_gets_nothing_more_until_the_others_have_as_much() {
    let mut rig = Rig::new();
    rig.worker("w0", 100);
    rig.worker("w1", 100);
    for n in 0..40 {
        rig.submit(run(n, "pure"));
    }
    for step in rig.steps() {
        if step.assignment.plan[0] == node("w1") {
            rig.decide(&step);
        }
    }
    for n in 100..120 {
        rig.submit(run(n, "pure"));
    }
    assert!(rig.steps().iter().all(|step| step.assignment.plan[0] == node("w1")));
}
