//! Processes of storage nodes: they start from what their disk holds, take one step after the
//! other, stand still, and end.

use super::{HELD, Happening, World, between};
use crate::broker::Party;
use crate::fault::FaultKind;
use crate::host::{Caller, Death};
use crate::plan::Plan;
use crate::watch::Watch;
use catena_protocol::clock::Now;
use catena_protocol::message::store::Request;
use catena_storage::machine::{Effect, Input, Settings};
use rand::Rng;

/// What a node takes in before it looks at its limits, and what it may not refuse.
const SLACK_BYTES: usize = 20_000;

impl World {
    pub(super) fn settings(&mut self) -> Settings {
        Settings {
            founders: self.founders.clone(),
            replicas: self.plan.replicas,
            partitions: self.plan.partitions,
            seed: self.rng.random(),
            retention_ms: self.plan.retention_ms,
            request_memory_ms: 30_000,
            held: HELD,
            pending_bytes: self.plan.pending_bytes,
            intents: self.plan.intents,
            apply_bytes: self.plan.apply_bytes,
            apply_ms: self.plan.apply_ms,
            tail_bytes: self.plan.tail_bytes,
            message_bytes: self.plan.message_bytes,
            bug: self.plan.bug,
            ..Settings::default()
        }
    }

    pub(super) fn start(&mut self, host: usize) {
        if self.hosts[host].process.is_some() {
            return;
        }
        let settings = self.settings();
        let mut effects = Vec::new();
        let (at_us, segment_bytes) = (self.at_us, self.plan.segment_bytes);
        let started = self.hosts[host].start(settings, segment_bytes, at_us, &mut effects);
        if let Err(error) = started {
            if self.hosts[host].is_failing || self.hosts[host].is_full {
                self.after(500_000, Happening::Boots { host });
            } else {
                self.fail("a node must start from what its disk holds", error);
            }
            return;
        }
        self.tally.count("processes started");
        let Some(process) = &self.hosts[host].process else { return };
        let boot = process.boot;
        self.note(|| format!("s{host} starts, boot {boot}"));
        self.after(1, Happening::Beats { host, boot });
        self.carry_out(host, boot, effects);
        self.set_alarm(host);
    }

    /// A node hands over what it leads, and ends a little later.
    pub(super) fn retire(&mut self, host: usize) {
        let at_us = self.at_us;
        let here = &mut self.hosts[host];
        let Some(process) = here.process.as_mut().filter(|_| here.paused_until_us <= at_us) else {
            return;
        };
        let (boot, now) = (process.boot, here.clock.now(at_us, process.since_us));
        let mut effects = Vec::new();
        process.machine.retire(now, &mut effects);
        self.carry_out(host, boot, effects);
        self.set_alarm(host);
        let lingers = self.rng.random_range(1_000..300_000);
        self.after(lingers, Happening::Exits { host, boot });
    }

    pub(super) fn exit(&mut self, host: usize, boot: u64) {
        if self.is(host, boot, |_| true) {
            self.stop(host, Death::Kill);
            let off = between(&mut self.rng, self.plan.off_us);
            self.after(off, Happening::Boots { host });
        }
    }

    pub(super) fn stop(&mut self, host: usize, death: Death) {
        self.note(|| format!("s{host} dies: {death:?}"));
        self.hosts[host].stop(death);
        self.broker.forget(Party::Node(host));
        self.marks[host].clear();
    }

    /// One step of a node, unless it is paused: then it comes later.
    pub(super) fn step(&mut self, host: usize, boot: u64, input: Input<Caller>) {
        let at_us = self.at_us;
        self.resume(host, boot);
        self.note(|| format!("s{host} {}", input_name(&input)));
        let here = &mut self.hosts[host];
        let Some(process) = here.process.as_mut().filter(|process| process.boot == boot) else {
            return;
        };
        let now = here.clock.now(at_us, process.since_us);
        let mut effects = Vec::new();
        self.tally.count("steps of nodes");
        if let Err(error) = process.machine.handle(now, input, &process.state, &mut effects) {
            return self.fail("a node never fails by itself", error.to_string());
        }
        self.look(host);
        self.look_at_replies(host, now, &effects);
        // A process may stand still between any two steps.
        if self.plan.every.contains_key(&FaultKind::Pause)
            && !self.healed
            && self.rng.random_ratio(1, 3_000)
        {
            let wait = between(&mut self.rng, (1_000, 1_500_000));
            self.tally.count("fault: pause before sending");
            self.pause(host, wait);
            if let Some(process) = &mut self.hosts[host].process {
                process.unsent = effects;
            }
            self.after(wait, Happening::Resumes { host, boot });
        } else {
            self.carry_out(host, boot, effects);
        }
        self.set_alarm(host);
    }

