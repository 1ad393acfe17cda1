//! The search for an order: Wing and Gong's, with Lowe's memory of states that led nowhere.
//!
//! Some rules keep it short. A look that fits and teaches nothing new is taken at once: it cannot
//! be in the way later. An operation of unknown outcome takes effect only right before somebody who
//! looks: elsewhere it might as well not have. And no version may pass one that somebody was told
//! and that is not placed yet: versions only grow.

use crate::demand::Demand;
use crate::plan::{Change, Maybe, Need, Plan};
use crate::register::{Register, Version};
use crate::value::{ValueId, Values};
use std::collections::HashSet;

/// How a search ended.
#[derive(Debug)]
pub(crate) enum Found {
    /// There is an order: this one.
    Order(Vec<Placed>),
    /// There is none.
    NoOrder,
    /// More states than allowed.
    GaveUp,
}

/// One place of an order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    /// The step; none: an operation of unknown outcome.
    pub(crate) step: Option<usize>,
    /// What the key holds after it.
    pub(crate) register: Register,
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Step(usize),
    Maybe(usize),
}

/// A state on the current path and what is still to be tried from it, the last first.
struct Frame {
    came_by: Option<Move>,
    register: Register,
    moves: Vec<(Move, Register)>,
}

struct Search<'a> {
    plan: &'a Plan,
    values: &'a mut Values,
    /// Steps by the newest version that may be there before them.
    by_version: Vec<usize>,
    /// The place of each step in `by_version`.
    rank: Vec<usize>,
    placed: Vec<bool>,
    placed_count: usize,
    /// How many of each class of operations with unknown outcome were used.
    used: Vec<usize>,
    /// All steps before this are placed.
    low: usize,
    /// All before this in `by_version` are placed.
    low_version: usize,
    demand: Demand,
    path: u128,
    visited: HashSet<u128>,
}

/// Looks for an order of a plan, through at most `limit` states.
pub(crate) fn search(plan: &Plan, values: &mut Values, limit: usize) -> Found {
    let mut search = Search::new(plan, values);
    search.run(limit)
}

impl<'a> Search<'a> {
    fn new(plan: &'a Plan, values: &'a mut Values) -> Self {
        let mut by_version: Vec<usize> = (0..plan.steps.len()).collect();
        by_version.sort_by_key(|step| plan.steps[*step].newest_before());
        let mut rank = vec![0; by_version.len()];
        by_version.iter().enumerate().for_each(|(at, step)| rank[*step] = at);
        Self {
            plan,
            demand: Demand::new(plan, values),
            values,
            by_version,
            rank,
            placed: vec![false; plan.steps.len()],
            placed_count: 0,
            used: vec![0; plan.maybes.len()],
            low: 0,
            low_version: 0,
            path: 0,
            visited: HashSet::new(),
        }
    }

    fn run(&mut self, limit: usize) -> Found {
        if self.plan.steps.is_empty() {
            return Found::Order(Vec::new());
        }
        let mut path = vec![self.frame(None, Register::EMPTY)];
        while let Some(frame) = path.last_mut() {
            let Some((by, register)) = frame.moves.pop() else {
                let left = path.pop().and_then(|frame| frame.came_by);
                left.into_iter().for_each(|by| self.undo(by));
                continue;
            };
            self.make(by);
            if !self.visited.insert(self.path ^ register_hash(register)) {
                self.undo(by);
                continue;
            }
            path.push(self.frame(Some(by), register));
            if self.placed_count == self.plan.steps.len() {
                return Found::Order(order(&path));
            }
            if self.visited.len() > limit {
                return Found::GaveUp;
            }
        }
        Found::NoOrder
    }

    fn frame(&mut self, came_by: Option<Move>, register: Register) -> Frame {
        Frame { came_by, register, moves: self.moves(register) }
    }

    fn make(&mut self, by: Move) {
        match by {
            Move::Step(step) => {
                self.placed[step] = true;
                self.placed_count += 1;
                self.demand.take_step(self.plan, step);
                self.path ^= hash(1, step as u64, 0);
            }
            Move::Maybe(class) => {
                self.path ^= hash(2, class as u64, self.used[class] as u64);
                self.used[class] += 1;
                self.demand.take_maybe(self.plan.maybes[class].change);
            }
        }
    }

    fn undo(&mut self, by: Move) {
        match by {
            Move::Step(step) => {
                self.placed[step] = false;
                self.placed_count -= 1;
                self.demand.put_back_step(self.plan, step);
                self.path ^= hash(1, step as u64, 0);
                self.low = self.low.min(step);
                self.low_version = self.low_version.min(self.rank[step]);
            }
            Move::Maybe(class) => {
                self.used[class] -= 1;
                self.demand.put_back_maybe(self.plan.maybes[class].change);
                self.path ^= hash(2, class as u64, self.used[class] as u64);
            }
        }
    }

