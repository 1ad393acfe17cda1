//! Clients: they hand jobs to schedulers, have them queued, and are told what became of them.

use super::Event;
use crate::broker::{Inbox, Party};
use crate::clock::right;
use crate::job::{Aim, Path, Told};
use crate::platform::{DEADLINE_MS, Dispatch, Failing, Slip, Task, Verb};
use crate::world::asks::ANSWERED;
use crate::world::{Happening, World};
use catena_client::machine::submit::{Effect, Good, Input, Known};
use catena_protocol::message::assign::Reply;
use catena_protocol::message::submit::Submit;
use catena_protocol::{Blob, Code, Fault, JobId, Timestamp, partition};
use rand::Rng;

/// How long a call goes on after its deadline, in microseconds.
const GRACE_US: u64 = 500_000;
/// Timers are coarse, in microseconds.
const LATE_US: u64 = 10_000;
/// How long somebody waits to hear that a job is queued, in microseconds.
const QUEUE_US: u64 = 4_500_000;
/// Another caller of the same job comes within so many microseconds.
const SHARED_US: u64 = 3_000_000;
/// How often it is tried to queue a job.
const QUEUE_TRIES: usize = 4;

impl World {
    /// The way that a job takes.
    pub(in crate::world) fn path(&mut self) -> Path {
        if self.plan.through_platform == 0 {
            return Path::Direct;
        }
        match self.rng.random_ratio(self.plan.through_platform, 100) {
            false => Path::Direct,
            true if self.rng.random_ratio(self.plan.queued, 100) => Path::Queued,
            true if self.rng.random_ratio(1, 8) => Path::Shared,
            true => Path::Run,
        }
    }

    /// The id of a job that goes through the platform: by chance, or made of a key.
    pub(in crate::world) fn platform_id(&mut self, path: Path) -> JobId {
        let partitions = self.plan.partitions;
        let number = self.jobs.jobs.len();
        if path != Path::Run {
            let key = format!("job-{number}");
            return JobId::keyed(partition(&key, partitions), "", None, &key);
        }
        let home = self.rng.random_range(0..partitions);
        JobId::random(home, right(self.at_us).wall_us, self.rng.random())
    }

    /// A job is handed to the platform.
    pub(in crate::world) fn call(&mut self, job: usize) {
        let of = self.jobs.jobs[job].clone();
        let longest = u8::try_from(of.keys.len().min(3)).unwrap_or(1);
        let task = Task {
            aim: of.aim,
            steps: if self.rng.random_bool(0.2) { 1 } else { self.rng.random_range(1..=longest) },
            takes_us: match self.rng.random_range(0..20) {
                0 => self.rng.random_range(0..4_000_000),
                1..6 => self.rng.random_range(0..300_000),
                _ => 0,
            },
            failing: match self.rng.random_range(0..20) {
                0 => Failing::Always,
                1 | 2 => Failing::Sometimes,
                _ => Failing::Never,
            },
            peeks: self.rng.random_bool(0.2),
            added: Default::default(),
            wrote: Default::default(),
            shelves: Default::default(),
            keys: of.keys,
        };
        let Some(chain) = task.chain(of.isolation) else { return };
        let timeout_ms = match self.rng.random_range(0..4) {
            0 => self.rng.random_range(500..DEADLINE_MS),
            _ => 0,
        };
        let keyed = of.path == Path::Shared;
        let client = &self.clients[of.client];
        let submit = Submit {
            job: of.id,
            input: Blob(task.to_bytes()),
            timeout_ms,
            after: Timestamp(client.saw),
            keyed,
            trace: None,
            inline: None,
            explain: false,
            may_move: of.path == Path::Run,
        };
        let call = &mut self.jobs.jobs[job];
        call.recorded = of.path != Path::Run || of.aim != Aim::Audit;
        call.request = Some((chain, submit));
        if of.path == Path::Queued {
            self.tally.count("jobs to be queued");
            return self.ask_to_queue(job);
        }
        self.tally.count("jobs to be run");
        self.run_job(of.client, job);
        if of.path == Path::Shared {
            self.tally.count("jobs to be run of two callers");
            let other = self.rng.random_range(0..self.clients.len());
            let wait = self.rng.random_range(0..SHARED_US);
            let event = Event::CallsToo { client: other, job };
            self.after(wait, Happening::Platform(event));
        }
    }

