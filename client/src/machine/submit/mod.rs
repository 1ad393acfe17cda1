//! **submit**: hands jobs to schedulers and sees to it that each is answered.
//!
//! ```text
//! Input::Run -----> Effect::Send -------> (catena.run.<chain>, some scheduler)
//!                   Effect::Answer    <-- Input::Finished
//!                   Effect::Send      <-- Input::Refused: nobody was there; after a pause
//!    (silence) ---> Effect::AskStatus
//!                       (nothing)     <-- Input::Known(Running)
//!                   Effect::Send      <-- Input::Known(Unknown): under the same id
//!                   Effect::AskResult <-- Input::Known(Ended)
//! ```
//!
//! Promise: each `Run` gets exactly one `Answer`, at the latest a tick after its deadline. A
//! job is only ever sent again under the id that it had, so that its effects happen once. Only
//! who was sent a job for the first time can send it elsewhere: then nobody else can have it.

mod follow;
mod refusal;

use super::pace::Pace;
use super::slots::{Place, Slots};
use super::wheel::Wheel;
use catena_protocol::clock::Now;
use catena_protocol::message::finish::{Explained, Finished};
use catena_protocol::message::submit::Submit;
use catena_protocol::{Blob, Fault, JobId, Name, Timestamp};
use refusal::{over_before, too_busy, too_large, too_late};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Limits and delays.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most jobs open at once; more are refused with 429.
    pub open: usize,
    /// Most bytes of input in open jobs; more are refused with 429.
    pub bytes: usize,
    /// Longest submission in bytes, below the server's `max_payload`; longer ones are refused
    /// with 413.
    pub request_bytes: usize,
    /// Callers that may wait for one job; more are refused with 429.
    pub callers: usize,
    /// After so many milliseconds without an answer it is asked what became of a job, then
    /// after twice as long, up to `quiet_most_ms`.
    pub quiet_ms: u64,
    /// See `quiet_ms`.
    pub quiet_most_ms: u64,
    /// An unanswered question is put again after so many milliseconds.
    pub question_ms: u64,
    /// Where nobody is there it is tried again after so many milliseconds, then after twice as
    /// long, up to `refused_most_ms`.
    pub refused_ms: u64,
    /// See `refused_ms`.
    pub refused_most_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            open: 16_384,
            bytes: 256 * 1024 * 1024,
            request_bytes: 1024 * 1024 - catena_protocol::limit::MESSAGE_MARGIN,
            callers: 1_024,
            quiet_ms: 2_000,
            quiet_most_ms: 8_000,
            question_ms: 1_000,
            refused_ms: 50,
            refused_most_ms: 1_000,
        }
    }
}

/// What happened. `C` is the caller's own name for its call.
#[derive(Debug)]
pub enum Input<C> {
    /// Somebody wants a job to be run.
    Run {
        /// Comes back with the answer.
        caller: C,
        /// Which chain.
        chain: Name,
        /// The job. One that is open already is joined.
        submit: Submit,
        /// When to give up, in monotonic microseconds.
        deadline_us: u64,
    },
    /// A job is finished.
    Finished(Finished),
    /// What was sent to a chain in one turn was turned away.
    Refused {
        /// Which chain.
        chain: Name,
        /// In which turn; see [`Effect::Send`].
        turn: u64,
        /// Why; none: nobody was there.
        fault: Option<Fault>,
    },
    /// What is known about a job, after [`Effect::AskStatus`].
    Known {
        /// Which.
        job: JobId,
        /// What.
        known: Known,
    },
    /// Time has passed: due when [`Submitter::next_deadline`] says so.
    Tick,
}

/// What is known about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It waits or runs.
    Running,
    /// It has an outcome.
    Ended,
    /// Nobody knows it.
    Unknown,
    /// Nobody was there to ask.
    Nobody,
}

