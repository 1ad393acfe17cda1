//! What happens with answers: they end a request, or send it somewhere else.

use super::refusal::no_primary;
use super::{Effect, Open, REDIRECTS, Router, size};
use crate::machine::route::Target;
use crate::machine::slots::Place;
use catena_protocol::clock::Now;
use catena_protocol::message::commit::Decided;
use catena_protocol::message::heartbeat::{Heartbeat, Load};
use catena_protocol::message::store::{Response, Tell};
use catena_protocol::{Code, Fault, NodeId};

/// A request that was held for longer than this before it was turned away tells nothing about the
/// time before: primaries give up less than a second after they last heard of a majority.
const HELD_US: u64 = 1_000_000;

impl<C> Router<C> {
    pub(super) fn told(&mut self, now: Now, response: Response, out: &mut Vec<Effect<C>>) {
        let Some((place, last_try)) = self.open.find(response.id) else { return };
        match response.tell {
            Tell::NotPrimary { primary } => {
                if last_try {
                    self.not_primary(now, place, primary.as_ref(), out);
                }
            }
            Tell::Deposed { primary } => self.deposed(now, place, last_try, primary.as_ref(), out),
            Tell::Behind { primary, .. } => {
                if last_try {
                    self.redirected += 1;
                    self.not_primary(now, place, primary.as_ref(), out);
                }
            }
            Tell::Fault(fault) => self.fault(now, place, last_try, fault, out),
            Tell::Decided(Decided::Busy { wait_ms }) => {
                if last_try {
                    self.ask_again(now, place, wait_ms);
                }
            }
            tell => {
                if let Some(open) = self.open.get(place)
                    && !size::at_snapshot(&open.request.ask)
                {
                    self.routes.answered(open.request.partition);
                }
                self.answer(place, Ok(tell), out);
            }
        }
    }

    /// Another attempt of the job is being decided about: asked again, the same question finds its
    /// outcome, or may be the one that counts.
    fn ask_again(&mut self, now: Now, place: Place, wait_ms: u64) {
        let Some(open) = self.open.get_mut(place) else { return };
        open.waits_for = None;
        open.busy = true;
        let delay_us = wait_ms.clamp(1, self.settings.silence_most_ms).saturating_mul(1_000);
        self.set_due(now, place, delay_us);
    }

    fn not_primary(
        &mut self,
        now: Now,
        place: Place,
        primary: Option<&NodeId>,
        out: &mut Vec<Effect<C>>,
    ) {
        let Some(open) = self.open.get_mut(place) else { return };
        open.count_others();
        let Some((asked, _)) = open.waits_for.take() else { return };
        let partition = open.request.partition;
        self.routes.not_primary(partition, &asked, primary);
        self.go_on(now, place, &asked, out);
    }

    /// Whoever was asked led then and does not any more: what it began may still happen, so the
    /// same request goes on to the next primary.
    fn deposed(
        &mut self,
        now: Now,
        place: Place,
        last_try: bool,
        primary: Option<&NodeId>,
        out: &mut Vec<Effect<C>>,
    ) {
        if let Some(open) = self.open.get_mut(place) {
            open.silences += 1;
        }
        if last_try {
            self.not_primary(now, place, primary, out);
        }
    }

    /// Turned away by `asked`: goes to where the partition is led if that is elsewhere.
    fn go_on(&mut self, now: Now, place: Place, asked: &Target, out: &mut Vec<Effect<C>>) {
        let Some(open) = self.open.get_mut(place) else { return };
        open.refusals += 1;
        // A primary that lost its majority turns away at once who has waited for it meanwhile.
        let since_us = open.sent_us.max(now.mono_us.saturating_sub(HELD_US));
        self.routes.vacant(open.request.partition, since_us);
        let Some(open) = self.open.get(place) else { return };
        if self.is_vacant(now, open, asked) {
            let fault = no_primary(open);
            self.answer(place, Err(fault), out);
        } else if open.refusals <= REDIRECTS && self.target(open) != *asked {
            self.send(now, place, out);
        } else {
            self.wait(now, place);
        }
    }

    /// A fault says that this try did nothing. If an earlier one may have arrived, and asking
    /// again can tell, that is not yet an answer to a write.
    fn fault(
        &mut self,
        now: Now,
        place: Place,
        last_try: bool,
        fault: Fault,
        out: &mut Vec<Effect<C>>,
    ) {
        let Some(open) = self.open.get_mut(place) else { return };
        if last_try {
            open.count_others();
        }
        let passing = matches!(
            fault.code,
            Code::TooBusy | Code::Unavailable | Code::Deadline | Code::Internal
        );
        let unclear = passing && size::changes(&open.request.ask) && open.may_have_arrived();
        if !unclear {
            self.answer(place, Err(fault), out);
        } else if last_try {
            open.refusals += 1;
            self.wait(now, place);
        }
    }

    pub(super) fn refused(&mut self, now: Now, to: &Target, turn: u64, out: &mut Vec<Effect<C>>) {
        if let Target::Node(node) = to {
            self.routes.gone(now.mono_us, node);
        }
        let sent = |open: &Open<C>| matches!(&open.waits_for, Some((at, when)) if at == to && *when == turn);
        for place in self.places(sent) {
            if let Some(open) = self.open.get_mut(place) {
                open.waits_for = None;
            }
            self.go_on(now, place, to, out);
        }
    }

    /// A partition has a new leader: what waits for one, or for an answer of the old one, goes
    /// there now.
    pub(super) fn alive(&mut self, now: Now, heartbeat: &Heartbeat, out: &mut Vec<Effect<C>>) {
        let Load::Storage { partitions, led } = &heartbeat.load else { return };
        if !self.routes.alive(now.mono_us, &heartbeat.node, *partitions, led) {
            return;
        }
        let routes = &self.routes;
        let mut moved = Vec::new();
        for (place, open) in self.open.iter_mut() {
            let leader = routes.leader(open.request.partition);
            let elsewhere = match (&open.waits_for, leader) {
                (None, Some(_)) => true,
                (Some((Target::Node(asked), _)), Some(leader)) => asked != leader,
                _ => false,
            };
            if elsewhere {
                moved.push(place);
            }
        }
        for place in moved {
            let id = self.open.number(place);
            let Some(open) = self.open.get(place) else { continue };
            let to = self.routes.target(open.request.partition);
            self.send_to(now, place, id, to, out);
        }
    }

    fn places(&mut self, which: impl Fn(&Open<C>) -> bool) -> Vec<Place> {
        self.open.iter_mut().filter(|(_, open)| which(open)).map(|(place, _)| place).collect()
    }
}
