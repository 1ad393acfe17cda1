//! What is noticed because nothing came: silent workers, lost attempts, callers and jobs whose
//! time is up.

use super::jobs::{Job, JobKey, Phase};
use super::settle::RECORD_GRACE_MS;
use super::submit::answer;
use super::workers::{Blocked, Sign, Workers};
use super::{Effect, Scheduler};
use catena_protocol::clock::Now;
use catena_protocol::message::finish::Answer;
use catena_protocol::message::heartbeat::{Heartbeat, Load};
use catena_protocol::{AttemptId, Code, Fault, NodeId, Timestamp};
use std::num::NonZeroU16;

/// How often a job that is out is looked at, in milliseconds.
const LOOK_MS: u64 = 1_000;
/// How long every worker of a plan must have said that it holds nothing for the attempt to count
/// as lost, in milliseconds: longer than a heartbeat, so that two of them say so and no hand-off
/// on its way between two workers is taken for a loss.
const IDLE_MS: u64 = 600;
/// How long to wait for an answer of a home before asking again, in milliseconds.
const HOME_MS: u64 = 500;
/// How many suspects are taken up at once, and how long until the next share, in milliseconds.
const SHARE: usize = 256;
const SHARE_MS: u64 = 10;

/// An attempt that may be lost.
#[derive(Debug)]
pub(super) struct Suspect {
    key: JobKey,
    attempt: AttemptId,
}

impl Job {
    /// Whether an attempt is with the workers.
    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// When something about this job may have to be done, in monotonic milliseconds.
    fn next_look_ms(&self) -> u64 {
        let callers = self.rider.iter().chain(&self.others).map(|caller| caller.until_ms);
        let phase = match &self.phase {
            Phase::Running => self.since_ms + LOOK_MS,
            Phase::Asking | Phase::Recording(_) => self.since_ms + HOME_MS,
            Phase::Delayed => u64::MAX,
        };
        let deadline = match self.phase {
            Phase::Recording(_) => self.deadline_ms.saturating_add(RECORD_GRACE_MS),
            _ => self.deadline_ms,
        };
        callers.min().unwrap_or(u64::MAX).min(phase).min(deadline)
    }

    /// Whether the attempt that is out has been silent for too long.
    fn is_lost(&self, now_ms: u64, workers: &Workers) -> bool {
        let out_ms = now_ms.saturating_sub(self.since_ms);
        let silence = self.chain.as_ref().and_then(|chain| chain.silence_ms);
        let idle = |worker: &u16| {
            let Some(known) = workers.get(*worker) else { return false };
            let since = known.idle_since_ms.map(|since| since.max(self.since_ms));
            since.is_some_and(|since| known.heard_ms >= since + IDLE_MS)
        };
        silence.is_some_and(|most| out_ms > most)
            || (!self.plan.is_empty() && self.plan.iter().all(idle))
    }
}