    /// A client has a job run, and waits.
    pub(super) fn run_job(&mut self, client: usize, job: usize) {
        let Some((chain, submit)) = self.jobs.jobs[job].request.clone() else { return };
        if self.healed {
            return;
        }
        let timeout_ms = submit.timeout_ms;
        let wait_ms = if timeout_ms == 0 { DEADLINE_MS } else { timeout_ms };
        let now = right(self.at_us);
        let deadline_us = now.mono_us + wait_ms * 1_000 + GRACE_US;
        self.platform.last_call += 1;
        let caller = self.platform.last_call;
        self.platform.calls.insert(caller, (job, deadline_us));
        self.submitter(client, Input::Run { caller, chain, submit, deadline_us });
    }

    pub(super) fn submitter(&mut self, client: usize, input: Input<u64>) {
        let mut effects = Vec::new();
        let here = &mut self.clients[client];
        here.submitter.handle(right(self.at_us), input, &mut effects);
        for effect in effects {
            self.submitter_effect(client, effect);
        }
        let at_us = self.at_us;
        let here = &mut self.clients[client];
        here.submitter_alarm += 1;
        let alarm = here.submitter_alarm;
        if let Some(due) = here.submitter.next_deadline() {
            let event = Event::SubmitterWakes(client, alarm);
            self.at(due.max(at_us + 1), Happening::Platform(event));
        }
    }

    pub(super) fn submitter_wakes(&mut self, client: usize, alarm: u64) {
        if self.clients[client].submitter_alarm == alarm {
            self.submitter(client, Input::Tick);
        }
    }

    fn submitter_effect(&mut self, client: usize, effect: Effect<u64>) {
        match effect {
            Effect::Send { job, turn } => self.send_job(client, job, turn),
            Effect::AskStatus { job } => self.ask_about(client, job, Verb::Status),
            Effect::AskResult { job } => self.ask_about(client, job, Verb::Result),
            Effect::Answer { caller, result } => self.call_answered(client, caller, result),
            Effect::Elsewhere { pointer, .. } => {
                self.fail("home", format!("a chain without a key points to `{pointer}`"));
            }
        }
    }

    fn send_job(&mut self, client: usize, job: JobId, turn: u64) {
        let me = Party::Client(client as u64);
        let Some((chain, submit)) = self.clients[client].submitter.submission(job) else { return };
        let (chain, mut submit) = (chain.clone(), submit.clone());
        let again = !self.clients[client].sent.insert(job);
        self.tally.count(if again { "runs sent again" } else { "runs sent" });
        if again && self.plan.slip == Some(Slip::AnotherId) {
            submit.job = JobId::random(job.home(), right(self.at_us).wall_us, self.rng.random());
            self.jobs.alias(submit.job, job);
        }
        let reply = Reply::Batch(format!("c{client}"));
        match self.some_scheduler() {
            Some(to) => self.dispatch(me, to, Dispatch::Run { chain, submit, reply }),
            None => self.dispatch(me, me, Dispatch::Refused { chain, turn }),
        }
    }

    fn ask_about(&mut self, client: usize, job: JobId, verb: Verb) {
        self.tally.count("questions about jobs");
        let from = Inbox::client(client as u64);
        match self.some_scheduler() {
            Some(to) => self.dispatch(from.of, to, Dispatch::Ask { verb, job, from }),
            None => {
                let known = Dispatch::Known { job, known: Known::Nobody };
                self.dispatch(from.of, from.of, known);
            }
        }
    }

