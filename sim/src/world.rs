//! The queue of events, and the one loop over it.

use crate::broker::{Broker, Fate, Message, Party};
use crate::client::{Client, Purpose, text};
use crate::clock::{Clock, right};
use crate::host::{Caller, Death, Host};
use crate::outcome::Failure;
use crate::plan::Plan;
use crate::tally::Tally;
use crate::watch::Watch;
use catena_client::machine::{Effect as ClientEffect, Input as ClientInput, Target};
use catena_history::{
    FinalRead, History, Limits, Recorder, SnapshotRead, Verdict, check, check_snapshots,
    lost_acknowledged,
};
use catena_protocol::message::gossip::Letter;
use catena_protocol::message::heartbeat::{Heartbeat, Led, Load};
use catena_protocol::message::store::{Request, Tell};
use catena_protocol::placement::Member;
use catena_protocol::{DiskId, Fault, NodeId};
use catena_storage::machine::{Effect, Event, Input, Settings};
use catena_storage::state::{Mark, State};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Time between two heartbeats of a node.
const HEARTBEAT_US: u64 = 500_000;
/// Time between two moments at which the state is made durable.
const PERSIST_US: u64 = 3_000_000;
/// How long a machine is off.
const OFF_US: (u64, u64) = (50_000, 8_000_000);
/// How long a passing fault lasts.
const LASTS_US: (u64, u64) = (10_000, 6_000_000);
/// Most difference of a wall clock that has jumped. Recovery takes as long.
const FAR_US: i64 = 6_000_000;
/// Most requests that a node holds.
const HELD: usize = 1_000;

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    /// What happened.
    pub tally: Tally,
    /// The first invariant that did not hold.
    pub failure: Option<Failure>,
    /// What happened, line by line, if that was asked for.
    pub trace: String,
    /// What the clients saw.
    pub history: History,
}

/// Something that happens at a time.
#[derive(Debug)]
enum Happening {
    Arrives { from: Party, to: Party, message: Message },
    Written { host: usize, boot: u64 },
    Applied { host: usize, boot: u64 },
    Wakes { host: usize, boot: u64, alarm: u64 },
    Beats { host: usize, boot: u64 },
    Persists { host: usize, boot: u64 },
    Resumes { host: usize, boot: u64 },
    ClientWakes { client: usize, alarm: u64 },
    ClientAsks { client: usize },
    Strikes(Fault_),
    Ends(Fault_, usize),
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault_ {
    Kill,
    PowerCut,
    Pause,
    CutIn,
    CutOut,
    CutBoth,
    CutAll,
    SlowConsumer,
    WallJump,
    WallStop,
    SyncError,
    DiskFull,
    Wipe,
}

impl Fault_ {
    const fn name(self) -> &'static str {
        match self {
            Self::Kill => "fault: process killed",
            Self::PowerCut => "fault: power cut",
            Self::Pause => "fault: process paused",
            Self::CutIn => "fault: node does not hear",
            Self::CutOut => "fault: node is not heard",
            Self::CutBoth => "fault: node cut off",
            Self::CutAll => "fault: broker away",
            Self::SlowConsumer => "fault: slow consumer",
            Self::WallJump => "fault: wall clock jumps",
            Self::WallStop => "fault: wall clock stops",
            Self::SyncError => "fault: sync fails",
            Self::DiskFull => "fault: disk full",
            Self::Wipe => "fault: disk replaced",
        }
    }
}

struct World {
    plan: Plan,
    rng: StdRng,
    at_us: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    next: u64,
    broker: Broker,
    hosts: Vec<Host>,
    clients: Vec<Client>,
    founders: Vec<Member>,
    watch: Watch,
    recorder: Recorder,
    snapshots: Vec<SnapshotRead>,
    finals: BTreeMap<String, FinalRead>,
    tally: Tally,
    trace: Option<String>,
    failure: Option<Failure>,
    healed: bool,
    marks: Vec<BTreeMap<u16, Mark>>,
}

/// Runs a plan.
pub fn run(plan: Plan, trace: bool) -> Run {
    let mut world = World::new(plan, trace);
    world.begin();
    let end = world.plan.faults_us;
    world.go_until(end);
    if world.failure.is_none() {
        world.heal();
        world.recover();
    }
    world.judge()
}

fn between(rng: &mut StdRng, (least, most): (u64, u64)) -> u64 {
    if most <= least { least } else { rng.random_range(least..most) }
}

