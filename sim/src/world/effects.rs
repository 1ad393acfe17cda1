//! What a step of a node asks for: its log and its state are written, messages leave.

use super::{Happening, World, between};
use crate::broker::{Message, Party};
use crate::host::{Caller, Death};
use crate::watch::Watch;
use catena_protocol::NodeId;
use catena_protocol::message::gossip::{Letter, Line, Push};
use catena_protocol::message::heartbeat::{Heartbeat, Led, Load};
use catena_storage::machine::{Bug, Effect, Entry, Event, Input};
use catena_storage::state::{Changes, State};
use std::collections::BTreeMap;

/// Time between two heartbeats of a node.
pub(super) const HEARTBEAT_US: u64 = 500_000;
/// How long a disk takes that is slow.
const SLOW_DISK_US: (u64, u64) = (10_000, 1_000_000);

impl World {
    pub(super) fn carry_out(&mut self, host: usize, boot: u64, effects: Vec<Effect<Caller>>) {
        let mut lines: BTreeMap<NodeId, Vec<_>> = BTreeMap::new();
        let me = Party::Node(host);
        for effect in effects {
            match effect {
                Effect::Append { frame, entries } => self.write(host, boot, frame, entries),
                Effect::Apply { batch, changes } => self.apply(host, boot, batch, changes),
                Effect::Reply { to, response } => {
                    self.note(|| format!("s{host} tells {} {response:?}", to.of));
                    let response = Box::new(response);
                    self.send(me, to.of, Message::Response { boot: to.boot, response });
                }
                Effect::Gossip(digest) => {
                    for other in 0..self.hosts.len() {
                        self.send(me, Party::Node(other), Message::Digest(digest.clone()));
                    }
                }
                Effect::Push { set, push } => self.push(host, set, &push),
                Effect::Send { to, line } => lines.entry(to).or_default().push(line),
                Effect::Event(event) => self.event(host, &event),
            }
        }
        self.send_letters(host, lines);
    }

    fn send_letters(&mut self, host: usize, lines: BTreeMap<NodeId, Vec<Line>>) {
        for (to, lines) in lines {
            self.look_at_acks(host, &lines);
            let from = self.hosts[host].sender();
            if let Some(other) = self.hosts.iter().position(|host| host.node == to) {
                let letter = Message::Letter(Letter { from, lines });
                self.send(Party::Node(host), Party::Node(other), letter);
            }
        }
    }

    /// What is acknowledged must be on disk.
    fn look_at_acks(&mut self, host: usize, lines: &[Line]) {
        let Some(process) = &self.hosts[host].process else { return };
        let acks = lines.iter().filter_map(|line| match line {
            Line::Ack { replicas, .. } => Some(replicas),
            _ => None,
        });
        let writing = || process.writing.iter().flat_map(|(_, entries)| entries);
        let broken = acks.flatten().find_map(|acked| {
            let mark = process.state.mark(acked.partition).ok()?;
            Watch::acknowledged(acked, mark.applied.index, writing()).err()
        });
        if let Some((rule, what)) = broken {
            let name = self.hosts[host].node.clone();
            self.fail(rule, format!("{name}: {what}"));
        }
    }

    fn push(&mut self, host: usize, set: usize, push: &Push) {
        let Some(process) = &self.hosts[host].process else { return };
        let nodes = process.machine.sets()[set].clone();
        self.tally.count("pushes");
        for other in 0..self.hosts.len() {
            if nodes.contains(&self.hosts[other].node) {
                self.send(Party::Node(host), Party::Node(other), Message::Push(push.clone()));
            }
        }
    }

    fn apply(&mut self, host: usize, boot: u64, batch: u64, changes: Vec<Changes>) {
        let process = self.hosts[host].process.as_ref();
        let horizon = process.and_then(|process| process.state.horizon().ok()).unwrap_or_default();
        if let Err((rule, what)) = self.watch.apply(&changes, &self.marks[host], horizon) {
            self.fail(rule, what);
        }
        let marks = changes.iter().flat_map(|changes| &changes.marks);
        self.marks[host].extend(marks.cloned());
        let updates = changes.iter().flat_map(|changes| &changes.updates);
        let rows: usize = updates.map(|(_, update)| update.rows.len()).sum();
        self.tally.add("records applied", rows as u64);
        let wait = between(&mut self.rng, self.plan.state_us);
        let at_us = self.at_us;
        let Some(process) = &mut self.hosts[host].process else { return };
        process.applying.push_back((batch, changes));
        process.state_busy_us = process.state_busy_us.max(at_us) + wait;
        let done = process.state_busy_us;
        self.at(done, Happening::Applied { host, boot });
    }

