//! Anything in any order: nothing panics, everybody is answered exactly once, nothing is left.

use crate::rig::{Rig, job, node, run};
use catena_protocol::message::assign::Reply;
use catena_protocol::message::commit::{Decided, End};
use catena_protocol::message::finish::AttemptEnd;
use catena_protocol::message::handoff::Step;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Code, Fault, JobId, Timestamp};
use catena_scheduler::machine::{Effect, Identity, Input, Settings, Source, Submission};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Event {
    Submit {
        job: u64,
        chain: usize,
        keyed: bool,
        queued: bool,
        wait_ms: u64,
    },
    /// How the attempt at this place among those that are out ends.
    End {
        at: usize,
        how: usize,
        again: bool,
    },
    /// The question at this place among the open ones is answered; or never.
    Tell {
        at: usize,
        how: usize,
    },
    Pass {
        ms: u64,
        idle: bool,
    },
    Worker {
        id: usize,
        what: usize,
    },
    Reconnected,
}

const CHAINS: [&str; 6] = [
    "pure",
    "writing",
    "pure,reading,pure",
    r#"{"steps":["writing","pure"],"retries":2,"step_timeout":"300ms"}"#,
    r#"{"steps":["pure"],"deadline":"2s"}"#,
    "nope",
];

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..12_u64, 0..6_usize, any::<bool>(), any::<bool>(), 0..6_000_u64).prop_map(
            |(job, chain, keyed, queued, wait_ms)| Event::Submit {
                job, chain, keyed, queued, wait_ms
            }),
        6 => (0..20_usize, 0..7_usize, any::<bool>())
            .prop_map(|(at, how, again)| Event::End { at, how, again }),
        3 => (0..20_usize, 0..5_usize).prop_map(|(at, how)| Event::Tell { at, how }),
        3 => (1..2_500_u64, any::<bool>()).prop_map(|(ms, idle)| Event::Pass { ms, idle }),
        1 => (0..3_usize, 0..4_usize).prop_map(|(id, what)| Event::Worker { id, what }),
        1 => Just(Event::Reconnected),
    ]
}

/// The world around the scheduler: attempts that are out, questions that are open, and a home
/// that records the first outcome of each job.
struct World {
    rig: Rig,
    out: Vec<Step>,
    open: Vec<(JobId, Ask)>,
    homes: BTreeMap<JobId, End>,
    asked: BTreeSet<String>,
    answered: BTreeMap<String, u32>,
    tokens: BTreeMap<u64, u32>,
    next: u64,
}

impl World {
    fn new() -> Self {
        let mut rig =
            Rig::with(Settings { max_jobs: 8, held_bytes: 200, ..Settings::of(node("s")) });
        rig.worker("w0", 6);
        rig.worker("w1", 6);
        Self {
            rig,
            out: Vec::new(),
            open: Vec::new(),
            homes: BTreeMap::new(),
            asked: BTreeSet::new(),
            answered: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next: 0,
        }
    }

    fn collect(&mut self) {
        for effect in std::mem::take(&mut self.rig.effects) {
            match effect {
                Effect::Assign { step, .. } => self.out.push(step),
                Effect::Answer { reply, .. } => self.answer(reply),
                Effect::Ask { job, ask } => self.open.push((job, ask)),
                Effect::Release { token, .. } | Effect::Drop { token, .. } => {
                    *self.tokens.entry(token).or_default() += 1;
                }
                Effect::Look(name) => self.rig.input(Input::Missing(name)),
                Effect::Enqueue(_) => {}
            }
        }
        if self.open.len() > 40 {
            self.open.drain(..20);
        }
    }

