//! The queue of events, and the one loop over it.
//!
//! ```text
//! nodes     processes: starts, steps, pauses, ends
//! effects   what a step of a node asks for
//! traffic   messages on their way
//! asks      clients: what they ask, what they are told
//! jobs      jobs: they read, commit, lose, begin anew
//! platform  the same jobs through schedulers and workers
//! strikes   faults begin and end
//! recover   everything heals and must make progress
//! judge     what the clients saw, at the end
//! ```

mod asks;
mod effects;
mod jobs;
mod judge;
mod nodes;
mod platform;
mod recover;
mod strikes;
mod traffic;

use self::effects::HEARTBEAT_US;
use crate::broker::{Broker, Inbox, Message, Party};
use crate::client::Client;
use crate::clock::Clock;
use crate::fault::FaultKind;
use crate::host::Host;
use crate::job::Jobs;
use crate::outcome::Failure;
use crate::plan::Plan;
use crate::platform::Platform;
use crate::tally::Tally;
use crate::watch::Watch;
use catena_client::machine::Input as ClientInput;
use catena_history::{FinalRead, History, Recorder, SnapshotRead};
use catena_protocol::placement::Member;
use catena_protocol::{DiskId, NodeId};
use catena_storage::machine::{Bug, Input};
use catena_storage::state::Mark;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fmt::Write as _;

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
    /// How long it took in the simulated world, in microseconds.
    pub simulated_us: u64,
}

/// Something that happens at a time.
#[derive(Debug)]
enum Happening {
    Arrives {
        from: Party,
        to: Party,
        message: Message,
    },
    /// What came while a process stood still; it is lost with that process.
    ArrivesLate {
        from: Party,
        to: Inbox,
        message: Message,
    },
    Written {
        host: usize,
        boot: u64,
    },
    Applied {
        host: usize,
        boot: u64,
    },
    Wakes {
        host: usize,
        boot: u64,
        alarm: u64,
    },
    Beats {
        host: usize,
        boot: u64,
    },
    Resumes {
        host: usize,
        boot: u64,
    },
    ClientWakes {
        client: usize,
        alarm: u64,
    },
    ClientAsks {
        client: usize,
    },
    JobBegins {
        client: usize,
    },
    /// A job is run again.
    JobGoesOn {
        job: usize,
    },
    /// An attempt asks its home again.
    AttemptGoesOn {
        attempt: usize,
    },
    /// A replica that was asked for a job is not waited for any more.
    ReplicaSilent {
        id: u64,
    },
    /// A process is started, if none runs.
    Boots {
        host: usize,
    },
    /// A process that has retired is gone.
    Exits {
        host: usize,
        boot: u64,
    },
    /// Something happens to schedulers, workers, the durable queue, or their callers.
    Platform(platform::Event),
    Strikes(FaultKind),
    StrikesAt(FaultKind, usize),
    Ends(FaultKind, usize),
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
    jobs: Jobs,
    platform: Platform,
    /// Reads of jobs that some replica was asked directly.
    job_reads: BTreeMap<u64, (usize, String)>,
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
    world.go_on();
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
                    kept: Default::default(),
                    clock,
                    boots: 0,
                    process: None,
                    paused_until_us: 0,
                    is_failing: false,
                    is_full: false,
                    is_slow: false,
                    marks_apart: plan.bug == Some(Bug::MarkApart),
                    trusts_what_it_reads: plan.bug == Some(Bug::TrustUnsynced),
                }
            })
            .collect();
        let clients = (0..plan.load.clients)
            .map(|id| Client::new(id, rng.random(), plan.partitions))
            .collect();
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
            jobs: Jobs { take_turns: plan.hot, ..Jobs::default() },
            platform: Platform::default(),
            job_reads: BTreeMap::new(),
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
            self.after(wait, Happening::Boots { host });
        }
        for client in 0..self.clients.len() {
            self.after(500_000, Happening::ClientAsks { client });
            self.after(self.plan.jobs_from_us, Happening::JobBegins { client });
        }
        for kind in FaultKind::ALL {
            self.next_strike(kind);
        }
        self.found_platform();
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
            Happening::ArrivesLate { from, to, message } => {
                if self.lives(to) {
                    self.arrive(from, to.of, message);
                }
            }
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
            Happening::JobBegins { client } => self.job_begins(client),
            Happening::JobGoesOn { job } => self.attempt_begins(job),
            Happening::AttemptGoesOn { attempt } => self.attempt_commits(attempt),
            Happening::ReplicaSilent { id } => self.replica_told(id, None),
            Happening::Boots { host } => self.start(host),
            Happening::Exits { host, boot } => self.exit(host, boot),
            Happening::Platform(event) => self.platform_event(event),
            Happening::Strikes(kind) => self.strike(kind),
            Happening::StrikesAt(kind, host) => self.strike_at(kind, host),
            Happening::Ends(kind, host) => self.end(kind, host),
        }
    }

    fn is(&self, host: usize, boot: u64, what: impl Fn(&crate::host::Process) -> bool) -> bool {
        self.hosts[host]
            .process
            .as_ref()
            .is_some_and(|process| process.boot == boot && what(process))
    }
}
