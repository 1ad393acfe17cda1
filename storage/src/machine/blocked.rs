//! Requests that met an intent: they wait until it is decided.
//!
//! A read waits for the intents that it found, not for those that come later. A direct write waits
//! until there is none on its key; meanwhile no new one is taken there, so that it gets its turn.

use super::effect::Verdict;
use super::{Bug, Effect, Node};
use crate::state::{State, StateError};
use catena_protocol::clock::Now;
use catena_protocol::message::prepare::TxnId;
use catena_protocol::message::read::At;
use catena_protocol::message::store::{Ask, Request, Response, Tell};
use catena_protocol::{Code, Fault, Key, Timestamp};

/// When whoever waits is told that it cannot be done at the moment.
const PATIENCE_US: u64 = 1_500_000;

/// A request that waits.
#[derive(Clone, Debug)]
pub(super) struct Blocked<C> {
    pub(super) caller: C,
    pub(super) request: Request,
    pub(super) patience: Patience,
}

/// For what and for how long somebody waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Not for intents with a later version.
    bound: Timestamp,
    until_us: u64,
}

/// Which keys are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    Key(&'a Key),
    Prefix(&'a str),
}

impl<C> Node<C> {
    /// What a read has to wait for. One at a snapshot waits for every intent at or before it; one
    /// of the present not for those that came after it: nobody has been told of them by then.
    pub(super) fn obstacle(
        &self,
        number: u16,
        scope: Scope<'_>,
        at: At,
    ) -> Option<(TxnId, Timestamp)> {
        if self.has(Bug::ReadPastIntents) {
            return None;
        }
        let until = match at {
            At::Snapshot(snapshot) => snapshot,
            At::Latest | At::Strict => {
                self.resumed.map_or(Timestamp::MAX, |patience| patience.bound)
            }
        };
        self.claimed(number, scope, until)
    }

    /// The first intent at or before `until`, and the version of the last.
    pub(super) fn claimed(
        &self,
        number: u16,
        scope: Scope<'_>,
        until: Timestamp,
    ) -> Option<(TxnId, Timestamp)> {
        let partition = &self.partitions[usize::from(number)];
        if !partition.serves() || partition.intents.len() == 0 {
            return None;
        }
        let claims: Vec<(TxnId, Timestamp)> = match scope {
            Scope::Key(key) => {
                partition.intents.on(key).iter().map(|claim| (claim.txn, claim.at)).collect()
            }
            Scope::Prefix(prefix) => {
                partition.intents.under(prefix).map(|(_, claim)| (claim.txn, claim.at)).collect()
            }
        };
        let blocking = || claims.iter().filter(|(_, at)| *at <= until);
        let latest = blocking().map(|(_, at)| *at).max()?;
        blocking().next().map(|(txn, _)| (*txn, latest))
    }

    /// Has a request wait, if there is room.
    pub(super) fn block(&self, (txn, bound): (TxnId, Timestamp), ask: Ask) -> Verdict {
        match self.admit_wait() {
            Ok(()) => Verdict::Blocked { txn, bound, ask },
            Err(tell) => Verdict::Tell(tell),
        }
    }

    pub(super) fn hold_blocked(
        &mut self,
        now: Now,
        number: u16,
        (txn, bound): (TxnId, Timestamp),
        caller: C,
        request: Request,
    ) {
        let until_us = self.resumed.map_or(now.mono_us + PATIENCE_US, |patience| patience.until_us);
        let patience = Patience { bound, until_us };
        self.held += 1;
        let held = &mut self.partitions[usize::from(number)].held;
        held.block(txn, Blocked { caller, request, patience });
        self.inquire_soon(now, number, txn);
    }

    /// Looks again at what waited for a transaction.
    pub(super) fn resume<S: State>(
        &mut self,
        now: Now,
        number: u16,
        txn: TxnId,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let ready = self.partitions[usize::from(number)].held.unblock(txn);
        for Blocked { caller, request, patience } in ready {
            self.held -= 1;
            self.make_room(out);
            self.resumed = Some(patience);
            let done = self.request(now, caller, request, state, out);
            self.resumed = None;
            done?;
        }
        Ok(())
    }

    /// Turns away who has waited long enough.
    pub(super) fn expire_blocked(&mut self, now: Now, number: u16, out: &mut Vec<Effect<C>>) {
        let partition = &mut self.partitions[usize::from(number)];
        let expired = partition.held.expired(|patience| patience.until_us <= now.mono_us);
        self.held -= expired.len();
        for (txn, Blocked { caller, request, .. }) in expired {
            let home = self.home_of(txn);
            let message = format!(
                "job {} is about to write there and its partition {home} has not decided about it; \
                 nothing was changed; try again",
                txn.job
            );
            let tell = Tell::Fault(Fault::new(Code::Unavailable, message));
            out.push(Effect::Reply { to: caller, response: Response { id: request.id, tell } });
        }
    }
}

/// The key that a request wants to write directly.
pub(super) fn writes(request: &Request) -> Option<&Key> {
    match &request.ask {
        Ask::Write(write) => Some(&write.mutation.key),
        _ => None,
    }
}
