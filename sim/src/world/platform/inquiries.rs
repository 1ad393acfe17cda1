//! What a scheduler says of a job to whoever asks: first its home is asked for an outcome, then the
//! other schedulers whether it is in flight.

use super::Event;
use crate::broker::{Inbox, Party};
use crate::platform::{Dispatch, Errand, Inquiry, Verb};
use crate::world::{Happening, World};
use catena_client::machine::Input as ClientInput;
use catena_client::machine::submit::Known;
use catena_protocol::message::commit::{End, Outcome};
use catena_protocol::message::finish::{Answer, Finished};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Code, Fault, JobId, Timestamp};

/// How long the home may take; then the schedulers are asked. In microseconds.
const HOME_US: u64 = 1_500_000;
/// How long the owner of a job may take to say so.
const OWNER_US: u64 = 300_000;

impl World {
    pub(super) fn inquire(&mut self, at: usize, who: Inbox, verb: Verb, job: JobId, from: Inbox) {
        let now = self.now_of(who.of);
        let Some(life) = &mut self.platform.schedulers[at].life else { return };
        let standing = life.at.machine.standing(&job);
        let inquiry = life.at.number();
        let asked = Inquiry { verb, job, from, standing, trouble: false };
        life.at.inquiries.insert(inquiry, asked);
        self.routes(
            who,
            ClientInput::Ask {
                caller: Errand::Inquiry(inquiry),
                partition: job.home() % self.plan.partitions,
                ask: Ask::Outcome(job),
                deadline_us: now.mono_us + HOME_US,
                patient: true,
            },
        );
    }

    pub(super) fn inquiry_told(&mut self, who: Inbox, number: u64, result: Result<Tell, Fault>) {
        let Party::Scheduler(at) = who.of else { return };
        let Some(life) = &mut self.platform.schedulers[at].life else { return };
        let Some(inquiry) = life.at.inquiries.get_mut(&number) else { return };
        if let Ok(Tell::Outcome(Some(outcome))) = result {
            return self.outcome_told(at, number, outcome);
        }
        inquiry.trouble = result.is_err();
        if inquiry.standing.is_some() {
            return self.owner_told(at, number, true);
        }
        let job = inquiry.job;
        for other in (0..self.platform.schedulers.len()).filter(|other| *other != at) {
            let question = Dispatch::WhoRuns { inquiry: number, job, from: who };
            self.dispatch(who.of, Party::Scheduler(other), question);
        }
        self.after(OWNER_US, Happening::Platform(Event::OwnersSilent(who, number)));
    }

    fn outcome_told(&mut self, at: usize, number: u64, outcome: Outcome) {
        let Some(life) = &mut self.platform.schedulers[at].life else { return };
        let Some(inquiry) = life.at.inquiries.remove(&number) else { return };
        let Inquiry { verb, job, from, .. } = inquiry;
        let dispatch = match verb {
            Verb::Status => Dispatch::Known { job, known: Known::Ended },
            Verb::Result => Dispatch::Finished(finished(outcome)),
        };
        self.dispatch(Party::Scheduler(at), from.of, dispatch);
    }

    /// Another scheduler asks who runs a job.
    pub(super) fn say_who_runs(&mut self, at: usize, inquiry: u64, job: JobId, from: Inbox) {
        let Some(life) = &self.platform.schedulers[at].life else { return };
        let standing = life.at.machine.standing(&job);
        if standing.is_some() {
            let answer = Dispatch::Runs { boot: from.boot, inquiry, standing };
            self.dispatch(Party::Scheduler(at), from.of, answer);
        }
    }

    pub(super) fn owners_silent(&mut self, who: Inbox, number: u64) {
        let Party::Scheduler(at) = who.of else { return };
        if !self.misses(who, || Event::OwnersSilent(who, number)) {
            self.owner_told(at, number, false);
        }
    }

    /// Whether some scheduler has the job in flight.
    pub(super) fn owner_told(&mut self, at: usize, number: u64, runs: bool) {
        let Some(life) = &mut self.platform.schedulers[at].life else { return };
        let Some(inquiry) = life.at.inquiries.remove(&number) else { return };
        let Inquiry { verb, job, from, trouble, .. } = inquiry;
        let runs = runs || life.at.remembered.contains(&job);
        let known = match (runs, trouble) {
            (true, _) => Known::Running,
            (false, false) => Known::Unknown,
            (false, true) => Known::Nobody,
        };
        let refused = |code, why: &str| {
            let fault = Fault::new(code, format!("job `{job}` {why}"));
            let (version, result) = (Timestamp::ZERO, Answer::Fault(fault));
            Dispatch::Finished(Finished { job, version, result, explained: None })
        };
        let dispatch = match (verb, known) {
            (Verb::Result, Known::Running) => refused(Code::Deadline, "has no result yet"),
            (Verb::Result, Known::Unknown) => refused(Code::NotFound, "has no outcome"),
            _ => Dispatch::Known { job, known },
        };
        self.dispatch(Party::Scheduler(at), from.of, dispatch);
    }
}

fn finished(outcome: Outcome) -> Finished {
    let Outcome { job, version, end, .. } = outcome;
    let (version, result) = match end {
        End::Committed(result) => (version, Answer::Result(result)),
        End::Failed(fault) | End::Dead(fault) => (Timestamp::ZERO, Answer::Fault(fault)),
        End::Cancelled => {
            let fault = Fault::new(Code::Cancelled, format!("job `{job}` was cancelled"));
            (Timestamp::ZERO, Answer::Fault(fault))
        }
    };
    Finished { job, version, result, explained: None }
}