#[allow(clippy::expect_used, reason = "names made here")]
fn node_id(number: usize) -> NodeId {
    NodeId::new(format!("s{number}")).expect("a valid id")
}

impl World {
    fn new(plan: Plan, trace: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(plan.seed);
        let hosts: Vec<Host> = (0..plan.nodes)
            .map(|number| {
                let skew = i64::try_from(plan.skew_us).unwrap_or(0);
                let clock = Clock {
                    offset_us: if skew == 0 { 0 } else { rng.random_range(-skew..=skew) },
                    stopped_us: None,
                    drift_ppm: rng.random_range(-plan.drift_ppm..=plan.drift_ppm),
                };
                Host {
                    node: node_id(number),
                    disk_id: DiskId(rng.random()),
                    disk: catena_storage::disk::MemoryDisk::default(),
                    persisted: Default::default(),
                    kept: Default::default(),
                    clock,
                    boots: 0,
                    process: None,
                    paused_until_us: 0,
                    is_failing: false,
                    is_full: false,
                }
            })
            .collect();
        let clients =
            (0..plan.clients).map(|id| Client::new(id, rng.random(), plan.partitions)).collect();
        let limit = usize::try_from(plan.operations * 4).unwrap_or(usize::MAX);
        Self {
            founders: hosts.iter().map(Host::member).collect(),
            marks: vec![BTreeMap::new(); hosts.len()],
            broker: Broker::new(plan.network.clone()),
            rng,
            at_us: 0,
            queue: BTreeMap::new(),
            next: 0,
            hosts,
            clients,
            watch: Watch::default(),
            recorder: Recorder::new(limit),
            snapshots: Vec::new(),
            finals: BTreeMap::new(),
            tally: Tally::default(),
            trace: trace.then(String::new),
            failure: None,
            healed: false,
            plan,
        }
    }

    fn at(&mut self, at_us: u64, happening: Happening) {
        self.queue.insert((at_us, self.next), happening);
        self.next += 1;
    }