    /// What a process wanted to do before it was paused.
    pub(super) fn resume(&mut self, host: usize, boot: u64) {
        let Some(process) = &mut self.hosts[host].process else { return };
        if process.boot == boot && !process.unsent.is_empty() {
            let effects = std::mem::take(&mut process.unsent);
            self.carry_out(host, boot, effects);
        }
    }

    pub(super) fn pause(&mut self, host: usize, wait_us: u64) {
        let until = self.at_us + wait_us;
        self.hosts[host].paused_until_us = self.hosts[host].paused_until_us.max(until);
    }

    pub(super) fn set_alarm(&mut self, host: usize) {
        let at_us = self.at_us;
        let here = &mut self.hosts[host];
        let Some(process) = &mut here.process else { return };
        process.alarm += 1;
        let (boot, alarm) = (process.boot, process.alarm);
        if let Some(due) = process.machine.next_deadline() {
            let due_us = here.clock.at(at_us, process.since_us, due).max(at_us + 1);
            self.at(due_us, Happening::Wakes { host, boot, alarm });
        }
    }

    pub(super) fn look(&mut self, host: usize) {
        let me = self.hosts[host].member();
        let Some(process) = &self.hosts[host].process else { return };
        let boot = process.boot;
        let views: Vec<_> = process.machine.views().collect();
        let (held, pending) = (process.machine.held(), process.machine.pending_bytes());
        let mut broken = Watch::bounds("requests are held", held, HELD).err();
        let most = self.most_pending();
        broken = broken.or(Watch::bounds("bytes wait for the state", pending, most).err());
        for view in &views {
            let most = 2 * self.plan.intents;
            let open = Watch::bounds("transactions are open", view.open_txns, most).err();
            broken = broken.or(open);
            if view.halted {
                let why = process.machine.halted(view.partition).unwrap_or_default().to_owned();
                broken.get_or_insert(("2: no replica differs from its primary", why));
            }
            if let Err(found) = self.watch.look(host, boot, &me, view) {
                broken.get_or_insert(found);
            }
        }
        if let Some((rule, what)) = broken {
            self.fail(rule, what);
        }
    }

    /// What a node and all whom it follows have admitted, and once more what may be on its way into
    /// its state.
    fn most_pending(&self) -> usize {
        let Plan { pending_bytes, apply_bytes, message_bytes, partitions, .. } = self.plan;
        let at_once = 2 * message_bytes * usize::from(partitions) + SLACK_BYTES;
        (self.hosts.len() + 1) * pending_bytes + apply_bytes + at_once
    }

    /// What is about to be told must be true.
    fn look_at_replies(&mut self, host: usize, now: Now, effects: &[Effect<Caller>]) {
        for effect in effects {
            let Effect::Reply { to, response } = effect else { continue };
            let wants_the_past = self.wants_the_past(*to, response.id);
            if let Err((rule, what)) = Watch::told(now, wants_the_past, &response.tell) {
                let name = self.hosts[host].node.clone();
                self.fail(rule, format!("{name}: {what}"));
            }
        }
    }
}

fn input_name(input: &Input<Caller>) -> String {
    match input {
        Input::Requests(requests) => {
            let asked = requests.iter().map(|(from, request)| {
                let Request { id, partition, ask } = request;
                format!("{} {id} p{partition} {ask:?}", from.of)
            });
            format!("requests {}", asked.collect::<Vec<_>>().join(", "))
        }
        Input::Push(push) => {
            let runs = push.runs.iter().map(|run| {
                format!(
                    "p{} e{} {}+{}",
                    run.partition,
                    run.epoch,
                    run.before.index,
                    run.records.len()
                )
            });
            let runs: Vec<_> = runs.collect();
            format!("push of {} {}: {}", push.from.member.node, push.from.beat, runs.join(", "))
        }
        Input::Digest(digest) => format!("digest of {}", digest.from.member.node),
        Input::Letter(letter) => {
            format!("letter of {}: {:?}", letter.from.member.node, letter.lines)
        }
        Input::Synced { frame } => format!("synced {frame}"),
        Input::Applied { batch } => format!("applied {batch}"),
        Input::Longest { deadline_ms } => format!("deadlines of up to {deadline_ms} ms"),
        Input::Tick => "tick".to_owned(),
    }
}
