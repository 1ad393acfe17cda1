//! Operators, polled by hand whenever something came that they wait for.

use super::Event;
use super::workers::STORE_US;
use crate::broker::{Inbox, Party};
use crate::client::text;
use crate::platform::{Desk, Errand, Fact, Slip, StepAtWork, Wish, run_operator};
use crate::world::{Happening, World};
use catena_client::machine::Input as ClientInput;
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Blob, Fault, Timestamp, key};
use catena_worker::machine::{Input, Run, Token};
use catena_worker::operator::{Context, Opening};
use futures_util::FutureExt;
use std::sync::Arc;

/// The rule about what a job sees of itself.
const OWN: &str = "5: a job sees what its earlier steps wrote";

impl World {
    /// A step begins, and may end at once.
    pub(super) fn begin_step(&mut self, at: usize, mut run: Run) -> Option<Input> {
        self.tally.count("steps of jobs");
        self.make_mistakes(&mut run);
        let attempt = self.jobs.attempt(run.job, run.attempt, run.snapshot.0)?;
        let effect = run.chain.steps[usize::from(run.index)].effect;
        let desk = Desk::default();
        let opening = Opening {
            job: run.job,
            chain: run.chain.name.clone(),
            step: run.index,
            effect,
            isolation: run.chain.isolation,
            snapshot: run.snapshot,
            trace: run.trace.take(),
            effects: run.effects,
        };
        self.note(|| format!("w{at} runs step {} of attempt {attempt}", run.index));
        let context = Context::open(opening, Arc::new(desk.clone()));
        let future = run_operator(context.clone(), desk.clone(), run.payload.0, attempt).boxed();
        let step = StepAtWork { future, context, desk, attempt };
        Some(self.look_at_step(at, run.token, step).unwrap_or(Input::Started(run.token)))
    }

    fn make_mistakes(&mut self, run: &mut Run) {
        match self.plan.slip {
            Some(Slip::DropHandedWrites) if run.index > 0 => run.effects = Effects::default(),
            Some(Slip::DropHandedReads) if run.index > 0 => {
                run.effects.reads.clear();
                run.effects.scans.clear();
            }
            Some(Slip::OldSnapshot) => {
                let first = self.platform.first_snapshots.entry(run.job).or_insert(run.snapshot.0);
                run.snapshot = Timestamp(*first);
            }
            _ => {}
        }
    }

    /// Looks whether a step has ended; keeps it if not.
    fn look_at_step(&mut self, at: usize, token: Token, mut step: StepAtWork) -> Option<Input> {
        let ended = step.poll();
        for fact in step.desk.facts() {
            self.take_note(step.attempt, fact);
        }
        if let Some((output, effects)) = ended {
            return Some(Input::Done { token, output: output.map(Blob), effects });
        }
        let life = self.platform.workers[at].life.as_mut()?;
        life.at.steps.insert(token, step);
        None
    }

    fn take_note(&mut self, attempt: usize, fact: Fact) {
        let of = &mut self.jobs.attempts[attempt];
        match fact {
            Fact::Read(key, value) => drop(of.reads.insert(key, value)),
            Fact::Found(shelf, rows) => drop(of.scans.insert(shelf, rows)),
            Fact::Wrote(key, write) => of.writes.get_or_insert_default().push((key, write)),
            Fact::Blind(what) => self.fail(OWN, format!("attempt {attempt}: {what}")),
        }
    }

    pub(super) fn stop_step(&mut self, at: usize, token: Token) {
        self.tally.count("steps stopped");
        let Some(life) = &mut self.platform.workers[at].life else { return };
        if let Some(step) = life.at.steps.remove(&token) {
            step.context.finish();
        }
    }

    /// What operators have asked for since the last look.
    pub(super) fn take_wishes(&mut self, at: usize, who: Inbox) {
        let Some(life) = &self.platform.workers[at].life else { return };
        let wishes: Vec<(Token, u64, Wish)> = life
            .at
            .steps
            .iter()
            .flat_map(|(token, step)| {
                step.desk.wishes().into_iter().map(|(number, wish)| (*token, number, wish))
            })
            .collect();
        for (token, number, wish) in wishes {
            match wish {
                Wish::Time(us) => {
                    let event = Event::OperatorWakes(who, token, number);
                    self.after(us, Happening::Platform(event));
                }
                Wish::Store(key, ask) => self.ask_for_operator(who, token, number, &key, *ask),
            }
        }
    }

    fn ask_for_operator(&mut self, who: Inbox, token: Token, number: u64, key: &str, ask: Ask) {
        let now = self.now_of(who.of);
        self.routes(
            who,
            ClientInput::Ask {
                caller: Errand::Operator(token, number),
                partition: key::partition(key, self.plan.partitions),
                ask,
                deadline_us: now.mono_us + STORE_US,
                patient: true,
            },
        );
    }

    pub(super) fn operator_wakes(&mut self, who: Inbox, token: Token, number: u64) {
        if !self.misses(who, || Event::OperatorWakes(who, token, number)) {
            self.wish_told(who, token, number, Ok(Tell::Outcome(None)));
        }
    }

    /// What an operator waited for is there.
    pub(super) fn wish_told(
        &mut self,
        who: Inbox,
        token: Token,
        number: u64,
        result: Result<Tell, Fault>,
    ) {
        let Party::Worker(at) = who.of else { return };
        if let Ok(Tell::Records { found, .. }) = &result {
            for found in found {
                let value = found.record.value.as_ref().map(text).unwrap_or_default();
                self.jobs.saw(found.key.as_str(), found.record.version.0, &value);
            }
        }
        let Some(life) = &mut self.platform.workers[at].life else { return };
        let Some(step) = life.at.steps.remove(&token) else { return };
        step.desk.tell(number, result);
        match self.look_at_step(at, token, step) {
            Some(done) => self.worker(at, done),
            None => self.take_wishes(at, who),
        }
    }
}