    /// What can come next, the best last.
    fn moves(&mut self, register: Register) -> Vec<(Move, Register)> {
        let (window, until) = self.window();
        let bounds = self.bounds();
        let mut next = Vec::new();
        for step in &window {
            let Some(after) = self.after(register, *step, &bounds) else { continue };
            if self.cannot_hurt(register, *step, after) {
                return vec![(Move::Step(*step), after)];
            }
            next.push((Move::Step(*step), after));
        }
        next.sort_by_key(|(by, _)| std::cmp::Reverse(self.preference(*by)));
        let mut moves = self.maybes(register, &window, until, &bounds);
        moves.append(&mut next);
        moves
    }

    /// Whether a step that fits now need not be tried later: it only looks and teaches nothing
    /// new, or overwrites what nobody will look at with what nobody will look at.
    fn cannot_hurt(&self, register: Register, step: usize, after: Register) -> bool {
        let planned = &self.plan.steps[step];
        let looks_only = planned.sets.is_none() && after.version == register.version;
        let ignored = |value| self.demand.ignored(value, self.values);
        let unseen = !self.plan.versions
            && !planned.looks()
            && ignored(register.value)
            && ignored(after.value);
        looks_only || unseen
    }

    /// Whether leaving the value of the register by way of `need` leads nowhere.
    fn stranded(&self, register: Register, after: ValueId, need: Need) -> bool {
        let own = u32::from(need == Need::Is(register.value));
        after != register.value && self.demand.stranded(register.value, own, self.values)
    }

    /// Lower is better.
    fn preference(&self, by: Move) -> (bool, u64, u64) {
        match by {
            Move::Step(step) => {
                let step = &self.plan.steps[step];
                (step.hint == 0, step.hint, step.returned)
            }
            Move::Maybe(_) => (true, u64::MAX, u64::MAX),
        }
    }

    /// The steps that no other one has to precede, and the earliest return of one that is not
    /// placed.
    fn window(&mut self) -> (Vec<usize>, u64) {
        let steps = &self.plan.steps;
        while self.low < steps.len() && self.placed[self.low] {
            self.low += 1;
        }
        let mut until = u64::MAX;
        let mut window = Vec::new();
        for (at, step) in steps.iter().enumerate().skip(self.low) {
            if step.invoked > until {
                break;
            }
            if !self.placed[at] {
                until = until.min(step.returned);
                window.push(at);
            }
        }
        (window, until)
    }

    /// The two steps that limit most how far the version may have grown.
    fn bounds(&mut self) -> [Option<usize>; 2] {
        while self.low_version < self.by_version.len()
            && self.placed[self.by_version[self.low_version]]
        {
            self.low_version += 1;
        }
        let mut left =
            self.by_version[self.low_version..].iter().filter(|step| !self.placed[**step]);
        [left.next().copied(), left.next().copied()]
    }

    /// The newest version that may be there when all but one of the steps are still to come.
    fn newest_without(&self, step: usize, bounds: &[Option<usize>; 2]) -> u64 {
        let bound = bounds.iter().flatten().find(|bound| **bound != step);
        bound.map_or(u64::MAX, |bound| self.plan.steps[*bound].newest_before())
    }

    /// The state after a step; none: it cannot come next.
    fn after(
        &self,
        register: Register,
        step: usize,
        bounds: &[Option<usize>; 2],
    ) -> Option<Register> {
        let planned = &self.plan.steps[step];
        if register.unseen && !planned.looks() || !self.fits(register.value, planned.need) {
            return None;
        }
        let version = register.version.told(planned.seen)?;
        let (value, version) = match planned.sets {
            Some(value) => (value, self.next(version, planned.written)?),
            None => (register.value, version),
        };
        if self.stranded(register, value, planned.need) {
            return None;
        }
        let after = Register { value, version, unseen: false };
        (version.least <= self.newest_without(step, bounds)).then_some(after)
    }

    fn next(&self, version: Version, told: u64) -> Option<Version> {
        if self.plan.versions { version.next(told) } else { Some(version) }
    }

    fn fits(&self, value: ValueId, need: Need) -> bool {
        match need {
            Need::Nothing => true,
            Need::Is(wanted) => value == wanted,
            Need::Integer(wanted) => self.values.integer(value) == Some(wanted),
            Need::Never => false,
        }
    }

