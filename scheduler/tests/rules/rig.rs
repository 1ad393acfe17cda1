//! A scheduler with a clock that the test turns.

use bytes::Bytes;
use catena_protocol::chain::Effect as Touches;
use catena_protocol::clock::Now;
use catena_protocol::message::assign::Reply;
use catena_protocol::message::commit::{Commit, Decided, End, Outcome};
use catena_protocol::message::finish::{Answer, AttemptEnd, Finish, Finished};
use catena_protocol::message::handoff::Step;
use catena_protocol::message::heartbeat::{Heartbeat, Load, Offer};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Code, Fault, JobId, Name, NodeId, Timestamp};
use catena_scheduler::machine::{
    Called, Effect, Identity, Input, Scheduler, Settings, Source, Submission,
};

pub(crate) const WALL_US: u64 = 1_795_000_000_000_000;

pub(crate) struct Rig {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: Now,
    pub(crate) effects: Vec<Effect>,
    workers: Vec<(NodeId, u64, u32)>,
    beat_us: u64,
}

pub(crate) fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

pub(crate) fn job(n: u64) -> JobId {
    JobId::random((n % 64) as u16, WALL_US, n.to_be_bytes())
}

pub(crate) fn run(n: u64, chain: &str) -> Submission {
    Submission {
        identity: Identity::Given { job: job(n), keyed: false },
        called: Called::Inline(chain.to_owned()),
        input: Bytes::from_static(b"input"),
        deadline_ms: 0,
        wait_ms: 0,
        after: Timestamp::ZERO,
        trace: None,
        explain: false,
        source: Source::Run(Reply::Batch(format!("inbox.{n}"))),
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Settings::of(node("s")))
    }

    /// Past the grace of the start, so that refusals come at once.
    pub(crate) fn with(settings: Settings) -> Self {
        let now = Now { wall_us: WALL_US, mono_us: 1_000_000 };
        let partitions = settings.partitions.or(Some(64));
        let settings = Settings { partitions, ..settings };
        let scheduler = Scheduler::new(settings, [7; 32], now);
        let mut rig = Self { scheduler, now, effects: Vec::new(), workers: Vec::new(), beat_us: 0 };
        rig.input(Input::Chains(Default::default()));
        rig.pass(2_000);
        rig
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.scheduler.handle(self.now, input, &mut self.effects);
    }

    /// A worker that offers `pure`, `reading` and `writing`.
    pub(crate) fn worker(&mut self, id: &str, credit: u32) {
        self.workers.push((node(id), 1, credit));
        self.beat(id, 1);
    }

    pub(crate) fn beat(&mut self, id: &str, outstanding: u32) {
        let known = self.workers.iter().find(|known| known.0 == node(id));
        let Some((node, boot, credit)) = known.cloned() else { return };
        let offer = |name: &str, effect| Offer {
            name: Name::new(name).unwrap(),
            effect,
            help: String::new(),
            native: false,
        };
        let operators = vec![
            offer("pure", Touches::Pure),
            offer("reading", Touches::ReadOnly),
            offer("writing", Touches::Writing),
        ];
        let load = Load::Worker { outstanding, credit, operators };
        self.input(Input::Heartbeat(Heartbeat { node, boot, draining: false, load }));
    }

    pub(crate) fn restart(&mut self, id: &str) {
        self.workers.iter_mut().filter(|known| known.0 == node(id)).for_each(|known| known.1 += 1);
        self.beat(id, 0);
    }

    /// No heartbeat any more.
    pub(crate) fn kill(&mut self, id: &str) {
        self.workers.retain(|known| known.0 != node(id));
    }

    /// Time passes; living workers say so, busy with something.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.pass_with(ms, 1);
    }

    pub(crate) fn pass_with(&mut self, ms: u64, outstanding: u32) {
        let end_us = self.now.mono_us + ms * 1_000;
        loop {
            let tick = self.scheduler.next_deadline().unwrap_or(u64::MAX);
            let beat = self.beat_us;
            let next = tick.min(beat).min(end_us).max(self.now.mono_us);
            self.now.wall_us += next - self.now.mono_us;
            self.now.mono_us = next;
            if next >= beat {
                self.beat_us = next + 500_000;
                for id in self.workers.iter().map(|known| known.0.clone()).collect::<Vec<_>>() {
                    self.beat(id.as_str(), outstanding);
                }
            }
            if self.scheduler.next_deadline().is_some_and(|us| us <= next) {
                self.input(Input::Tick);
                let again = self.scheduler.next_deadline();
                assert!(again.is_none_or(|us| us > next), "a tick leaves nothing to do at once");
            }
            if next >= end_us {
                return;
            }
        }
    }

    pub(crate) fn submit(&mut self, submission: Submission) {
        self.input(Input::Submit(submission));
    }

    /// The steps that were published since the last look.
    pub(crate) fn steps(&mut self) -> Vec<Step> {
        self.drain(|effect| match effect {
            Effect::Assign { worker, step } => {
                assert_eq!(step.assignment.plan.first(), Some(&worker));
                Ok(step)
            }
            other => Err(other),
        })
    }

    pub(crate) fn step(&mut self) -> Step {
        let mut steps = self.steps();
        assert_eq!(steps.len(), 1, "{steps:?} {:?}", self.effects);
        steps.remove(0)
    }

    pub(crate) fn answers(&mut self) -> Vec<(Reply, Finished)> {
        self.drain(|effect| match effect {
            Effect::Answer { reply, finished } => Ok((reply, finished)),
            other => Err(other),
        })
    }

    pub(crate) fn fault(&mut self) -> Fault {
        let mut answers = self.answers();
        assert_eq!(answers.len(), 1, "{answers:?} {:?}", self.effects);
        match answers.remove(0).1.result {
            Answer::Fault(fault) => fault,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn asks(&mut self) -> Vec<Ask> {
        self.drain(|effect| match effect {
            Effect::Ask { ask, .. } => Ok(ask),
            other => Err(other),
        })
    }

    pub(crate) fn releases(&mut self) -> Vec<(u64, bool)> {
        self.drain(|effect| match effect {
            Effect::Release { token, done } => Ok((token, done)),
            other => Err(other),
        })
    }

    pub(crate) fn drops(&mut self) -> Vec<(u64, Fault)> {
        self.drain(|effect| match effect {
            Effect::Drop { token, fault } => Ok((token, fault)),
            other => Err(other),
        })
    }

    fn drain<T>(&mut self, wanted: impl Fn(Effect) -> Result<T, Effect>) -> Vec<T> {
        let mut taken = Vec::new();
        for effect in std::mem::take(&mut self.effects) {
            match wanted(effect) {
                Ok(item) => taken.push(item),
                Err(other) => self.effects.push(other),
            }
        }
        taken
    }

    pub(crate) fn end(&mut self, step: &Step, end: AttemptEnd) {
        let (job, attempt) = (step.assignment.job, step.assignment.attempt);
        self.input(Input::Finish(Finish { job, attempt, end }));
    }

    pub(crate) fn decide(&mut self, step: &Step) {
        let version = Timestamp(self.now.wall_us);
        self.end(step, AttemptEnd::Decided { version, good: true });
    }

    pub(crate) fn fail(&mut self, step: &Step) {
        self.end(step, AttemptEnd::Failed { step: 0, fault: operator_failed() });
    }

    pub(crate) fn told(&mut self, job: JobId, tell: Tell) {
        self.input(Input::Told { job, tell });
    }

    /// Answers a commit as a home without an earlier outcome does.
    pub(crate) fn commit(&mut self, commit: &Commit) {
        let outcome = self.outcome(commit.job, commit.end.clone());
        self.told(commit.job, Tell::Decided(Decided::Outcome(outcome)));
    }

    pub(crate) fn outcome(&self, job: JobId, end: End) -> Outcome {
        Outcome {
            job,
            attempt: Default::default(),
            chain: Name::new("inline").unwrap(),
            version: Timestamp(self.now.wall_us),
            end,
            expires: Timestamp::MAX,
        }
    }

    /// Steps outstanding on all workers.
    pub(crate) fn longest_deadline_ms(&mut self) -> u64 {
        self.scheduler.longest_deadline_ms(self.now)
    }

    pub(crate) fn outstanding(&self) -> u32 {
        self.scheduler.workers().iter().map(|load| load.outstanding).sum()
    }

    /// Nothing is in flight, and nothing is held for it.
    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.scheduler.jobs(), 0);
        assert_eq!(self.scheduler.parked(), 0);
        assert_eq!(self.scheduler.held_bytes(), 0);
        assert_eq!(self.outstanding(), 0);
    }
}

pub(crate) fn operator_failed() -> Fault {
    Fault::new(Code::OperatorFailed, "the operator says no")
}