    fn answer(&mut self, reply: Reply) {
        let (Reply::Text(inbox) | Reply::Batch(inbox)) = reply;
        *self.answered.entry(inbox).or_default() += 1;
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Submit { job, chain, keyed, queued, wait_ms } => {
                self.submit(job, chain, keyed, queued, wait_ms);
            }
            Event::End { at, how, again } => self.end(at, how, again),
            Event::Tell { at, how } => self.tell(at, how),
            Event::Pass { ms, idle } => self.rig.pass_with(ms, u32::from(!idle)),
            Event::Worker { id, what } => {
                let id = format!("w{id}");
                match what {
                    0 => self.rig.kill(&id),
                    1 => self.rig.restart(&id),
                    2 => self.rig.input(Input::Gone(node(&id))),
                    _ => {
                        self.rig.kill(&id);
                        self.rig.worker(&id, 6);
                    }
                }
            }
            Event::Reconnected => self.rig.input(Input::Reconnected),
        }
        self.collect();
    }

    fn submit(&mut self, n: u64, chain: usize, keyed: bool, queued: bool, wait_ms: u64) {
        self.next += 1;
        let source = if queued {
            self.tokens.insert(self.next, 0);
            Source::Queue {
                token: self.next,
                again: wait_ms.is_multiple_of(3),
                stored_ms: self.rig.now.wall_us / 1_000,
            }
        } else {
            let inbox = format!("inbox.{}", self.next);
            self.asked.insert(inbox.clone());
            Source::Run(Reply::Text(inbox))
        };
        let identity = Identity::Given { job: job(n), keyed };
        self.rig.submit(Submission { identity, source, wait_ms, ..run(n, CHAINS[chain]) });
    }

    /// What a last worker does: commits at the home if an outcome is needed, answers the caller.
    fn end(&mut self, at: usize, how: usize, again: bool) {
        if self.out.is_empty() {
            return;
        }
        let at = at % self.out.len();
        let step = if again { self.out[at].clone() } else { self.out.remove(at) };
        let assignment = &step.assignment;
        let worker = assignment.plan[0].clone();
        let fault = Fault::new(Code::Unavailable, "trouble");
        match how {
            0 => self.rig.fail(&step),
            1 => self.rig.end(&step, AttemptEnd::Conflict { version: assignment.snapshot }),
            2 => self.rig.end(&step, AttemptEnd::Full { worker }),
            3 => self.rig.end(&step, AttemptEnd::Gone { worker }),
            4 => self.rig.end(&step, AttemptEnd::Again { fault }),
            _ => {
                let mut good = true;
                if assignment.record_ms.is_some() {
                    let done = || End::Committed("done".into());
                    let end = self.homes.entry(assignment.job).or_insert_with(done);
                    good = matches!(end, End::Committed(_));
                }
                let version = Timestamp(self.rig.now.wall_us);
                self.rig.end(&step, AttemptEnd::Decided { version, good });
                if let Some(Reply::Text(inbox) | Reply::Batch(inbox)) = &assignment.reply {
                    // Several attempts may answer; a caller listens to the first.
                    self.answered.entry(inbox.clone()).or_insert(1);
                }
            }
        }
    }

    fn tell(&mut self, at: usize, how: usize) {
        if self.open.is_empty() {
            return;
        }
        let (job, ask) = self.open.remove(at % self.open.len());
        match how {
            0 => {}
            1 => {
                let fault = Fault::new(Code::Unavailable, "no primary");
                self.rig.told(job, Tell::Fault(fault));
            }
            _ => self.tell_truth(job, ask),
        }
    }

    fn tell_truth(&mut self, job: JobId, ask: Ask) {
        let tell = match ask {
            Ask::Commit(commit) => {
                let end = self.homes.entry(job).or_insert(commit.end).clone();
                Tell::Decided(Decided::Outcome(self.rig.outcome(job, end)))
            }
            _ => {
                let end = self.homes.get(&job).cloned();
                Tell::Outcome(end.map(|end| self.rig.outcome(job, end)))
            }
        };
        self.rig.told(job, tell);
    }

    /// From now on all goes well.
    fn calm(&mut self) {
        for id in ["w0", "w1"] {
            self.rig.kill(id);
            self.rig.worker(id, 100);
        }
        for _ in 0..400 {
            if self.rig.scheduler.jobs() == 0 && self.rig.scheduler.parked() == 0 {
                break;
            }
            while !self.out.is_empty() {
                self.end(0, 5, false);
                self.collect();
            }
            for (job, ask) in std::mem::take(&mut self.open) {
                self.tell_truth(job, ask);
                self.collect();
            }
            self.rig.pass(250);
            self.collect();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everybody_is_answered_once_and_nothing_is_left(
        events in proptest::collection::vec(event(), 1..120),
    ) {
        let mut world = World::new();
        for event in events {
            world.apply(event);
            prop_assert!(world.rig.scheduler.jobs() <= 8);
            prop_assert!(world.rig.scheduler.held_bytes() <= 200);
        }
        world.calm();
        world.rig.assert_empty();
        for inbox in &world.asked {
            let answers = world.answered.get(inbox).copied().unwrap_or_default();
            // A worker and the scheduler may both answer when an attempt was taken for lost.
            prop_assert!(answers >= 1, "{inbox} got no answer");
        }
        for (token, released) in &world.tokens {
            prop_assert_eq!(*released, 1, "message {} was released {} times", token, released);
        }
    }
}