    pub(in crate::world) fn dispatch_at_client(&mut self, client: usize, dispatch: Dispatch) {
        let input = match dispatch {
            Dispatch::Finished(finished) => Input::Finished(finished),
            Dispatch::Refused { chain, turn } => Input::Refused { chain, turn, fault: None },
            Dispatch::Known { job, known } => Input::Known { job, known },
            Dispatch::Queued { job, result } => return self.queue_told(job, result),
            Dispatch::NobodyQueues { job } => return self.try_to_queue_later(job, 300_000),
            _ => return,
        };
        self.submitter(client, input);
    }

    fn call_answered(&mut self, client: usize, caller: u64, result: Result<Good, Fault>) {
        let Some((job, due_us)) = self.platform.calls.remove(&caller) else {
            return self.fail(ANSWERED, format!("a call is answered twice: {result:?}"));
        };
        self.note(|| format!("c{client} job {job} {result:?}"));
        if self.at_us > due_us + LATE_US {
            self.fail(ANSWERED, format!("a call is answered at {}, due {due_us}", self.at_us));
        }
        let told = match result {
            Ok(Good { version, result, .. }) => {
                self.clients[client].saw = self.clients[client].saw.max(version.0);
                let number = String::from_utf8_lossy(result.as_ref()).parse().ok();
                Told::Good { version: version.0, number }
            }
            Err(fault) => told_of(&fault),
        };
        self.tally.count(match &told {
            Told::Good { .. } => "runs that ended well",
            Told::Nothing(_) => "runs that changed nothing",
            Told::Unclear => "runs of unknown outcome",
        });
        let of = &mut self.jobs.jobs[job];
        if matches!(told, Told::Good { .. }) && of.told_us == 0 {
            of.told_us = self.at_us;
        }
        of.told.push(told);
    }

    /// A client asks that a job be queued, under a key, so that it may ask again.
    pub(super) fn ask_to_queue(&mut self, job: usize) {
        let of = &mut self.jobs.jobs[job];
        if self.healed || of.accepted || of.attempts >= QUEUE_TRIES {
            return;
        }
        of.attempts += 1;
        let Some((chain, submit)) = of.request.clone() else { return };
        let me = Party::Client(of.client as u64);
        let reply = Reply::Text(format!("{me}.{job}"));
        match self.some_scheduler() {
            Some(to) => {
                self.dispatch(me, to, Dispatch::Submit { chain, submit, reply });
                self.after(QUEUE_US, Happening::Platform(Event::QueuesAgain(job)));
            }
            None => self.dispatch(me, me, Dispatch::NobodyQueues { job }),
        }
    }

    fn try_to_queue_later(&mut self, job: usize, most_us: u64) {
        let wait = self.rng.random_range(50_000..most_us);
        self.after(wait, Happening::Platform(Event::QueuesAgain(job)));
    }

    fn queue_told(&mut self, job: usize, result: Result<(), Fault>) {
        self.note(|| format!("job {job} queued: {result:?}"));
        let of = &mut self.jobs.jobs[job];
        match result {
            Ok(()) if !of.accepted => {
                of.accepted = true;
                self.tally.count("jobs accepted by the queue");
            }
            Ok(()) => {}
            Err(_) => self.try_to_queue_later(job, 2_000_000),
        }
    }
}

/// What a caller may conclude from an error.
fn told_of(fault: &Fault) -> Told {
    // What went wrong with an attempt stands behind what is said of the job.
    let of_job = fault.message.split("; its last attempt").next().unwrap_or_default();
    let says = |words: &str| of_job.contains(words);
    let certain = fault.code == Code::OperatorFailed
        || ["nothing was", "changed nothing", "had no effect"].into_iter().any(says);
    match certain && !says("(this call;") {
        true => Told::Nothing(fault.to_string()),
        false => Told::Unclear,
    }
}