    fn after(&mut self, wait_us: u64, happening: Happening) {
        self.at(self.at_us + wait_us, happening);
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{:>12} {}", self.at_us, line());
        }
    }

    fn fail(&mut self, rule: &'static str, what: String) {
        let at_us = self.at_us;
        self.note(|| format!("FAILED {rule}: {what}"));
        self.failure.get_or_insert(Failure { rule, at_us, what });
    }

    fn begin(&mut self) {
        for host in 0..self.hosts.len() {
            let wait = self.rng.random_range(0..300_000);
            self.after(wait, Happening::Ends(Fault_::Kill, host));
        }
        for client in 0..self.clients.len() {
            self.after(500_000, Happening::ClientAsks { client });
        }
        for kind in KINDS {
            self.next_strike(kind);
        }
    }

    fn mean(&self, kind: Fault_) -> u64 {
        let every = &self.plan.every;
        match kind {
            Fault_::Kill => every.kill,
            Fault_::PowerCut => every.power_cut,
            Fault_::Pause => every.pause,
            Fault_::CutIn => every.cut_in,
            Fault_::CutOut => every.cut_out,
            Fault_::CutBoth => every.cut_both,
            Fault_::CutAll => every.cut_all,
            Fault_::SlowConsumer => every.slow_consumer,
            Fault_::WallJump => every.wall_jump,
            Fault_::WallStop => every.wall_stop,
            Fault_::SyncError => every.sync_error,
            Fault_::DiskFull => every.disk_full,
            Fault_::Wipe => every.wipe,
        }
    }

    fn next_strike(&mut self, kind: Fault_) {
        let mean = self.mean(kind);
        if mean > 0 {
            let wait = self.rng.random_range(mean / 2..mean * 3 / 2);
            self.after(wait, Happening::Strikes(kind));
        }
    }

    fn go_until(&mut self, end_us: u64) {
        while self.failure.is_none() {
            let Some(entry) = self.queue.first_entry() else { return };
            if entry.key().0 >= end_us {
                self.at_us = end_us;
                return;
            }
            let ((at_us, _), happening) = entry.remove_entry();
            self.at_us = at_us;
            self.happen(happening);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives { from, to, message } => self.arrive(from, to, message),
            Happening::Written { host, boot } => self.written(host, boot),
            Happening::Applied { host, boot } => self.applied(host, boot),
            Happening::Wakes { host, boot, alarm } => {
                let again = |host, boot| Happening::Wakes { host, boot, alarm };
                if self.is(host, boot, |process| process.alarm == alarm)
                    && !self.waits(host, boot, again)
                {
                    self.step(host, boot, Input::Tick);
                }
            }
            Happening::Beats { host, boot } => {
                if self.is(host, boot, |_| true) {
                    self.heartbeat(host);
                    self.after(HEARTBEAT_US, Happening::Beats { host, boot });
                }
            }
            Happening::Persists { host, boot } => self.persist(host, boot),
            Happening::Resumes { host, boot } => {
                if !self.waits(host, boot, |host, boot| Happening::Resumes { host, boot }) {
                    self.resume(host, boot);
                }
            }
            Happening::ClientWakes { client, alarm } => {
                if self.clients[client].alarm == alarm {
                    self.client(client, ClientInput::Tick);
                }
            }
            Happening::ClientAsks { client } => self.client_asks(client),
            Happening::Strikes(kind) => self.strike(kind),
            Happening::Ends(kind, host) => self.end(kind, host),
        }
    }

    fn is(&self, host: usize, boot: u64, what: impl Fn(&crate::host::Process) -> bool) -> bool {
        self.hosts[host]
            .process
            .as_ref()
            .is_some_and(|process| process.boot == boot && what(process))
    }

    // ---- nodes

    fn settings(&mut self) -> Settings {
        Settings {
            founders: self.founders.clone(),
            replicas: 3,
            partitions: self.plan.partitions,
            seed: self.rng.random(),
            retention_ms: 20_000,
            request_memory_ms: 30_000,
            held: HELD,
            pending_bytes: 1_000_000,
            tail_bytes: self.plan.tail_bytes,
            bug: self.plan.bug,
            ..Settings::default()
        }
    }

    fn start(&mut self, host: usize) {
        if self.hosts[host].process.is_some() {
            return;
        }
        let settings = self.settings();
        let mut effects = Vec::new();
        let (at_us, segment_bytes) = (self.at_us, self.plan.segment_bytes);
        let started = self.hosts[host].start(settings, segment_bytes, at_us, &mut effects);
        if let Err(error) = started {
            if self.hosts[host].is_failing || self.hosts[host].is_full {
                self.after(500_000, Happening::Ends(Fault_::Kill, host));
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
        self.after(PERSIST_US, Happening::Persists { host, boot });
        self.carry_out(host, boot, effects);
        self.set_alarm(host);
    }

    fn stop(&mut self, host: usize, death: Death) {
        self.note(|| format!("s{host} dies: {death:?}"));
        self.hosts[host].stop(death);
        self.broker.forget(Party::Node(host));
        self.marks[host].clear();
    }

    /// One step of a node, unless it is paused: then it comes later.
    fn step(&mut self, host: usize, boot: u64, input: Input<Caller>) {
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
        // A process may stand still between any two steps.
        if self.plan.every.pause > 0 && !self.healed && self.rng.random_ratio(1, 3_000) {
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
    fn resume(&mut self, host: usize, boot: u64) {
        let Some(process) = &mut self.hosts[host].process else { return };
        if process.boot == boot && !process.unsent.is_empty() {
            let effects = std::mem::take(&mut process.unsent);
            self.carry_out(host, boot, effects);
        }
    }

    fn pause(&mut self, host: usize, wait_us: u64) {
        let until = self.at_us + wait_us;
        self.hosts[host].paused_until_us = self.hosts[host].paused_until_us.max(until);
    }

    fn set_alarm(&mut self, host: usize) {
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

    fn look(&mut self, host: usize) {
        let me = self.hosts[host].member();
        let Some(process) = &self.hosts[host].process else { return };
        let boot = process.boot;
        let views: Vec<_> = process.machine.views().collect();
        let held = process.machine.held();
        let mut broken = Watch::bounds(held, HELD).err();
        for view in &views {
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

    fn carry_out(&mut self, host: usize, boot: u64, effects: Vec<Effect<Caller>>) {
        let mut lines: BTreeMap<NodeId, Vec<_>> = BTreeMap::new();
        let me = Party::Node(host);
        for effect in effects {
            match effect {
                Effect::Append { frame, entries } => self.write(host, boot, frame, entries),
                Effect::Apply { batch, changes, durable } => {
                    if let Err((rule, what)) = self.watch.apply(&changes, &self.marks[host]) {
                        self.fail(rule, what);
                    }
                    self.marks[host].extend(changes.marks.iter().cloned());
                    self.tally.add("records applied", changes.rows.len() as u64);
                    let wait = self.rng.random_range(20..5_000);
                    let at_us = self.at_us;
                    let Some(process) = &mut self.hosts[host].process else { return };
                    process.applying.push_back((batch, changes, durable));
                    process.state_busy_us = process.state_busy_us.max(at_us) + wait;
                    let done = process.state_busy_us;
                    self.at(done, Happening::Applied { host, boot });
                }
                Effect::Reply { to, response } => {
                    let message = Message::Response(Box::new(response));
                    self.send(me, Party::Client(to), message);
                }
                Effect::Gossip(digest) => {
                    for other in 0..self.hosts.len() {
                        self.send(me, Party::Node(other), Message::Digest(digest.clone()));
                    }
                }
                Effect::Push { set, push } => {
                    let Some(process) = &self.hosts[host].process else { return };
                    let nodes = process.machine.sets()[set].clone();
                    self.tally.count("pushes");
                    for other in 0..self.hosts.len() {
                        if nodes.contains(&self.hosts[other].node) {
                            self.send(me, Party::Node(other), Message::Push(push.clone()));
                        }
                    }
                }
                Effect::Send { to, line } => lines.entry(to).or_default().push(line),
                Effect::Event(event) => self.event(host, &event),
            }
        }
        for (to, lines) in lines {
            let from = self.hosts[host].sender();
            if let Some(other) = self.hosts.iter().position(|host| host.node == to) {
                self.send(me, Party::Node(other), Message::Letter(Letter { from, lines }));
            }
        }
    }

    fn event(&mut self, host: usize, event: &Event) {
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
        }
        if matches!(event, Event::Leads { .. } | Event::Follows { .. }) {
            self.heartbeat(host);
        }
    }

    fn write(
        &mut self,
        host: usize,
        boot: u64,
        frame: u64,
        entries: Vec<catena_storage::machine::Entry>,
    ) {
        let takes = between(&mut self.rng, self.plan.disk_us);
        let at_us = self.at_us;
        let Some(process) = &mut self.hosts[host].process else { return };
        process.writing.push_back((frame, entries));
        process.log_busy_us = process.log_busy_us.max(at_us) + takes;
        let done = process.log_busy_us;
        self.at(done, Happening::Written { host, boot });
    }

    fn written(&mut self, host: usize, boot: u64) {
        if self.waits(host, boot, |host, boot| Happening::Written { host, boot }) {
            return;
        }
        let Some(process) = &mut self.hosts[host].process else { return };
        let Some((frame, entries)) = process.writing.pop_front() else { return };
        if process.log.append(&entries).is_err() {
            return self.dies_of_its_disk(host);
        }
        self.tally.count("syncs");
        self.step(host, boot, Input::Synced { frame });
    }

    /// A process must not go on with a disk that refused; somebody starts it again.
    fn dies_of_its_disk(&mut self, host: usize) {
        self.tally.count("processes ended by their disk");
        self.stop(host, Death::Kill);
        let off = between(&mut self.rng, OFF_US);
        self.after(off, Happening::Ends(Fault_::Kill, host));
    }

    /// Whether a process is paused, so that something comes later; or gone, so that it never does.
    fn waits(&mut self, host: usize, boot: u64, again: impl Fn(usize, u64) -> Happening) -> bool {
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

    fn applied(&mut self, host: usize, boot: u64) {
        if self.waits(host, boot, |host, boot| Happening::Applied { host, boot }) {
            return;
        }
        let here = &mut self.hosts[host];
        let Some(process) = &mut here.process else { return };
        let Some((batch, durable)) = process.apply() else { return };
        if durable {
            here.persisted = process.state.clone();
        }
        self.step(host, boot, Input::Applied { batch });
    }

    fn persist(&mut self, host: usize, boot: u64) {
        if self.waits(host, boot, |host, boot| Happening::Persists { host, boot }) {
            return;
        }
        let partitions = self.plan.partitions;
        let here = &mut self.hosts[host];
        let Some(process) = &mut here.process else { return };
        here.persisted = process.state.clone();
        let applied: BTreeMap<u16, u64> = (0..partitions)
            .filter_map(|p| Some((p, process.state.mark(p).ok()?.applied.index)))
            .collect();
        match process.log.release(&applied) {
            Ok(removed) => self.tally.add("log files released", removed as u64),
            Err(_) => return self.dies_of_its_disk(host),
        }
        self.after(PERSIST_US, Happening::Persists { host, boot });
    }

    fn heartbeat(&mut self, host: usize) {
        let here = &self.hosts[host];
        let Some(process) = &here.process else { return };
        if here.paused_until_us > self.at_us {
            return;
        }
        let led = process.machine.led().map(|(partition, epoch)| Led { partition, epoch });
        let load = Load::Storage { partitions: self.plan.partitions, led: led.collect() };
        let (node, boot) = (here.node.clone(), process.boot);
        let heartbeat = Heartbeat { node, boot, draining: false, load };
        for client in 0..self.clients.len() {
            let to = Party::Client(client as u64);
            self.send(Party::Node(host), to, Message::Heartbeat(heartbeat.clone()));
        }
    }

    // ---- messages

    fn send(&mut self, from: Party, to: Party, message: Message) {
        self.tally.count("messages");
        let fate = self.broker.send(&mut self.rng, self.at_us, from, to, &message);
        self.fate(fate, from, to, message);
    }

    fn fate(&mut self, fate: Fate, from: Party, to: Party, message: Message) {
        match fate {
            Fate::Arrives(at) => self.at(at, Happening::Arrives { from, to, message }),
            Fate::ArrivesTwice(first, second) => {
                self.tally.count("fault: message twice");
                let again = message.clone();
                self.at(first, Happening::Arrives { from, to, message });
                self.at(second, Happening::Arrives { from, to, message: again });
            }
            Fate::Lost => self.tally.count("fault: message lost"),
            Fate::Waits => self.tally.count("fault: message late, after a reconnect"),
        }
    }

    fn arrive(&mut self, from: Party, to: Party, message: Message) {
        match to {
            Party::Node(host) => self.arrive_at_node(from, host, message),
            Party::Client(client) => {
                let client = usize::try_from(client).unwrap_or(usize::MAX);
                self.arrive_at_client(client, message);
            }
        }
    }

    fn arrive_at_node(&mut self, from: Party, host: usize, message: Message) {
        let here = &self.hosts[host];
        let Some(process) = &here.process else { return };
        let boot = process.boot;
        if here.paused_until_us > self.at_us {
            let until = here.paused_until_us;
            return self.at(until, Happening::Arrives { from, to: Party::Node(host), message });
        }
        let input = match message {
            Message::Push(push) => Input::Push(push),
            Message::Digest(digest) => Input::Digest(digest),
            Message::Letter(letter) => Input::Letter(letter),
            Message::Request { from, request } => Input::Requests(vec![(from, *request)]),
            Message::Response(_) | Message::Heartbeat(_) | Message::Nobody { .. } => return,
        };
        self.step(host, boot, input);
    }

    fn arrive_at_client(&mut self, client: usize, message: Message) {
        let input = match message {
            Message::Response(response) if self.clients[client].open.contains_key(&response.id) => {
                // Asked of a replica directly.
                if let Some(Purpose::Snapshot(key, at)) =
                    self.clients[client].open.remove(&response.id)
                    && let Tell::Record(record) = &response.tell
                {
                    self.snapshot(key, at, record);
                }
                return;
            }
            Message::Response(response) => ClientInput::Told(*response),
            Message::Heartbeat(heartbeat) => ClientInput::Alive(heartbeat),
            Message::Nobody { to, turn } => ClientInput::Refused { to, turn },
            _ => return,
        };
        self.client(client, input);
    }

    // ---- clients

    fn client(&mut self, client: usize, input: ClientInput<u64>) {
        let mut effects = Vec::new();
        self.clients[client].router.handle(right(self.at_us), input, &mut effects);
        self.client_effects(client, effects);
    }

    fn client_effects(&mut self, client: usize, effects: Vec<ClientEffect<u64>>) {
        for effect in effects {
            match effect {
                ClientEffect::Send { to, id, turn } => {
                    let request = self.clients[client].router.request(id).cloned();
                    if let Some(request) = request {
                        self.request(client, to, turn, request);
                    }
                }
                ClientEffect::Answer { caller, result } => self.answered(client, caller, result),
            }
        }
        let at_us = self.at_us;
        let here = &mut self.clients[client];
        here.alarm += 1;
        let alarm = here.alarm;
        if let Some(due) = here.router.next_deadline() {
            self.at(due.max(at_us + 1), Happening::ClientWakes { client, alarm });
        }
    }

    fn request(&mut self, client: usize, to: Target, turn: u8, request: Request) {
        let listens: Vec<usize> = (0..self.hosts.len())
            .filter(|host| {
                let here = &self.hosts[*host];
                here.process.as_ref().is_some_and(|process| match &to {
                    Target::Node(node) => here.node == *node,
                    Target::Primary(partition) => process.leads.contains_key(partition),
                    Target::Replica(partition) => {
                        process.machine.hosted().any(|number| number == *partition)
                    }
                })
            })
            .collect();
        let me = Party::Client(client as u64);
        let from = client as u64;
        match (&to, listens.as_slice()) {
            (_, []) => self.send(me, me, Message::Nobody { to, turn }),
            (Target::Replica(_), some) => {
                let host = some[self.rng.random_range(0..some.len())];
                let message = Message::Request { from, request: Box::new(request) };
                self.send(me, Party::Node(host), message);
            }
            (_, all) => {
                for host in all {
                    let message = Message::Request { from, request: Box::new(request.clone()) };
                    self.send(me, Party::Node(*host), message);
                }
            }
        }
    }

    fn client_asks(&mut self, client: usize) {
        let share = self.plan.faults_us * self.plan.clients / self.plan.operations;
        if !self.healed {
            let wait = self.rng.random_range(1..share * 2);
            self.after(wait, Happening::ClientAsks { client });
        }
        // Some come in bursts, so that operations overlap.
        let burst = if self.rng.random_ratio(1, 4) { self.rng.random_range(1..4) } else { 0 };
        for _ in 0..=burst {
            self.ask_one(client);
        }
    }

    fn ask_one(&mut self, client: usize) {
        let now = right(self.at_us);
        let at_us = self.at_us;
        if self.clients[client].open.len() >= 8 {
            return;
        }
        let wish = self.clients[client].wish(&mut self.rng, self.plan.keys, now);
        let purpose = match wish.call {
            Some(call) => match self.recorder.invoke(client as u64, &wish.key, call, at_us) {
                Ok(ticket) => Purpose::Operation(ticket, wish.key.clone()),
                Err(_) => return,
            },
            None => Purpose::Snapshot(wish.key.clone(), wish.snapshot.unwrap_or(0)),
        };
        // Replicas are asked directly, too: clients do so only when a primary is silent.
        if matches!(purpose, Purpose::Snapshot(..)) && self.rng.random_bool(0.7) {
            return self.ask_replica(client, &wish.key, wish.ask, purpose);
        }
        self.tally.count("operations");
        let partitions = self.plan.partitions;
        let mut effects = Vec::new();
        self.clients[client].ask(now, partitions, (&wish.key, wish.ask), purpose, &mut effects);
        self.client_effects(client, effects);
    }

    /// A read at a snapshot of some replica, whose answer is taken as it comes.
    fn ask_replica(
        &mut self,
        client: usize,
        key: &str,
        ask: catena_protocol::message::store::Ask,
        purpose: Purpose,
    ) {
        let Ok(parsed) = catena_protocol::Key::new(key) else { return };
        let id = u64::MAX - self.next;
        self.next += 1;
        self.clients[client].open.insert(id, purpose);
        let partition = parsed.partition(self.plan.partitions);
        let request = Request { id, partition, ask };
        let host = self.rng.random_range(0..self.hosts.len());
        let from = client as u64;
        let message = Message::Request { from, request: Box::new(request) };
        self.tally.count("reads at a snapshot, of any replica");
        self.send(Party::Client(from), Party::Node(host), message);
    }

    fn answered(&mut self, client: usize, caller: u64, result: Result<Tell, Fault>) {
        let Some(purpose) = self.clients[client].open.remove(&caller) else {
            return self.fail("7: every request gets exactly one answer", format!("{result:?}"));
        };
        self.note(|| format!("c{client} {purpose:?} {result:?}"));
        let at_us = self.at_us;
        match purpose {
            Purpose::Operation(ticket, key) => {
                let outcome = self.clients[client].outcome(&key, &result);
                self.tally.count(match &outcome {
                    catena_history::Outcome::Unknown => "operations of unknown outcome",
                    catena_history::Outcome::Refused => "operations refused",
                    _ => "operations answered",
                });
                if let Err(error) = self.recorder.complete(ticket, at_us, outcome) {
                    self.fail("7: every request gets a fitting answer", error.to_string());
                }
            }
            Purpose::Snapshot(key, at) => {
                if let Ok(Tell::Record(record)) = result {
                    self.snapshot(key, at, &record);
                }
            }
            Purpose::Final(key) => match result {
                Ok(Tell::Record(record)) => {
                    let value = record.value.as_ref().map(text);
                    let read = FinalRead { key: key.clone(), value, version: record.version.0 };
                    self.finals.insert(key, read);
                }
                other => self.fail("everything recovers", format!("`{key}`: {other:?}")),
            },
        }
    }

    fn snapshot(&mut self, key: String, at: u64, record: &catena_protocol::message::read::Record) {
        self.tally.count("reads at a snapshot, answered");
        let value = record.value.as_ref().map(text);
        let version = record.version.0;
        self.snapshots.push(SnapshotRead { key, at, value, version });
    }

    // ---- faults

    fn strike(&mut self, kind: Fault_) {
        if self.healed {
            return;
        }
        self.next_strike(kind);
        let host = self.rng.random_range(0..self.hosts.len());
        let lasts = between(&mut self.rng, LASTS_US);
        let off = between(&mut self.rng, OFF_US);
        self.note(|| format!("{kind:?} at s{host}"));
        let me = Party::Node(host);
        let mut ends = Some(lasts);
        match kind {
            Fault_::Kill | Fault_::PowerCut => {
                if self.hosts[host].process.is_none() {
                    return;
                }
                let torn = self.rng.random_bool(0.5).then(|| self.rng.random_range(0..400));
                let death = if kind == Fault_::Kill { Death::Kill } else { Death::PowerCut(torn) };
                self.stop(host, death);
                self.after(off, Happening::Ends(Fault_::Kill, host));
                ends = None;
            }
            Fault_::Pause => {
                self.pause(host, lasts);
                ends = None;
            }
            Fault_::CutIn => self.broker.line(me).cut_in = true,
            Fault_::CutOut => self.broker.line(me).cut_out = true,
            Fault_::CutBoth => self.cut(host),
            Fault_::CutAll => (0..self.hosts.len()).for_each(|host| self.cut(host)),
            Fault_::SlowConsumer => {
                self.broker.line(me).overrun_ppm = self.rng.random_range(100_000..900_000);
            }
            Fault_::WallJump => {
                let far = self.rng.random_ratio(1, 8);
                let most = if far { FAR_US } else { 400_000 };
                let jump = self.rng.random_range(-most..=most);
                let offset_us = &mut self.hosts[host].clock.offset_us;
                *offset_us = (*offset_us + jump).clamp(-FAR_US, FAR_US);
            }
            Fault_::WallStop => {
                let at_us = self.at_us;
                self.hosts[host].clock.stopped_us.get_or_insert(at_us);
            }
            Fault_::SyncError => {
                self.hosts[host].disk.fail_syncs(true);
                self.hosts[host].is_failing = true;
            }
            Fault_::DiskFull => {
                let room = self.rng.random_range(0..3_000);
                self.hosts[host].disk.leave_room(room);
                self.hosts[host].is_full = true;
            }
            Fault_::Wipe => {
                if !self.may_wipe(host) {
                    return;
                }
                self.wipe(host);
                self.after(off, Happening::Ends(Fault_::Kill, host));
                ends = None;
            }
        }
        self.tally.count(kind.name());
        if let Some(lasts) = ends {
            self.after(lasts, Happening::Ends(kind, host));
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
        let disks: Vec<Member> = self.hosts.iter().map(Host::member).collect();
        let whole = (0..self.plan.partitions).all(|number| {
            self.hosts.iter().any(|host| {
                host.process.as_ref().is_some_and(|process| {
                    process.machine.views().any(|view| {
                        view.partition == number
                            && view.serves
                            && view.voters.len() == self.hosts.len().min(3)
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

    fn end(&mut self, kind: Fault_, host: usize) {
        self.note(|| format!("{kind:?} at s{host} ends"));
        match kind {
            Fault_::Kill | Fault_::PowerCut | Fault_::Pause | Fault_::Wipe => self.start(host),
            Fault_::CutIn | Fault_::CutOut | Fault_::CutBoth => self.reconnect(host),
            Fault_::CutAll => (0..self.hosts.len()).for_each(|host| self.reconnect(host)),
            Fault_::SlowConsumer => self.broker.line(Party::Node(host)).overrun_ppm = 0,
            Fault_::WallJump => {}
            Fault_::WallStop => self.hosts[host].clock.stopped_us = None,
            Fault_::SyncError => {
                self.hosts[host].disk.fail_syncs(false);
                self.hosts[host].is_failing = false;
            }
            Fault_::DiskFull => {
                self.hosts[host].disk.leave_room(usize::MAX);
                self.hosts[host].is_full = false;
            }
        }
    }

    fn reconnect(&mut self, host: usize) {
        let me = Party::Node(host);
        for (to, message) in self.broker.reconnect(me) {
            let fate = self.broker.send(&mut self.rng, self.at_us, me, to, &message);
            self.fate(fate, me, to, message);
        }
    }

    // ---- the end

    fn heal(&mut self) {
        self.note(|| "everything heals".to_owned());
        self.healed = true;
        self.broker.healed = true;
        for host in 0..self.hosts.len() {
            self.hosts[host].clock.offset_us = 0;
            for kind in [Fault_::CutBoth, Fault_::SlowConsumer, Fault_::WallStop] {
                self.end(kind, host);
            }
            for kind in [Fault_::SyncError, Fault_::DiskFull, Fault_::Kill] {
                self.end(kind, host);
            }
        }
    }

    /// Everything must make progress: every partition is led, every operation ends, every replica
    /// catches up.
    fn recover(&mut self) {
        let begin = self.at_us;
        let end = begin + self.plan.heal_us;
        self.go_until(begin + self.plan.heal_us * 3 / 4);
        for number in 0..self.plan.keys {
            let key = format!("key-{number}");
            let now = right(self.at_us);
            let partitions = self.plan.partitions;
            let mut effects = Vec::new();
            let purpose = Purpose::Final(key.clone());
            self.clients[0].ask(now, partitions, (&key, Client::look(&key)), purpose, &mut effects);
            self.client_effects(0, effects);
        }
        self.go_until(end);
        if self.failure.is_none() {
            self.check_recovered();
        }
    }

    fn check_recovered(&mut self) {
        const RULE: &str = "everything recovers";
        let waiting = self.clients.iter().flat_map(|client| client.router.open().checked_sub(1));
        if waiting.count() > 0 {
            return self.fail(RULE, "a client still waits for an answer".to_owned());
        }
        for number in 0..self.plan.partitions {
            let views: Vec<_> = self
                .hosts
                .iter()
                .filter_map(|host| host.process.as_ref())
                .filter_map(|process| process.machine.views().find(|v| v.partition == number))
                .collect();
            let serving = views.iter().filter(|view| view.serves).count();
            if serving != 1 {
                return self
                    .fail(RULE, format!("partition {number}: {serving} primaries: {views:?}"));
            }
            let commits: Vec<u64> = views.iter().map(|view| view.commit).collect();
            let (least, most) = (commits.iter().min(), commits.iter().max());
            // What was written just now may still be on its way.
            if least.zip(most).is_some_and(|(least, most)| least + 3 < *most) {
                return self.fail(RULE, format!("partition {number}: commits {commits:?}"));
            }
            let voters = views.iter().map(|view| view.voters.len()).min().unwrap_or(0);
            if voters != self.hosts.len().min(3) {
                return self.fail(RULE, format!("partition {number}: {voters} voters: {views:?}"));
            }
        }
    }

    fn judge(mut self) -> Run {
        let recorder = std::mem::replace(&mut self.recorder, Recorder::new(0));
        let history = recorder.finish();
        if self.failure.is_none() {
            let limits = Limits::default();
            match check(&history, limits) {
                Verdict::Linearizable => {}
                Verdict::Violation(violation) => {
                    self.fail("6: operations on one key are linearizable", violation.to_string());
                }
                Verdict::Undecided { .. } => self.tally.count("histories undecided"),
            }
            let finals: Vec<FinalRead> = self.finals.values().cloned().collect();
            if let Verdict::Violation(violation) = lost_acknowledged(&history, &finals, limits) {
                self.fail("6: nothing acknowledged is missing at the end", violation.to_string());
            }
            if let Err(violation) = check_snapshots(&history, &self.snapshots) {
                self.fail("3: reads at a snapshot stand for good", violation.to_string());
            }
        }
        let Self { tally, failure, trace, .. } = self;
        Run { tally, failure, trace: trace.unwrap_or_default(), history }
    }
}

const KINDS: [Fault_; 13] = [
    Fault_::Kill,
    Fault_::PowerCut,
    Fault_::Pause,
    Fault_::CutIn,
    Fault_::CutOut,
    Fault_::CutBoth,
    Fault_::CutAll,
    Fault_::SlowConsumer,
    Fault_::WallJump,
    Fault_::WallStop,
    Fault_::SyncError,
    Fault_::DiskFull,
    Fault_::Wipe,
];

fn input_name(input: &Input<Caller>) -> String {
    match input {
        Input::Requests(requests) => {
            let asked = requests.iter().map(|(client, request)| {
                let Request { id, partition, ask } = request;
                format!("c{client} {id} p{partition} {ask:?}")
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
        Input::Tick => "tick".to_owned(),
    }
}