    pub(super) fn event(&mut self, host: usize, event: &Event) {
        self.note(|| format!("s{host} {event:?}"));
        let Some(process) = &mut self.hosts[host].process else { return };
        match event {
            Event::Leads { partition, epoch } => {
                process.leads.insert(*partition, *epoch);
                self.tally.count("elections won");
            }
            Event::Follows { partition } => drop(process.leads.remove(partition)),
            Event::Campaigns { .. } => self.tally.count("elections begun"),
            Event::Copies { .. } => self.tally.count("copies of the state"),
            Event::Halts { .. } => self.tally.count("replicas halted"),
            Event::Conflicts { .. } => self.tally.count("conflicts"),
        }
        if matches!(event, Event::Leads { .. } | Event::Follows { .. }) {
            self.heartbeat(host);
        }
        if matches!(event, Event::Leads { .. }) {
            self.strike_after_win(host);
        }
    }

    pub(super) fn write(&mut self, host: usize, boot: u64, frame: u64, entries: Vec<Entry>) {
        let slow = self.hosts[host].is_slow;
        let takes = between(&mut self.rng, if slow { SLOW_DISK_US } else { self.plan.disk_us });
        let at_us = self.at_us;
        let Some(process) = &mut self.hosts[host].process else { return };
        process.writing.push_back((frame, entries));
        process.log_busy_us = process.log_busy_us.max(at_us) + takes;
        let done = process.log_busy_us;
        self.at(done, Happening::Written { host, boot });
    }

    pub(super) fn written(&mut self, host: usize, boot: u64) {
        if self.waits(host, boot, |host, boot| Happening::Written { host, boot }) {
            return;
        }
        let Some(process) = &mut self.hosts[host].process else { return };
        let Some((frame, entries)) = process.writing.pop_front() else { return };
        let careless = self.plan.bug == Some(Bug::IgnoreSyncError);
        if process.log.append(&entries).is_err() && !careless {
            return self.dies_of_its_disk(host);
        }
        self.tally.count("syncs");
        self.step(host, boot, Input::Synced { frame });
    }

    /// A process must not go on with a disk that refused; somebody starts it again.
    pub(super) fn dies_of_its_disk(&mut self, host: usize) {
        self.tally.count("processes ended by their disk");
        self.stop(host, Death::Kill);
        let off = between(&mut self.rng, self.plan.off_us);
        self.after(off, Happening::Boots { host });
    }

    /// Whether a process is paused, so that something comes later; or gone, so that it never does.
    pub(super) fn waits(
        &mut self,
        host: usize,
        boot: u64,
        again: impl Fn(usize, u64) -> Happening,
    ) -> bool {
        if !self.is(host, boot, |_| true) {
            return true;
        }
        let until = self.hosts[host].paused_until_us;
        let paused = until > self.at_us;
        if paused {
            self.at(until, again(host, boot));
        }
        paused
    }

    pub(super) fn applied(&mut self, host: usize, boot: u64) {
        if self.waits(host, boot, |host, boot| Happening::Applied { host, boot }) {
            return;
        }
        let here = &mut self.hosts[host];
        let Some(process) = &mut here.process else { return };
        let Some((batch, applied)) = process.apply() else { return };
        match process.log.release(&applied) {
            Ok(removed) => self.tally.add("log files released", removed as u64),
            Err(_) if self.plan.bug == Some(Bug::IgnoreSyncError) => {}
            Err(_) => return self.dies_of_its_disk(host),
        }
        self.step(host, boot, Input::Applied { batch });
    }

    pub(super) fn heartbeat(&mut self, host: usize) {
        let here = &self.hosts[host];
        let Some(process) = &here.process else { return };
        if here.paused_until_us > self.at_us {
            return;
        }
        let led = process.machine.led().map(|(partition, epoch)| Led { partition, epoch });
        let load = Load::Storage { partitions: self.plan.partitions, led: led.collect() };
        let (node, boot) = (here.node.clone(), process.boot);
        let heartbeat = Heartbeat { node, boot, draining: false, load };
        let heartbeat = Box::new(heartbeat);
        let clients = (0..self.clients.len()).map(|client| Party::Client(client as u64));
        for to in clients.chain(self.platform.parties()).collect::<Vec<_>>() {
            self.send(Party::Node(host), to, Message::Heartbeat(heartbeat.clone()));
        }
    }
}
