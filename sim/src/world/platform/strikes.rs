//! Faults of the platform's processes and of the connections of clients.

use super::Event;
use crate::broker::{Inbox, Party};
use crate::fault::FaultKind;
use crate::world::{Happening, World, between};
use catena_scheduler::machine::Input as SchedulerInput;
use catena_worker::machine::Input as WorkerInput;
use rand::Rng;

/// Most difference of a wall clock that has jumped.
const FAR_US: i64 = 6_000_000;

impl World {
    pub(super) fn next_platform_strike(&mut self, kind: FaultKind) {
        if let Some(mean) = self.plan.every_platform.get(&kind).copied() {
            let wait = self.rng.random_range(mean / 2..mean * 3 / 2);
            self.after(wait, Happening::Platform(Event::Strikes(kind)));
        }
    }

    pub(super) fn platform_strike(&mut self, kind: FaultKind) {
        if self.healed {
            return;
        }
        self.next_platform_strike(kind);
        let mut all: Vec<Party> = self.platform.parties().collect();
        if matches!(kind, FaultKind::CutIn | FaultKind::CutOut | FaultKind::CutBoth) {
            all.extend((0..self.clients.len()).map(|client| Party::Client(client as u64)));
        }
        let party = all[self.rng.random_range(0..all.len())];
        self.strike_platform_at(kind, party);
    }

    fn strike_platform_at(&mut self, kind: FaultKind, party: Party) {
        self.note(|| format!("{kind:?} at {party}"));
        self.tally.count(kind.name_at(party));
        let lasts = between(&mut self.rng, self.plan.lasts_us);
        match kind {
            FaultKind::Kill => return self.kill_process(party),
            FaultKind::Pause => {
                let until = self.at_us + lasts;
                match party {
                    Party::Scheduler(at) => self.platform.schedulers[at].paused_until_us = until,
                    Party::Worker(at) => self.platform.workers[at].paused_until_us = until,
                    Party::Client(_) | Party::Node(_) | Party::Queue => {}
                }
                return;
            }
            FaultKind::Retire => return self.process_retires(party),
            FaultKind::CutIn => self.broker.line(party).cut_in = true,
            FaultKind::CutOut => self.broker.line(party).cut_out = true,
            FaultKind::CutBoth => self.cut_party(party),
            FaultKind::Link => self.sever_platform_link(party),
            FaultKind::SlowConsumer => {
                self.broker.line(party).overrun_ppm = self.rng.random_range(100_000..900_000);
            }
            FaultKind::WallJump => {
                let most = if self.rng.random_ratio(1, 8) { FAR_US } else { 400_000 };
                let jump = self.rng.random_range(-most..=most);
                if let Some(clock) = self.clock_of(party) {
                    clock.offset_us = (clock.offset_us + jump).clamp(-FAR_US, FAR_US);
                }
            }
            FaultKind::WallStop => {
                let at_us = self.at_us;
                if let Some(clock) = self.clock_of(party) {
                    clock.stopped_us.get_or_insert(at_us);
                }
            }
            _ => return,
        }
        self.after(lasts, Happening::Platform(Event::Ends(kind, party)));
    }

    fn clock_of(&mut self, party: Party) -> Option<&mut crate::clock::Clock> {
        match party {
            Party::Scheduler(at) => Some(&mut self.platform.schedulers[at].clock),
            Party::Worker(at) => Some(&mut self.platform.workers[at].clock),
            Party::Client(_) | Party::Node(_) | Party::Queue => None,
        }
    }

    fn kill_process(&mut self, party: Party) {
        self.end_process(party);
        let off = between(&mut self.rng, self.plan.off_us);
        self.after(off, Happening::Platform(Event::Boots(party)));
    }

    fn end_process(&mut self, party: Party) {
        match party {
            Party::Scheduler(at) => self.platform.schedulers[at].end(),
            Party::Worker(at) => self.platform.workers[at].end(),
            Party::Client(_) | Party::Node(_) | Party::Queue => {}
        }
        self.broker.forget(party);
    }

