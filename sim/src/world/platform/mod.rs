//! Processes of the platform: they start, take one step after the other, stand still, and end.
//!
//! ```text
//! calls       clients: they hand jobs to schedulers, and what they are told
//! schedulers  what the rules of a scheduler ask for
//! inquiries   what a scheduler says of a job to whoever asks
//! workers     what the rules of a worker ask for
//! steps       operators, polled by hand
//! queue       the durable queue
//! traffic     what arrives at a process, and what its router sends
//! strikes     faults begin and end
//! ```

mod calls;
mod inquiries;
mod queue;
mod schedulers;
mod steps;
mod strikes;
mod traffic;
mod workers;

use super::effects::HEARTBEAT_US;
use super::{Happening, World};
use crate::broker::{Inbox, Party};
use crate::clock::Clock;
use crate::fault::FaultKind;
use crate::platform::{Post, SchedulerAtWork, WorkerAtWork};
use catena_client::machine::Input as ClientInput;
use catena_protocol::NodeId;
use catena_scheduler::machine::Input as SchedulerInput;
use catena_worker::machine::{Input as WorkerInput, Token};
use rand::Rng;

/// Something that happens to the platform.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A process starts, if none runs.
    Boots(Party),
    /// It says that it lives.
    Beats(Inbox),
    /// Its time has come.
    Wakes(Inbox, u64),
    /// An operator has waited long enough: the number of its wish.
    OperatorWakes(Inbox, Token, u64),
    /// The other schedulers had time enough to say who runs a job.
    OwnersSilent(Inbox, u64),
    /// A scheduler says of its queued jobs that they still run.
    Progress(Inbox),
    /// The queue delivers.
    Delivers,
    /// A submitter looks at the time.
    SubmitterWakes(usize, u64),
    /// Another client calls a job that somebody has called.
    CallsToo {
        client: usize,
        job: usize,
    },
    /// A client asks again for a job to be queued.
    QueuesAgain(usize),
    /// A process that is about to leave is gone.
    Exits(Inbox),
    Strikes(FaultKind),
    Ends(FaultKind, Party),
}

/// Schedulers and workers of a cluster.
const SCHEDULERS: usize = 2;
const WORKERS: usize = 3;

#[allow(clippy::expect_used, reason = "names made here")]
fn id(kind: &str, number: usize) -> NodeId {
    NodeId::new(format!("{kind}{number}")).expect("a valid id")
}

impl World {
    /// Machines for the platform, if this plan has one.
    pub(super) fn found_platform(&mut self) {
        if self.plan.through_platform == 0 {
            return;
        }
        for number in 0..SCHEDULERS {
            let post = Post::new(id("d", number), self.some_clock());
            self.platform.schedulers.push(post);
        }
        for number in 0..WORKERS {
            let post = Post::new(id("w", number), self.some_clock());
            self.platform.workers.push(post);
        }
        for party in self.platform.parties() {
            let wait = self.rng.random_range(0..300_000);
            self.after(wait, Happening::Platform(Event::Boots(party)));
        }
        self.after(1, Happening::Platform(Event::Delivers));
        for kind in FaultKind::ALL {
            self.next_platform_strike(kind);
        }
    }

    fn some_clock(&mut self) -> Clock {
        let skew = i64::try_from(self.plan.skew_us).unwrap_or(0);
        Clock {
            offset_us: self.rng.random_range(-skew..=skew),
            stopped_us: None,
            drift_ppm: self.rng.random_range(-self.plan.drift_ppm..=self.plan.drift_ppm),
        }
    }

    pub(super) fn platform_event(&mut self, event: Event) {
        match event {
            Event::Boots(party) => self.process_starts(party),
            Event::Beats(who) => self.process_beats(who),
            Event::Wakes(who, alarm) => self.process_wakes(who, alarm),
            Event::OperatorWakes(who, token, wish) => self.operator_wakes(who, token, wish),
            Event::OwnersSilent(who, inquiry) => self.owners_silent(who, inquiry),
            Event::Progress(who) => self.say_progress(who),
            Event::Delivers => self.deliver(),
            Event::SubmitterWakes(client, alarm) => self.submitter_wakes(client, alarm),
            Event::CallsToo { client, job } => self.run_job(client, job),
            Event::QueuesAgain(job) => self.ask_to_queue(job),
            Event::Exits(who) => self.process_exits(who),
            Event::Strikes(kind) => self.platform_strike(kind),
            Event::Ends(kind, party) => self.platform_fault_ends(kind, party),
        }
    }

    /// Whether this very process is up; paused or not.
    pub(super) fn lives(&self, who: Inbox) -> bool {
        self.boot_of(who.of) == Some(who.boot)
    }

