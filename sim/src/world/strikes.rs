//! Faults begin, at random times or right after somebody has won an election, and end.

use super::{Happening, World, between};
use crate::broker::Party;
use crate::fault::FaultKind;
use crate::host::{Death, Host};
use catena_protocol::DiskId;
use catena_protocol::placement::Member;
use catena_storage::disk::{Survival, Syncs};
use rand::Rng;
use rand::seq::IndexedRandom as _;

/// Most difference of a wall clock that has jumped. Recovery takes as long.
const FAR_US: i64 = 6_000_000;
/// How much longer a node is away for long than one that is off.
const LONGER: u64 = 3;
/// A primary that has won is hit within so many times the latency of the network.
const TRIPS: u64 = 6;

impl World {
    pub(super) fn next_strike(&mut self, kind: FaultKind) {
        if let Some(mean) = self.plan.every.get(&kind).copied() {
            let wait = self.rng.random_range(mean / 2..mean * 3 / 2);
            self.after(wait, Happening::Strikes(kind));
        }
    }

    /// A fault strikes somebody.
    pub(super) fn strike(&mut self, kind: FaultKind) {
        if self.healed {
            return;
        }
        self.next_strike(kind);
        let host = self.target();
        self.strike_at(kind, host);
    }

    /// Whoever leads is hit more often than chance has it: most mistakes are made there.
    fn target(&mut self) -> usize {
        let leads = |host: &Host| host.process.as_ref().is_some_and(|p| !p.leads.is_empty());
        let primaries: Vec<usize> =
            (0..self.hosts.len()).filter(|host| leads(&self.hosts[*host])).collect();
        let aimed = self.rng.random_ratio(self.plan.at_primary, 100);
        match primaries.choose(&mut self.rng) {
            Some(primary) if aimed => *primary,
            _ => self.rng.random_range(0..self.hosts.len()),
        }
    }

    /// A node has just won an election: it is hit before what it begins reaches everybody, and
    /// perhaps somebody else with it.
    pub(super) fn strike_after_win(&mut self, winner: usize) {
        if self.healed || !self.rng.random_ratio(self.plan.after_win, 100) {
            return;
        }
        let (_, latency) = self.plan.network.latency_us;
        let other = self.rng.random_range(0..self.hosts.len());
        for host in [Some(winner), self.rng.random_bool(0.5).then_some(other)].into_iter().flatten()
        {
            let kind = FaultKind::AFTER_WIN.choose(&mut self.rng).copied();
            let wait = self.rng.random_range(1..latency * TRIPS);
            self.after(wait, Happening::StrikesAt(kind.unwrap_or(FaultKind::Kill), host));
            self.tally.count("fault: right after an election");
        }
    }

    pub(super) fn strike_at(&mut self, kind: FaultKind, host: usize) {
        if self.healed || !self.begins(kind, host) {
            return;
        }
        self.note(|| format!("{kind:?} at s{host}"));
        self.tally.count(kind.name());
        let lasts = between(&mut self.rng, self.plan.lasts_us);
        match kind {
            FaultKind::Pause => self.pause(host, lasts),
            FaultKind::StateStop => self.stop_state(host, lasts),
            FaultKind::Retire => self.retire(host),
            FaultKind::Kill | FaultKind::Absence => self.goes_off(kind, host, Death::Kill),
            FaultKind::PowerCut => self.power_cut(host),
            FaultKind::Blackout => (0..self.hosts.len()).for_each(|host| self.power_cut(host)),
            FaultKind::Wipe => {
                self.wipe(host);
                self.boots_later(kind, host);
            }
            _ => {
                self.impair(kind, host);
                self.after(lasts, Happening::Ends(kind, host));
            }
        }
    }

    /// Whether a fault can be at all.
    fn begins(&self, kind: FaultKind, host: usize) -> bool {
        match kind {
            FaultKind::Kill
            | FaultKind::Absence
            | FaultKind::PowerCut
            | FaultKind::Retire
            | FaultKind::StateStop => self.hosts[host].process.is_some(),
            FaultKind::Wipe => self.may_wipe(host),
            FaultKind::Split | FaultKind::Link => self.hosts.len() > 1,
            _ => true,
        }
    }

    fn power_cut(&mut self, host: usize) {
        let torn = self.rng.random_bool(0.5).then(|| self.rng.random_range(0..400));
        if self.hosts[host].process.is_some() {
            self.goes_off(FaultKind::PowerCut, host, Death::PowerCut(torn));
        } else {
            self.hosts[host].disk.crash(Survival::Synced);
        }
    }

    fn goes_off(&mut self, kind: FaultKind, host: usize, death: Death) {
        self.stop(host, death);
        self.boots_later(kind, host);
    }

    fn boots_later(&mut self, kind: FaultKind, host: usize) {
        let mut off = between(&mut self.rng, self.plan.off_us);
        if kind == FaultKind::Absence {
            off = self.plan.off_us.1.max(1_000_000) + off * LONGER;
        }
        self.after(off, Happening::Boots { host });
    }

