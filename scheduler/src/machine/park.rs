//! Submissions that wait a moment because this scheduler may not know enough yet: it has just
//! started, or a chain may have been defined a blink ago.

use super::submit::{Called, Refused, Submission};
use super::{Effect, Scheduler};
use catena_protocol::clock::Now;
use catena_protocol::{Code, Fault, Name};
use std::collections::VecDeque;

/// Most submissions that wait; more are refused with what they miss.
const MOST: usize = 8_192;
/// How long a submission waits for a definition that is looked for, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// Submissions that wait, oldest first.
#[derive(Debug)]
pub(super) struct Parked {
    waiting: VecDeque<Waiting>,
    /// Bytes of their inputs.
    pub(super) held: usize,
    grace_until_ms: u64,
}

#[derive(Debug)]
struct Waiting {
    submission: Submission,
    until_ms: u64,
}

impl Parked {
    pub(super) const fn new(grace_until_ms: u64) -> Self {
        Self { waiting: VecDeque::new(), held: 0, grace_until_ms }
    }

    /// Whether workers and definitions may not all be known yet.
    pub(super) const fn is_young(&self, now: Now) -> bool {
        now.mono_ms() < self.grace_until_ms
    }

    /// When the first of them has waited long enough.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.waiting.iter().map(|waiting| waiting.until_ms).min()
    }

    fn push(&mut self, submission: Submission, until_ms: u64) {
        self.held += submission.input.len();
        self.waiting.push_back(Waiting { submission, until_ms });
    }

    fn take(&mut self, wanted: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let (taken, left) = std::mem::take(&mut self.waiting).into_iter().partition(wanted);
        self.waiting = left;
        let taken: VecDeque<Waiting> = taken;
        self.held -= taken.iter().map(|waiting| waiting.submission.input.len()).sum::<usize>();
        taken.into()
    }

    fn waits_for(&self, name: &Name) -> bool {
        self.waiting.iter().any(|waiting| waiting.is_for(name))
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl Waiting {
    fn is_for(&self, name: &Name) -> bool {
        matches!(&self.submission.called, Called::Named(called) if called == name)
    }
}

impl Scheduler {
    pub(super) fn park_or_refuse(&mut self, now: Now, refused: Refused, out: &mut Vec<Effect>) {
        let now_ms = now.mono_ms();
        let (submission, fault) = *refused;
        let room = self.parked.len() < MOST
            && self.jobs.held + self.parked.held + submission.input.len()
                <= self.settings.held_bytes;
        let starting =
            self.parked.is_young(now) && matches!(fault.code, Code::NotFound | Code::Unavailable);
        let undefined = match &submission.called {
            Called::Named(name) if !self.chains.knows(name) => Some(name.clone()),
            _ => None,
        };
        if !room || !(starting || undefined.is_some()) {
            return self.refuse(now, submission, fault, out);
        }
        let mut until_ms = if starting { self.parked.grace_until_ms } else { now_ms };
        if let Some(name) = undefined {
            until_ms = until_ms.max(now_ms + LOOK_MS);
            if !self.parked.waits_for(&name) {
                out.push(Effect::Look(name));
            }
        }
        self.parked.push(submission, until_ms);
    }

    /// Tries those again that wait for a chain.
    pub(super) fn unpark_chain(&mut self, now: Now, name: &Name, out: &mut Vec<Effect>) {
        let taken = self.parked.take(|waiting| waiting.is_for(name));
        self.try_again(now, taken, out);
    }

    /// Tries all again: workers or operators have come.
    pub(super) fn unpark_all(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.parked.len() > 0 {
            let taken = self.parked.take(|_| true);
            self.try_again(now, taken, out);
        }
    }

    /// A chain that was looked for does not exist.
    pub(super) fn missing(&mut self, now: Now, name: &Name, out: &mut Vec<Effect>) {
        if self.chains.knows(name) {
            return self.unpark_chain(now, name, out);
        }
        for waiting in self.parked.take(|waiting| waiting.is_for(name)) {
            let fault = Fault::new(Code::NotFound, format!("chain `{name}` is not defined"));
            self.refuse(now, waiting.submission, fault, out);
        }
    }

    /// Refuses those that have waited long enough in vain.
    pub(super) fn unpark_expired(&mut self, now: Now, out: &mut Vec<Effect>) {
        let now_ms = now.mono_ms();
        if self.parked.next_ms().is_some_and(|ms| ms <= now_ms) {
            let taken = self.parked.take(|waiting| waiting.until_ms <= now_ms);
            self.try_again(now, taken, out);
        }
    }

    /// Refuses all: the process ends.
    pub(super) fn refuse_parked(&mut self, now: Now, fault: &Fault, out: &mut Vec<Effect>) {
        for waiting in self.parked.take(|_| true) {
            self.refuse(now, waiting.submission, fault.clone(), out);
        }
    }

    fn try_again(&mut self, now: Now, taken: Vec<Waiting>, out: &mut Vec<Effect>) {
        for Waiting { submission, until_ms } in taken {
            let Err(refused) = self.try_submit(now, submission, out) else { continue };
            let (submission, fault) = *refused;
            let lacking = matches!(fault.code, Code::NotFound | Code::Unavailable);
            if lacking && now.mono_ms() < until_ms {
                self.parked.push(submission, until_ms);
            } else {
                self.refuse(now, submission, fault, out);
            }
        }
    }
}