    /// The boot of the process that is up there.
    pub(super) fn boot_of(&self, party: Party) -> Option<u64> {
        match party {
            Party::Scheduler(at) => self.platform.schedulers[at].life.as_ref().map(|l| l.boot),
            Party::Worker(at) => self.platform.workers[at].life.as_ref().map(|l| l.boot),
            Party::Node(at) => self.hosts[at].process.as_ref().map(|process| process.boot),
            Party::Client(_) | Party::Queue => Some(0),
        }
    }

    fn paused_until(&self, party: Party) -> u64 {
        match party {
            Party::Scheduler(at) => self.platform.schedulers[at].paused_until_us,
            Party::Worker(at) => self.platform.workers[at].paused_until_us,
            Party::Client(_) | Party::Node(_) | Party::Queue => 0,
        }
    }

    /// Whether a process cannot take an event now: it is gone, or it is paused and gets it later.
    fn misses(&mut self, who: Inbox, event: impl FnOnce() -> Event) -> bool {
        if !self.lives(who) {
            return true;
        }
        let until = self.paused_until(who.of);
        if until > self.at_us {
            self.at(until, Happening::Platform(event()));
            return true;
        }
        false
    }

    fn process_starts(&mut self, party: Party) {
        let at_us = self.at_us;
        if self.boot_of(party).is_some() {
            return;
        }
        match party {
            Party::Scheduler(at) => {
                let seed = self.rng.random();
                let post = &mut self.platform.schedulers[at];
                let now = post.clock.now(at_us, at_us);
                let process = SchedulerAtWork::new(post.id.clone(), seed, now);
                post.begin(at_us, process);
                for input in SchedulerAtWork::definitions() {
                    self.scheduler(at, input);
                }
            }
            Party::Worker(at) => {
                let seed = self.rng.random();
                let post = &mut self.platform.workers[at];
                let process = WorkerAtWork::new(post.id.clone(), seed);
                post.begin(at_us, process);
            }
            Party::Client(_) | Party::Node(_) | Party::Queue => return,
        }
        let boot = self.boot_of(party).unwrap_or(0);
        let who = Inbox { of: party, boot };
        self.note(|| format!("{party} starts, boot {boot}"));
        self.tally.count(match party {
            Party::Scheduler(_) => "schedulers started",
            _ => "workers started",
        });
        // The number of partitions is asked for when a process starts.
        let partitions = self.plan.partitions;
        self.routes(who, ClientInput::Partitions(partitions));
        self.after(1, Happening::Platform(Event::Beats(who)));
        if matches!(party, Party::Scheduler(_)) {
            self.say_progress(who);
        }
    }

    fn process_beats(&mut self, who: Inbox) {
        if self.misses(who, || Event::Beats(who)) {
            return;
        }
        match who.of {
            Party::Scheduler(at) => self.scheduler_beats(at),
            Party::Worker(at) => self.worker_beats(at),
            Party::Client(_) | Party::Node(_) | Party::Queue => {}
        }
        self.after(HEARTBEAT_US, Happening::Platform(Event::Beats(who)));
    }

    fn process_wakes(&mut self, who: Inbox, alarm: u64) {
        let counts = match who.of {
            Party::Scheduler(at) => {
                self.platform.schedulers[at].life.as_ref().is_some_and(|l| l.alarm == alarm)
            }
            Party::Worker(at) => {
                self.platform.workers[at].life.as_ref().is_some_and(|l| l.alarm == alarm)
            }
            Party::Client(_) | Party::Node(_) | Party::Queue => false,
        };
        if !counts || self.misses(who, || Event::Wakes(who, alarm)) {
            return;
        }
        self.routes(who, ClientInput::Tick);
        match who.of {
            Party::Scheduler(at) => self.scheduler(at, SchedulerInput::Tick),
            Party::Worker(at) => self.worker(at, WorkerInput::Tick),
            Party::Client(_) | Party::Node(_) | Party::Queue => {}
        }
    }

    /// Sets the wake-up of a process anew.
    pub(super) fn set_process_alarm(&mut self, party: Party) {
        let at_us = self.at_us;
        let set = match party {
            Party::Scheduler(at) => self.platform.schedulers[at]
                .set_alarm(at_us, crate::platform::SchedulerAtWork::next_deadline),
            Party::Worker(at) => self.platform.workers[at]
                .set_alarm(at_us, crate::platform::WorkerAtWork::next_deadline),
            Party::Client(_) | Party::Node(_) | Party::Queue => None,
        };
        let Some((due_us, boot, alarm)) = set else { return };
        let who = Inbox { of: party, boot };
        self.at(due_us, Happening::Platform(Event::Wakes(who, alarm)));
    }

    pub(super) fn now_of(&self, party: Party) -> catena_protocol::clock::Now {
        match party {
            Party::Scheduler(at) => self.platform.schedulers[at].now(self.at_us),
            Party::Worker(at) => self.platform.workers[at].now(self.at_us),
            Party::Client(_) | Party::Node(_) | Party::Queue => crate::clock::right(self.at_us),
        }
    }
}
