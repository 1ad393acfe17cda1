//! Which values are still to be seen, and who can still bring them: leaving a value that somebody
//! has yet to see and nobody brings again leads nowhere.

use crate::plan::{Change, Need, Plan};
use crate::value::{ValueId, Values};

/// Counts over everything that is not placed yet.
#[derive(Debug)]
pub(crate) struct Demand {
    /// Steps that need exactly this value.
    looks: Vec<u32>,
    /// Steps and unused operations of unknown outcome that leave it.
    brings: Vec<u32>,
    /// Whether a change of unknown outcome, or an addition, may look at integers or bring them.
    additions: bool,
    /// Values that an operation of unknown outcome may look at.
    maybe_looks: Vec<bool>,
}

impl Demand {
    pub(crate) fn new(plan: &Plan, values: &Values) -> Self {
        let count = values.count();
        let (looks, brings) = (vec![0; count], vec![0; count]);
        let mut demand = Self { looks, brings, additions: false, maybe_looks: vec![false; count] };
        for step in 0..plan.steps.len() {
            demand.additions |= matches!(plan.steps[step].need, Need::Integer(_));
            demand.put_back_step(plan, step);
        }
        for maybe in &plan.maybes {
            demand.additions |= matches!(maybe.change, Change::Add(_));
            if let Change::Swap { expected, .. } = maybe.change {
                demand.maybe_looks[expected.0 as usize] = true;
            }
            maybe.invoked.iter().for_each(|_| demand.put_back_maybe(maybe.change));
        }
        demand
    }

    pub(crate) fn take_step(&mut self, plan: &Plan, step: usize) {
        self.count_step(plan, step, |count| *count -= 1);
    }

    pub(crate) fn put_back_step(&mut self, plan: &Plan, step: usize) {
        self.count_step(plan, step, |count| *count += 1);
    }

    fn count_step(&mut self, plan: &Plan, step: usize, change: impl Fn(&mut u32)) {
        let step = &plan.steps[step];
        if let Need::Is(value) = step.need {
            change(&mut self.looks[value.0 as usize]);
        }
        if let Some(value) = step.sets {
            change(&mut self.brings[value.0 as usize]);
        }
    }

    pub(crate) fn take_maybe(&mut self, change: Change) {
        self.count_maybe(change, |count| *count -= 1);
    }

    pub(crate) fn put_back_maybe(&mut self, change: Change) {
        self.count_maybe(change, |count| *count += 1);
    }

    fn count_maybe(&mut self, change: Change, count: impl Fn(&mut u32)) {
        match change {
            Change::Set(new) | Change::Swap { new, .. } | Change::SwapVersion { new, .. } => {
                count(&mut self.brings[new.0 as usize]);
            }
            Change::Add(_) => {}
        }
    }

    /// Whether leaving `value` by something that needs it `own` times leads nowhere.
    pub(crate) fn stranded(&self, value: ValueId, own: u32, values: &Values) -> bool {
        let at = value.0 as usize;
        let looks = self.looks.get(at).copied().unwrap_or(0);
        let brings = self.brings.get(at).copied().unwrap_or(0);
        let added = self.additions && values.integer(value).is_some();
        looks > own && brings == 0 && !added
    }

    /// Whether nobody will ever look at `value`.
    pub(crate) fn ignored(&self, value: ValueId, values: &Values) -> bool {
        let at = value.0 as usize;
        let looked_at = self.looks.get(at).is_some_and(|looks| *looks > 0);
        let maybe = self.maybe_looks.get(at).is_some_and(|looks| *looks);
        let added = self.additions && values.integer(value).is_some();
        !(looked_at || maybe || added)
    }
}