    /// The operations of unknown outcome that may come next because somebody will look.
    fn maybes(
        &mut self,
        register: Register,
        window: &[usize],
        until: u64,
        bounds: &[Option<usize>; 2],
    ) -> Vec<(Move, Register)> {
        let open = |(class, maybe): (usize, &Maybe)| {
            maybe.invoked.get(self.used[class]).is_some_and(|invoked| *invoked <= until)
        };
        let plan = self.plan;
        let open: Vec<usize> =
            (0..plan.maybes.len()).filter(|class| open((*class, &plan.maybes[*class]))).collect();
        if open.is_empty() {
            return Vec::new();
        }
        let wanted = self.wanted(window, &open, bounds);
        let newest = self.newest_without(usize::MAX, bounds);
        let mut moves = Vec::new();
        for class in open {
            let Some(after) = self.after_maybe(register, plan.maybes[class].change) else {
                continue;
            };
            let changes = plan.versions || after.value != register.value;
            let in_time = after.version.least <= newest;
            let stranded = self.stranded(register, after.value, Need::Nothing);
            if changes
                && in_time
                && !stranded
                && wanted.covers(after.value, self.values.integer(after.value))
            {
                moves.push((Move::Maybe(class), after));
            }
        }
        moves
    }

    fn after_maybe(&mut self, register: Register, change: Change) -> Option<Register> {
        let mut version = register.version;
        let value = match change {
            Change::Set(_) if register.unseen => return None,
            Change::Set(value) => value,
            Change::Swap { expected, new } => (register.value == expected).then_some(new)?,
            Change::SwapVersion { expected, new } => {
                version = version.told(expected)?;
                new
            }
            Change::Add(delta) => {
                let sum = self.values.integer(register.value)?.checked_add(delta)?;
                self.values.sum(sum)
            }
        };
        Some(Register { value, version: self.next(version, 0)?, unseen: true })
    }

    /// What those who can come next would like to find.
    fn wanted(&self, window: &[usize], open: &[usize], bounds: &[Option<usize>; 2]) -> Wanted {
        let mut wanted = Wanted::default();
        for step in window {
            let planned = &self.plan.steps[*step];
            if planned.told() <= self.newest_without(*step, bounds) {
                wanted.need(planned.need, planned.seen, self.values);
            }
        }
        for class in open {
            let maybe = &self.plan.maybes[*class];
            wanted.change(maybe.change, maybe.invoked.len() - self.used[*class], self.values);
        }
        wanted
    }
}

fn order(path: &[Frame]) -> Vec<Placed> {
    let place = |frame: &Frame| {
        let step = match frame.came_by? {
            Move::Step(step) => Some(step),
            Move::Maybe(_) => None,
        };
        Some(Placed { step, register: frame.register })
    };
    path.iter().filter_map(place).collect()
}

/// Values that somebody would like to find.
#[derive(Default)]
struct Wanted {
    values: Vec<ValueId>,
    integers: Vec<i64>,
    /// By how much additions can still lower and raise an integer.
    span: (i64, i64),
    anything: bool,
}

impl Wanted {
    fn need(&mut self, need: Need, seen: u64, values: &Values) {
        match need {
            Need::Is(value) => self.value(value, values),
            Need::Integer(integer) => self.integers.push(integer),
            Need::Nothing => self.anything |= seen != 0,
            Need::Never => {}
        }
    }

    fn change(&mut self, change: Change, count: usize, values: &Values) {
        match change {
            Change::Set(_) => {}
            Change::Swap { expected, .. } => self.value(expected, values),
            Change::SwapVersion { .. } => self.anything = true,
            Change::Add(delta) => {
                let total = delta.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX));
                let side = if delta < 0 { &mut self.span.0 } else { &mut self.span.1 };
                *side = side.saturating_add(total);
            }
        }
    }

    fn value(&mut self, value: ValueId, values: &Values) {
        self.values.push(value);
        self.integers.extend(values.integer(value));
    }

    fn covers(&self, value: ValueId, integer: Option<i64>) -> bool {
        let near = |integer: i64| {
            let low = integer.saturating_add(self.span.0);
            let high = integer.saturating_add(self.span.1);
            self.integers.iter().any(|wanted| (low..=high).contains(wanted))
        };
        self.anything || self.values.contains(&value) || integer.is_some_and(near)
    }
}

fn register_hash(register: Register) -> u128 {
    let Version { least, known } = register.version;
    let flags = u64::from(known) << 1 | u64::from(register.unseen);
    hash(3 + flags, u64::from(register.value.0), least)
}

/// A number for each triple, the same in every run.
fn hash(kind: u64, one: u64, two: u64) -> u128 {
    let half = |seed: u64| mix(mix(mix(seed ^ kind).wrapping_add(one)).wrapping_add(two));
    u128::from(half(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(half(0xc2b2_ae3d_27d4_eb4f))
}

/// The finalizer of splitmix64: every bit of the input changes about half of those of the output.
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