/// What is wanted.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<C> {
    /// Send this job: see [`Submitter::submission`].
    Send {
        /// Which.
        job: JobId,
        /// Counts the times that `handle` began with an empty list of effects. All jobs of one
        /// chain in one turn may go out as one message.
        turn: u64,
    },
    /// Ask what became of a job.
    AskStatus {
        /// Which.
        job: JobId,
    },
    /// Ask for the result of a job that has ended; the answer is an [`Input::Finished`].
    AskResult {
        /// Which.
        job: JobId,
    },
    /// The answer to a `Run`.
    Answer {
        /// Whose.
        caller: C,
        /// How it ended well, or why it did not.
        result: Result<Good, Fault>,
    },
    /// The other answer to a `Run` that may move: nothing was started, another home is better.
    Elsewhere {
        /// Whose.
        caller: C,
        /// The chain's `key`, which finds that home in the input.
        pointer: String,
    },
}

/// How a job ended that has a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// Its commit timestamp, or its snapshot if it committed nothing.
    pub version: Timestamp,
    /// What its last operator returned.
    pub result: Blob,
    /// What it took, where that was asked for and is known.
    pub explained: Option<Box<Explained>>,
}

/// Hands jobs to schedulers. Not shared: its owner calls it from one place.
#[derive(Debug)]
pub struct Submitter<C> {
    settings: Settings,
    open: Slots<Open<C>>,
    by_job: BTreeMap<JobId, Place>,
    bytes: usize,
    timers: Wheel<Place>,
    pace: Pace,
    turn: u64,
}

#[derive(Debug)]
struct Open<C> {
    chain: Name,
    submit: Submit,
    caller: C,
    joined: Vec<C>,
    size: usize,
    deadline_us: u64,
    due_us: u64,
    stage: Stage,
    /// Whether some try may have arrived although nothing was heard of it.
    may_have_arrived: bool,
    refusals: u32,
    silences: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// On its way, in this turn.
    Sent { turn: u64 },
    /// Known to wait or run.
    Running,
    /// Nobody was there; it will be sent again.
    Refused,
    /// It is asked what became of it.
    Asked,
}