    /// A process is asked to end: it takes nothing new, and goes a little later.
    fn process_retires(&mut self, party: Party) {
        let Some(boot) = self.boot_of(party) else { return };
        match party {
            Party::Scheduler(at) => {
                if let Some(life) = &mut self.platform.schedulers[at].life {
                    life.draining = true;
                }
                self.scheduler_beats(at);
            }
            Party::Worker(at) => {
                self.worker(at, WorkerInput::Drain);
                self.worker_beats(at);
            }
            Party::Client(_) | Party::Node(_) | Party::Queue => return,
        }
        let lingers = self.rng.random_range(1_000..3_000_000);
        let who = Inbox { of: party, boot };
        self.after(lingers, Happening::Platform(Event::Exits(who)));
    }

    pub(super) fn process_exits(&mut self, who: Inbox) {
        if self.misses(who, || Event::Exits(who)) {
            return;
        }
        if let Party::Scheduler(at) = who.of {
            self.scheduler(at, SchedulerInput::Stop);
        }
        self.kill_process(who.of);
    }

    pub(in crate::world) fn cut_party(&mut self, party: Party) {
        let line = self.broker.line(party);
        line.cut_in = true;
        line.cut_out = true;
    }

    /// One process of the platform and another, or a storage node, do not hear each other.
    fn sever_platform_link(&mut self, party: Party) {
        let nodes = (0..self.hosts.len()).map(Party::Node);
        let others: Vec<Party> =
            nodes.chain(self.platform.parties()).filter(|other| *other != party).collect();
        let other = others[self.rng.random_range(0..others.len())];
        self.broker.sever(party, other);
        if self.rng.random_bool(0.6) {
            self.broker.sever(other, party);
        }
    }

    pub(super) fn platform_fault_ends(&mut self, kind: FaultKind, party: Party) {
        self.note(|| format!("{kind:?} at {party} ends"));
        match kind {
            FaultKind::CutIn | FaultKind::CutOut | FaultKind::CutBoth => {
                self.reconnect_party(party);
            }
            FaultKind::Link => self.broker.join(),
            FaultKind::SlowConsumer => self.broker.line(party).overrun_ppm = 0,
            FaultKind::WallStop => {
                if let Some(clock) = self.clock_of(party) {
                    clock.stopped_us = None;
                }
            }
            _ => {}
        }
    }

    /// A party is connected again: what it kept is sent, and it knows that messages may be lost.
    pub(in crate::world) fn reconnect_party(&mut self, party: Party) {
        for (to, message) in self.broker.reconnect(party) {
            let fate = self.broker.send(&mut self.rng, self.at_us, party, to, &message);
            self.fate(fate, party, to, message);
        }
        if let Party::Scheduler(at) = party {
            self.scheduler(at, SchedulerInput::Reconnected);
        }
    }

    /// Everything of the platform heals.
    pub(in crate::world) fn heal_platform(&mut self) {
        let clients = (0..self.clients.len()).map(|client| Party::Client(client as u64));
        let all: Vec<Party> = self.platform.parties().chain(clients).collect();
        for party in all {
            if let Some(clock) = self.clock_of(party) {
                clock.offset_us = 0;
                clock.stopped_us = None;
            }
            self.broker.line(party).overrun_ppm = 0;
            self.reconnect_party(party);
            self.process_starts(party);
        }
    }

    /// When everything has healed nothing of a job is left behind.
    pub(in crate::world) fn platform_has_recovered(&self) -> Result<(), String> {
        if let Some((job, due)) = self.platform.calls.values().next() {
            return Err(format!("the call of job {job} is not answered, due at {due}"));
        }
        for post in &self.platform.schedulers {
            let Some(life) = &post.life else { return Err(format!("{} is away", post.id)) };
            let (jobs, parked) = (life.at.machine.jobs(), life.at.machine.parked());
            if jobs + parked > 0 {
                return Err(format!("{jobs} jobs at {}, {parked} wait", post.id));
            }
        }
        for post in &self.platform.workers {
            let Some(life) = &post.life else { return Err(format!("{} is away", post.id)) };
            let steps = life.at.machine.outstanding();
            if steps > 0 || !life.at.steps.is_empty() {
                return Err(format!("{steps} steps at {}", post.id));
            }
        }
        match self.platform.queue.messages().next() {
            Some(left) => Err(format!("on the queue: {left:?}")),
            None => Ok(()),
        }
    }
}