impl Scheduler {
    /// Sees to it that a job is looked at when its next time comes.
    pub(super) fn watch(&mut self, now_ms: u64, key: JobKey) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        let due_ms = job.next_look_ms().max(now_ms + 1);
        // A timer that comes earlier does as well: it is set again then.
        let set = job.timer * super::wheel::TICK_MS;
        if set > now_ms && set <= due_ms {
            return;
        }
        job.timer = self.wheel.set(now_ms, due_ms, key);
        if self.wheel.len() > 1_024 + 8 * self.settings.max_jobs {
            let jobs = &self.jobs;
            self.wheel.sweep(|key| jobs.get(key).map(|job| job.timer));
        }
    }

    pub(super) fn tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        let now_ms = now.mono_ms();
        self.resume(now, out);
        self.bury_silent(now);
        self.unpark_expired(now, out);
        let mut due = std::mem::take(&mut self.due);
        self.wheel.take_due(now_ms, &mut due);
        for (tick, key) in due.drain(..) {
            if self.jobs.get(key).is_some_and(|job| job.timer == tick) {
                self.look(now, key, out);
            }
        }
        self.due = due;
        self.take_suspects(now, out);
    }

    /// Looks after one job.
    fn look(&mut self, now: Now, key: JobKey, out: &mut Vec<Effect>) {
        let now_ms = now.mono_ms();
        let Some(job) = self.jobs.get_mut(key) else { return };
        dismiss_callers(job, now_ms, out);
        if now_ms >= job.deadline_ms && !matches!(job.phase, Phase::Recording(_)) {
            let fault = deadline_fault(job);
            self.counters.expired += 1;
            return self.fail(now, key, fault, out);
        }
        let waited_ms = now_ms.saturating_sub(job.since_ms);
        match &job.phase {
            Phase::Running if job.is_lost(now_ms, &self.workers) => {
                self.suspects.push_back(Suspect { key, attempt: job.attempt });
                job.since_ms = now_ms;
            }
            Phase::Asking if waited_ms >= HOME_MS => self.ask_home(now, key, out),
            Phase::Recording(_) if now_ms > job.deadline_ms.saturating_add(RECORD_GRACE_MS) => {
                return self.give_up(key, out);
            }
            Phase::Recording(_) if waited_ms >= HOME_MS => self.record(now, key, out),
            Phase::Running | Phase::Asking | Phase::Recording(_) | Phase::Delayed => {}
        }
        self.rewatch(now_ms, key);
    }

    fn rewatch(&mut self, now_ms: u64, key: JobKey) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        job.timer = 0;
        // Not lost yet: look again in a while, without touching since when it is out.
        let due_ms = match job.phase {
            Phase::Running => {
                let callers = job.rider.iter().chain(&job.others).map(|caller| caller.until_ms);
                let soonest = callers.min().unwrap_or(u64::MAX).min(job.deadline_ms);
                soonest.min(now_ms + LOOK_MS)
            }
            _ => job.next_look_ms(),
        };
        job.timer = self.wheel.set(now_ms, due_ms.max(now_ms + 1), key);
    }

    /// Jobs of workers that died run elsewhere.
    fn bury_silent(&mut self, now: Now) {
        if self.workers.next_silence_ms().is_none_or(|ms| ms > now.mono_ms()) {
            return;
        }
        let dead = self.workers.silent(now.mono_ms(), &mut self.operators);
        if !dead.is_empty() {
            self.counters.workers_lost += dead.len() as u64;
            let is_dead = |worker: &u16| dead.binary_search(worker).is_ok();
            self.suspect_where(now, |job| job.plan.iter().any(is_dead));
        }
    }

    fn suspect_where(&mut self, now: Now, lost: impl Fn(&Job) -> bool) {
        let running = self.jobs.iter().filter(|(_, job)| job.is_running() && lost(job));
        let found = running.map(|(key, job)| Suspect { key, attempt: job.attempt });
        self.suspects.extend(found);
        // Twice the table is more than there can be of any use.
        if self.suspects.len() > 2 * self.settings.max_jobs + 1_024 {
            let jobs = &self.jobs;
            self.suspects.retain(|suspect| {
                jobs.get(suspect.key).is_some_and(|job| job.attempt == suspect.attempt)
            });
        }
        self.suspects_ms = self.suspects_ms.max(now.mono_ms());
    }

    /// Takes up a share of the suspects: asks home where an outcome may be, else assigns anew.
    fn take_suspects(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.suspects.is_empty() || now.mono_ms() < self.suspects_ms {
            return;
        }
        let share = self.suspects.len().min(SHARE);
        let taken: Vec<Suspect> = self.suspects.drain(..share).collect();
        for Suspect { key, attempt } in taken {
            let Some(job) = self.jobs.get_mut(key) else { continue };
            if !job.is_running() || job.attempt != attempt {
                continue;
            }
            self.counters.lost += 1;
            if job.recording {
                self.ask_home(now, key, out);
                self.watch(now.mono_ms(), key);
            } else {
                self.assign(now, key, out);
            }
        }
        self.suspects_ms = now.mono_ms() + SHARE_MS;
    }

    pub(super) fn heard(&mut self, now: Now, heartbeat: Heartbeat, out: &mut Vec<Effect>) {
        let Heartbeat { node, boot, draining, load } = heartbeat;
        match load {
            Load::Worker { outstanding, credit, operators } => {
                let sign = Sign { node, boot, draining, outstanding, credit, offers: operators };
                let generation = self.operators.generation;
                let heard = self.workers.heard(now.mono_ms(), sign, &mut self.operators);
                if let Some((worker, true)) = heard {
                    self.suspect_where(now, |job| job.plan.contains(&worker));
                }
                if generation != self.operators.generation || self.parked.is_young(now) {
                    self.unpark_all(now, out);
                }
            }
            Load::Storage { partitions, .. } => {
                self.partitions = self.partitions.or(NonZeroU16::new(partitions));
            }
            Load::Scheduler { .. } => {}
        }
    }

    /// The server says that a worker is not there: what was sent to it is lost.
    pub(super) fn gone(&mut self, now: Now, node: &NodeId, _: &mut Vec<Effect>) {
        let Some(worker) = self.workers.find(node) else { return };
        self.workers.block(worker, Blocked::Gone);
        self.suspect_where(now, |job| job.plan.first() == Some(&worker));
    }

    /// Messages may be lost: every attempt that is out may be.
    pub(super) fn reconnected(&mut self, now: Now) {
        self.suspect_where(now, |_| true);
    }

    /// Lets every job go. Their attempts may still commit.
    pub(super) fn stop(&mut self, now: Now, out: &mut Vec<Effect>) {
        let message = "this scheduler is shutting down";
        let fault = Fault::new(Code::Unavailable, format!("{message}; nothing was started"));
        self.refuse_parked(now, &fault, out);
        let keys: Vec<JobKey> = self.jobs.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(job) = self.jobs.get_mut(key) {
                let message = format!(
                    "{message} before job `{}` ended; ask for its status, or send it again \
                     under the same id",
                    job.id
                );
                let fault = Answer::Fault(Fault::new(Code::Unavailable, message));
                super::settle::answer_all(job, Timestamp::ZERO, &fault, out);
            }
            self.end(key, false, out);
        }
    }
}

