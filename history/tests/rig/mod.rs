//! Short words for histories, and a real register that makes them.
#![allow(dead_code, reason = "every test file uses its own part")]

use catena_history::{Call, History, Operation, Outcome};

pub(crate) fn op(process: u64, from: u64, to: u64, call: Call, outcome: Outcome) -> Operation {
    Operation { process, key: "k".into(), call, invoked: from, returned: Some(to), outcome }
}

pub(crate) fn lost(process: u64, from: u64, call: Call) -> Operation {
    let outcome = Outcome::Unknown;
    Operation { process, key: "k".into(), call, invoked: from, returned: None, outcome }
}

pub(crate) fn history(operations: impl IntoIterator<Item = Operation>) -> History {
    History::new(operations.into_iter().collect()).unwrap()
}

pub(crate) fn write(value: &str) -> Call {
    Call::Write { value: value.into() }
}

pub(crate) fn cas(expected: Option<&str>, new: &str) -> Call {
    Call::CompareAndSet { expected: expected.map(Into::into), new: new.into() }
}

pub(crate) fn compare_version(expected: u64, new: &str) -> Call {
    Call::CompareVersion { expected, new: new.into() }
}

pub(crate) fn add(delta: i64) -> Call {
    Call::Add { delta }
}

pub(crate) fn done(version: u64) -> Outcome {
    Outcome::Done { version }
}

pub(crate) fn sum(sum: i64, version: u64) -> Outcome {
    Outcome::Sum { sum, version }
}

pub(crate) fn found(value: &str, version: u64) -> Outcome {
    Outcome::Found { value: Some(value.into()), version }
}

pub(crate) fn nothing(version: u64) -> Outcome {
    Outcome::Found { value: None, version }
}

pub(crate) fn differs(value: Option<&str>, version: u64) -> Outcome {
    Outcome::Differs { value: value.map(Into::into), version }
}

/// A call on its way: invoked, then takes effect, then returns.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) process: u64,
    pub(crate) invoked: u64,
    pub(crate) effect: u64,
    pub(crate) returned: u64,
    pub(crate) call: Call,
    pub(crate) fate: Fate,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    /// It took effect; the answer was lost.
    AnswerLost,
    /// It never took effect, and nobody knows.
    RequestLost,
    Refused,
}

/// One register that does what it is told: the model of a correct store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    pub(crate) value: Option<String>,
    pub(crate) version: u64,
    clock: u64,
}

impl Store {
    pub(crate) fn handle(&mut self, call: &Call) -> Outcome {
        match call {
            Call::Read => Outcome::Found { value: self.value.clone(), version: self.version },
            Call::Write { value } => done(self.put(Some(value.clone()))),
            Call::Delete => done(self.put(None)),
            Call::CompareAndSet { expected, new } => self.put_if(*expected == self.value, new),
            Call::CompareVersion { expected, new } => {
                let absent = *expected == 0 && self.value.is_none();
                self.put_if(absent || *expected == self.version, new)
            }
            Call::Add { delta } => {
                let before = self.value.as_deref().unwrap_or("0").parse::<i64>();
                let Ok(before) = before else { return Outcome::Refused };
                let sum = before + delta;
                Outcome::Sum { sum, version: self.put(Some(sum.to_string())) }
            }
        }
    }

    fn put(&mut self, value: Option<String>) -> u64 {
        self.clock += 2;
        self.value = value;
        self.version = self.clock;
        self.version
    }

    fn put_if(&mut self, holds: bool, new: &str) -> Outcome {
        if holds {
            return done(self.put(Some(new.into())));
        }
        Outcome::Differs { value: self.value.clone(), version: self.version }
    }
}

/// Runs the calls in the order of their effects.
pub(crate) fn execute(mut calls: Vec<Planned>) -> Vec<Operation> {
    calls.sort_by_key(|call| call.effect);
    let mut store = Store::default();
    let mut operations: Vec<Operation> =
        calls.into_iter().map(|call| outcome(&mut store, call)).collect();
    operations.sort_by_key(|operation| operation.invoked);
    operations
}

fn outcome(store: &mut Store, planned: Planned) -> Operation {
    let Planned { process, invoked, returned, call, fate, .. } = planned;
    let outcome = match fate {
        Fate::Answered => store.handle(&call),
        Fate::AnswerLost => {
            store.handle(&call);
            Outcome::Unknown
        }
        Fate::RequestLost => Outcome::Unknown,
        Fate::Refused => Outcome::Refused,
    };
    op(process, invoked, returned, call, outcome)
}

/// Chance with a seed.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Clients that call one after the other; `unknown` of a hundred answers are lost.
pub(crate) fn busy(
    chance: &mut Chance,
    clients: u64,
    count: usize,
    unknown: u64,
    mut call: impl FnMut(&mut Chance, usize) -> Call,
) -> Vec<Operation> {
    let mut free: Vec<u64> = (0..clients).map(|client| client * 3).collect();
    let mut calls = Vec::new();
    for at in 0..count {
        let process = (0..clients).min_by_key(|client| free[*client as usize]).unwrap();
        let invoked = free[process as usize] + 1 + chance.below(20);
        let mut effect = invoked + chance.below(100);
        let returned = effect + chance.below(100);
        free[process as usize] = returned;
        let fate = match (chance.below(100) < unknown, chance.below(2)) {
            (false, _) => Fate::Answered,
            (true, 0) => Fate::RequestLost,
            (true, _) => Fate::AnswerLost,
        };
        if fate == Fate::AnswerLost {
            effect += chance.below(2_000);
        }
        let call = call(chance, at);
        calls.push(Planned { process, invoked, effect, returned, call, fate });
    }
    execute(calls)
}

/// The same without versions: what a store that tells none would have answered.
pub(crate) fn without_versions(operations: Vec<Operation>) -> Vec<Operation> {
    let strip = |mut operation: Operation| {
        match &mut operation.outcome {
            Outcome::Found { version, .. }
            | Outcome::Done { version }
            | Outcome::Sum { version, .. }
            | Outcome::Differs { version, .. } => *version = 0,
            Outcome::Unknown | Outcome::Refused => {}
        }
        operation
    };
    operations.into_iter().map(strip).collect()
}
