//! What becomes of a job: answers, refusals, and questions after a silence.

use super::refusal::of_this_call;
use super::{Effect, Known, Stage, Submitter, result_of};
use crate::machine::slots::Place;
use catena_protocol::clock::Now;
use catena_protocol::message::finish::{Answer, Finished};
use catena_protocol::{Code, Fault, JobId, Name, Timestamp};

impl<C> Submitter<C> {
    /// A refusal of one try says nothing about an earlier one that may run. How a job ended is told
    /// with a version, whatever the reason.
    pub(super) fn finished(&mut self, now: Now, mut finished: Finished, out: &mut Vec<Effect<C>>) {
        let Some(place) = self.by_job.get(&finished.job).copied() else { return };
        let Some(open) = self.open.get(place) else { return };
        if let Answer::Elsewhere { pointer } = finished.result {
            return self.elsewhere(now, place, &pointer, out);
        }
        let refused = finished.version == Timestamp::ZERO;
        let passing = refused
            && matches!(
                &finished.result,
                Answer::Fault(fault) if matches!(fault.code, Code::TooBusy | Code::Unavailable)
            );
        if passing && open.may_have_arrived {
            self.ask_later(now, place);
        } else {
            if passing && let Answer::Fault(fault) = finished.result {
                finished.result = Answer::Fault(of_this_call(fault, open.submit.keyed));
            }
            self.answer(place, &result_of(finished), out);
        }
    }

    /// Nothing was started by who says so; but an earlier try may have come to somebody else.
    fn elsewhere(&mut self, now: Now, place: Place, pointer: &str, out: &mut Vec<Effect<C>>) {
        let Some(open) = self.open.get(place) else { return };
        if !open.submit.may_move || open.may_have_arrived {
            return self.ask_later(now, place);
        }
        let callers = self.close(place).into_iter();
        let elsewhere = |caller| Effect::Elsewhere { caller, pointer: pointer.to_owned() };
        out.extend(callers.map(elsewhere));
    }

    pub(super) fn refused(
        &mut self,
        now: Now,
        chain: &Name,
        turn: u64,
        fault: Option<Fault>,
        out: &mut Vec<Effect<C>>,
    ) {
        let sent = Stage::Sent { turn };
        let refused = self.open.iter_mut().filter(|(_, o)| o.stage == sent && o.chain == *chain);
        let places: Vec<Place> = refused.map(|(place, _)| place).collect();
        for place in places {
            let Some(open) = self.open.get_mut(place) else { continue };
            match &fault {
                Some(fault) if !open.may_have_arrived => {
                    self.answer(place, &Err(fault.clone()), out);
                }
                Some(_) => self.ask_later(now, place),
                None => {
                    open.stage = Stage::Refused;
                    self.pause(now, place);
                }
            }
        }
    }

    fn pause(&mut self, now: Now, place: Place) {
        let Some(open) = self.open.get_mut(place) else { return };
        let (first, most) = (self.settings.refused_ms, self.settings.refused_most_ms);
        let delay = self.pace.delay_us(first, most, open.refusals);
        open.refusals += 1;
        self.wake_after(now, delay, place);
    }

    fn ask_later(&mut self, now: Now, place: Place) {
        if let Some(open) = self.open.get_mut(place) {
            open.stage = Stage::Asked;
        }
        self.pause(now, place);
    }

    pub(super) fn ask_status(&mut self, now: Now, place: Place, out: &mut Vec<Effect<C>>) {
        let Some(open) = self.open.get_mut(place) else { return };
        if matches!(open.stage, Stage::Sent { .. } | Stage::Running) {
            open.may_have_arrived = true;
            open.silences += 1;
        }
        open.stage = Stage::Asked;
        out.push(Effect::AskStatus { job: open.submit.job });
        self.wake_after(now, self.settings.question_ms * 1000, place);
    }

    pub(super) fn known(&mut self, now: Now, job: JobId, known: Known, out: &mut Vec<Effect<C>>) {
        let Some(place) = self.by_job.get(&job).copied() else { return };
        let Some(open) = self.open.get_mut(place) else { return };
        if open.stage != Stage::Asked {
            return;
        }
        match known {
            Known::Running => {
                open.stage = Stage::Running;
                self.wait_quietly(now, place);
            }
            Known::Ended => {
                out.push(Effect::AskResult { job });
                self.wake_after(now, self.settings.question_ms * 1000, place);
            }
            Known::Unknown => self.send(now, place, out),
            Known::Nobody => self.pause(now, place),
        }
    }
}