/// Tells the callers whose patience is over that the job goes on without them.
fn dismiss_callers(job: &mut Job, now_ms: u64, out: &mut Vec<Effect>) {
    if now_ms >= job.deadline_ms || !job.has_callers() {
        return;
    }
    let id = job.id;
    let why = last_trouble(job);
    let fault = || {
        let message = format!(
            "job `{id}` has not ended yet and goes on; ask for its status or its result{why}"
        );
        Answer::Fault(Fault::new(Code::Deadline, message))
    };
    if let Some(caller) = job.rider.take_if(|caller| caller.until_ms <= now_ms) {
        out.push(answer(caller.reply, id, Timestamp::ZERO, fault()));
    }
    for caller in job.others.extract_if(.., |caller| caller.until_ms <= now_ms) {
        out.push(answer(caller.reply, id, Timestamp::ZERO, fault()));
    }
}

/// Why a job ends at its deadline: a limit that held it up until then is what its caller is told.
fn deadline_fault(job: &Job) -> Fault {
    let full = job.trouble.as_ref().is_some_and(|trouble| trouble.code == Code::TooBusy);
    let at_once = job.chain.as_ref().is_some_and(|chain| chain.writes_at_once());
    let message = format!(
        "the deadline of job `{}` passed after {} attempts; {}{}",
        job.id,
        job.attempts,
        if at_once { "what its steps have written stays" } else { "it changed nothing" },
        last_trouble(job)
    );
    Fault::new(if full { Code::TooBusy } else { Code::Deadline }, message)
}

fn last_trouble(job: &Job) -> String {
    match &job.trouble {
        Some(fault) => format!("; its last attempt ended with: {fault}"),
        None => String::new(),
    }
}