impl<C> Submitter<C> {
    /// Nothing is open yet. `seed` should differ between processes.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            open: Slots::new(settings.open),
            settings,
            by_job: BTreeMap::new(),
            bytes: 0,
            timers: Wheel::default(),
            pace: Pace::new(seed),
            turn: 0,
        }
    }

    /// Takes one input; pushes what follows from it. Drain `out` before the next turn.
    pub fn handle(&mut self, now: Now, input: Input<C>, out: &mut Vec<Effect<C>>) {
        if out.is_empty() {
            self.turn += 1;
        }
        match input {
            Input::Run { caller, chain, submit, deadline_us } => {
                self.run(now, caller, chain, submit, deadline_us, out);
            }
            Input::Finished(finished) => self.finished(now, finished, out),
            Input::Refused { chain, turn, fault } => self.refused(now, &chain, turn, fault, out),
            Input::Known { job, known } => self.known(now, job, known, out),
            Input::Tick => self.tick(now, out),
        }
    }

    /// When to send [`Input::Tick`], in monotonic microseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next_us()
    }

    /// The chain and submission of an open job; none: it has been answered since.
    pub fn submission(&self, job: JobId) -> Option<(&Name, &Submit)> {
        let open = self.open.get(*self.by_job.get(&job)?)?;
        Some((&open.chain, &open.submit))
    }

    /// Jobs without an answer.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Whether another job would be refused.
    pub fn is_full(&self) -> bool {
        self.open.is_full()
    }

    fn run(
        &mut self,
        now: Now,
        caller: C,
        chain: Name,
        submit: Submit,
        deadline_us: u64,
        out: &mut Vec<Effect<C>>,
    ) {
        let job = submit.job;
        if now.mono_us >= deadline_us {
            out.push(Effect::Answer { caller, result: Err(over_before(submit.keyed)) });
            return;
        }
        if let Some(place) = self.by_job.get(&job) {
            self.join(*place, caller, out);
            return;
        }
        let size = submit.input.len() + submit.inline.as_ref().map_or(0, String::len) + 128;
        if let Some(fault) = self.admit(size) {
            out.push(Effect::Answer { caller, result: Err(fault) });
            return;
        }
        let open = Open {
            chain,
            submit,
            caller,
            joined: Vec::new(),
            size,
            deadline_us,
            due_us: 0,
            stage: Stage::Refused,
            may_have_arrived: false,
            refusals: 0,
            silences: 0,
        };
        match self.open.insert(open) {
            Ok(place) => {
                self.by_job.insert(job, place);
                self.bytes += size;
                self.send(now, place, out);
            }
            Err(open) => {
                let result = Err(too_busy(&self.settings));
                out.push(Effect::Answer { caller: open.caller, result });
            }
        }
    }

    fn admit(&self, size: usize) -> Option<Fault> {
        if size > self.settings.request_bytes {
            return Some(too_large(size, self.settings.request_bytes));
        }
        let full = self.open.is_full() || self.bytes + size > self.settings.bytes;
        full.then(|| too_busy(&self.settings))
    }

    /// The same job is open: its answer is for this caller too.
    fn join(&mut self, place: Place, caller: C, out: &mut Vec<Effect<C>>) {
        match self.open.get_mut(place) {
            Some(open) if open.joined.len() + 1 < self.settings.callers => open.joined.push(caller),
            _ => out.push(Effect::Answer { caller, result: Err(too_busy(&self.settings)) }),
        }
    }

    fn send(&mut self, now: Now, place: Place, out: &mut Vec<Effect<C>>) {
        let turn = self.turn;
        let Some(open) = self.open.get_mut(place) else { return };
        open.stage = Stage::Sent { turn };
        let left_ms = open.deadline_us.saturating_sub(now.mono_us) / 1000;
        open.submit.may_move &= !open.may_have_arrived;
        if open.may_have_arrived && open.submit.timeout_ms > 0 {
            open.submit.timeout_ms = open.submit.timeout_ms.min(left_ms).max(1);
        }
        out.push(Effect::Send { job: open.submit.job, turn });
        self.wait_quietly(now, place);
    }

    fn wait_quietly(&mut self, now: Now, place: Place) {
        let Some(open) = self.open.get(place) else { return };
        let (first, most) = (self.settings.quiet_ms, self.settings.quiet_most_ms);
        let delay = self.pace.delay_us(first, most, open.silences);
        self.wake_after(now, delay, place);
    }

    fn wake_after(&mut self, now: Now, delay_us: u64, place: Place) {
        if self.timers.len() > 4 * self.settings.open + 1024 {
            self.timers.clear();
            for (place, open) in self.open.iter_mut() {
                self.timers.set(open.due_us, place);
            }
        }
        let Some(open) = self.open.get_mut(place) else { return };
        open.due_us = (now.mono_us + delay_us).min(open.deadline_us);
        self.timers.set(open.due_us, place);
    }

    fn tick(&mut self, now: Now, out: &mut Vec<Effect<C>>) {
        while let Some(due) = self.timers.take_due(now.mono_us) {
            for place in due {
                let Some(open) = self.open.get(place) else { continue };
                if open.due_us > now.mono_us {
                    continue;
                }
                if open.deadline_us <= now.mono_us {
                    let fault = too_late(open);
                    self.answer(place, &Err(fault), out);
                } else if open.stage == Stage::Refused {
                    self.send(now, place, out);
                } else {
                    self.ask_status(now, place, out);
                }
            }
        }
    }

    fn answer(&mut self, place: Place, result: &Result<Good, Fault>, out: &mut Vec<Effect<C>>) {
        let callers = self.close(place).into_iter();
        out.extend(callers.map(|caller| Effect::Answer { caller, result: result.clone() }));
    }

    /// A job is open no more. Returns who waits for its answer.
    fn close(&mut self, place: Place) -> Vec<C> {
        let Some(open) = self.open.remove(place) else { return Vec::new() };
        if let Entry::Occupied(entry) = self.by_job.entry(open.submit.job) {
            entry.remove();
        }
        self.bytes -= open.size;
        std::iter::once(open.caller).chain(open.joined).collect()
    }
}

fn result_of(finished: Finished) -> Result<Good, Fault> {
    let Finished { version, result, explained, .. } = finished;
    Ok(Good { version, result: result.into_result()?, explained })
}