    /// A fault that does not end the process.
    fn impair(&mut self, kind: FaultKind, host: usize) {
        let at_us = self.at_us;
        let line = self.broker.line(Party::Node(host));
        let here = &mut self.hosts[host];
        match kind {
            FaultKind::CutIn => line.cut_in = true,
            FaultKind::CutOut => line.cut_out = true,
            FaultKind::CutBoth => self.cut(host),
            FaultKind::CutAll => {
                (0..self.hosts.len()).for_each(|host| self.cut(host));
                self.platform.parties().for_each(|party| self.cut_party(party));
            }
            FaultKind::Split => self.split(),
            FaultKind::Link => self.sever_link(host),
            FaultKind::SlowConsumer => line.overrun_ppm = self.rng.random_range(100_000..900_000),
            FaultKind::WallJump => {
                let most = if self.rng.random_ratio(1, 8) { FAR_US } else { 400_000 };
                let jump = self.rng.random_range(-most..=most);
                here.clock.offset_us = (here.clock.offset_us + jump).clamp(-FAR_US, FAR_US);
            }
            FaultKind::WallStop => drop(here.clock.stopped_us.get_or_insert(at_us)),
            FaultKind::SyncError => {
                here.disk.syncs_will(Syncs::Fail);
                here.is_failing = true;
            }
            FaultKind::DiskFull => {
                here.disk.leave_room(self.rng.random_range(0..3_000));
                here.is_full = true;
            }
            FaultKind::SlowDisk => here.is_slow = true,
            FaultKind::Kill
            | FaultKind::Absence
            | FaultKind::PowerCut
            | FaultKind::Blackout
            | FaultKind::Retire
            | FaultKind::Pause
            | FaultKind::StateStop
            | FaultKind::Wipe => {}
        }
    }

    /// Nothing more comes into the state for a while.
    fn stop_state(&mut self, host: usize, lasts_us: u64) {
        let at_us = self.at_us;
        if let Some(process) = &mut self.hosts[host].process {
            process.state_busy_us = process.state_busy_us.max(at_us + lasts_us);
        }
    }

    /// The broker falls apart: nodes and clients are on either side.
    fn split(&mut self) {
        let nodes = (0..self.hosts.len()).map(Party::Node);
        let platform = self.platform.parties().chain([Party::Queue]);
        let parties: Vec<Party> =
            nodes.chain(self.clients.iter().map(|c| Party::Client(c.id))).chain(platform).collect();
        let sides: Vec<bool> = parties.iter().map(|_| self.rng.random_bool(0.5)).collect();
        for (from, here) in parties.iter().zip(&sides) {
            for (to, _) in parties.iter().zip(&sides).filter(|(_, there)| *there != here) {
                self.broker.sever(*from, *to);
            }
        }
    }

    /// Two nodes, both connected, do not hear each other, or one of them not the other.
    fn sever_link(&mut self, host: usize) {
        let other = (host + self.rng.random_range(1..self.hosts.len())) % self.hosts.len();
        self.broker.sever(Party::Node(host), Party::Node(other));
        if self.rng.random_bool(0.6) {
            self.broker.sever(Party::Node(other), Party::Node(host));
        }
    }

    fn cut(&mut self, host: usize) {
        let line = self.broker.line(Party::Node(host));
        line.cut_in = true;
        line.cut_out = true;
    }

    /// Data may be lost only where every other replica is there for good: more than that nobody
    /// survives.
    fn may_wipe(&self, host: usize) -> bool {
        if self.plan.replicas < 3 {
            return false;
        }
        let disks: Vec<Member> = self.hosts.iter().map(Host::member).collect();
        let whole = (0..self.plan.partitions).all(|number| {
            self.hosts.iter().any(|host| {
                host.process.as_ref().is_some_and(|process| {
                    process.machine.views().any(|view| {
                        view.partition == number
                            && view.serves
                            && view.voters_settled
                            && view.voters.len() == self.hosts.len().min(self.plan.replicas)
                            && view.voters.iter().all(|voter| disks.contains(voter))
                    })
                })
            })
        });
        whole && self.hosts.len() > 1 && self.hosts[host].process.is_some()
    }

    fn wipe(&mut self, host: usize) {
        self.note(|| format!("s{host} loses its disk"));
        let disk = DiskId(self.rng.random());
        self.hosts[host].wipe(disk);
        self.broker.forget(Party::Node(host));
        self.marks[host].clear();
    }

    /// A fault is over.
    pub(super) fn end(&mut self, kind: FaultKind, host: usize) {
        self.note(|| format!("{kind:?} at s{host} ends"));
        let here = &mut self.hosts[host];
        match kind {
            FaultKind::CutIn | FaultKind::CutOut | FaultKind::CutBoth => self.reconnect(host),
            FaultKind::CutAll => {
                (0..self.hosts.len()).for_each(|host| self.reconnect(host));
                self.platform.parties().for_each(|party| self.reconnect_party(party));
            }
            FaultKind::Split | FaultKind::Link => self.broker.join(),
            FaultKind::SlowConsumer => self.broker.line(Party::Node(host)).overrun_ppm = 0,
            FaultKind::WallStop => here.clock.stopped_us = None,
            FaultKind::SyncError => {
                here.disk.syncs_will(Syncs::Work);
                here.is_failing = false;
            }
            FaultKind::DiskFull => {
                here.disk.leave_room(usize::MAX);
                here.is_full = false;
            }
            FaultKind::SlowDisk => here.is_slow = false,
            FaultKind::Kill
            | FaultKind::Absence
            | FaultKind::PowerCut
            | FaultKind::Blackout
            | FaultKind::Retire
            | FaultKind::Pause
            | FaultKind::WallJump
            | FaultKind::StateStop
            | FaultKind::Wipe => {}
        }
    }

    fn reconnect(&mut self, host: usize) {
        let me = Party::Node(host);
        for (to, message) in self.broker.reconnect(me) {
            let fate = self.broker.send(&mut self.rng, self.at_us, me, to, &message);
            self.fate(fate, me, to, message);
        }
    }
}
