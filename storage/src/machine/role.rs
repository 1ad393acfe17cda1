//! What a replica is: follower, candidate or primary.

use super::settings::PROMISE_US;
use super::{Bug, Effect, Event, Node};
use catena_protocol::Timestamp;
use catena_protocol::clock::Now;
use catena_protocol::message::gossip::Round;
use catena_protocol::message::replicate::Position;
use catena_protocol::placement::Member;
use std::collections::{BTreeMap, BTreeSet};

/// What a replica is.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// There is no replica here.
    Absent,
    /// It does what a primary says, if there is one.
    Follower(Following),
    /// It wants to lead.
    Candidate(Campaign),
    /// It leads.
    Primary(Leading),
    /// Its log differs from its primary's where it must not. It takes no part any more.
    Halted(String),
}

/// What a follower knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Following {
    /// Who leads in the present epoch, once it was heard of.
    pub(super) primary: Option<Member>,
    /// The last message of it that was taken in: boot and beat.
    pub(super) beat: (u64, u64),
    /// Up to this index the log is the same as the primary's.
    pub(super) matched: u64,
    /// Up to this index the primary's log is committed.
    pub(super) commit: u64,
    /// What is closed once the log is committed here up to an index.
    pub(super) closing: (u64, Timestamp),
    /// How far the primary's log reaches, as far as is known.
    pub(super) target: u64,
    /// When to stop waiting for a primary.
    pub(super) due_us: u64,
    /// The primary yielded to this node: to be taken over when the log is here up to this.
    pub(super) heir: Option<Position>,
    /// Not before this is the primary asked for the same thing again.
    pub(super) fetch_us: u64,
}

/// What a candidate knows.
#[derive(Clone, Debug)]
pub(super) struct Campaign {
    pub(super) round: Round,
    pub(super) epoch: u64,
    pub(super) votes: BTreeSet<Member>,
    /// When to give up.
    pub(super) due_us: u64,
}

/// What a primary knows.
#[derive(Clone, Debug)]
pub(super) struct Leading {
    /// Index of the first record of its epoch. It serves when that is committed.
    pub(super) began: u64,
    pub(super) since_us: u64,
    /// Everybody who has acknowledged something, voter or not.
    pub(super) peers: BTreeMap<Member, Progress>,
}

/// How far somebody follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Its log is the same up to this index, durably.
    pub(super) index: u64,
    /// It has nothing yet, or takes over a copy: it could not lead.
    pub(super) empty: bool,
    /// The last beat that it has heard.
    pub(super) beat: u64,
    pub(super) heard_us: u64,
}

/// How much later each further replica begins an election, so that they do not all at once.
const STAGGER_US: u64 = 60_000;
/// Chance in the same, so that those who did will not again.
const JITTER_US: u64 = 40_000;

impl<C> Node<C> {
    /// When this replica should stop waiting for a primary: those that stand first in the list
    /// of places go first.
    pub(super) fn election_due(&mut self, now: Now, number: u16) -> u64 {
        let partition = &self.partitions[usize::from(number)];
        let rank = partition.places.iter().position(|node| *node == self.settings.me.node);
        let leads = partition.primary().map(|primary| &primary.node);
        let before = partition.places.iter().take(rank.unwrap_or(0));
        let rank = before.filter(|node| Some(*node) != leads).count() as u64;
        now.mono_us + PROMISE_US + 10_000 + rank * STAGGER_US + self.chance.below(JITTER_US)
    }

    /// Becomes a follower, of `primary` if that is known. Whoever waits is turned away.
    pub(super) fn follow(
        &mut self,
        now: Now,
        number: u16,
        epoch: u64,
        primary: Option<Member>,
        out: &mut Vec<Effect<C>>,
    ) {
        let due_us = self.election_due(now, number);
        let partition = &mut self.partitions[usize::from(number)];
        if epoch > partition.epoch {
            partition.epoch = epoch;
            partition.voted = None;
        }
        let matched = partition.pending.committed_index();
        let hint = primary.as_ref().map(|member| member.node.clone());
        let following = Following { primary, matched, due_us, ..Following::default() };
        let before = std::mem::replace(&mut partition.role, Role::Follower(following));
        if matches!(before, Role::Primary(_)) {
            partition.ceiling.forget_asked();
            partition.pins.clear();
            self.drop_coordinations(number, out);
            self.drop_lines(number, out);
            self.forget_ends(number);
            out.push(Effect::Event(Event::Follows { partition: number }));
            if !self.has(Bug::AnswerByIndex) {
                self.turn_away(number, hint.as_ref(), out);
            }
        }
    }

    /// Takes no part any more, and says why. That is written down: its vote must not count after
    /// a restart either.
    pub(super) fn halt(&mut self, number: u16, why: String, out: &mut Vec<Effect<C>>) {
        let partition = &mut self.partitions[usize::from(number)];
        let before = std::mem::replace(&mut partition.role, Role::Halted(why.clone()));
        partition.closed = Timestamp::ZERO;
        partition.mark.halted = Some(why.clone());
        // A copy that is not whole says of itself that it must not be used.
        if partition.copying.is_none() {
            self.gathered.touched.insert(number);
            self.gathered.added(self.now);
            self.apply_gathered(out);
        }
        if matches!(before, Role::Primary(_)) {
            self.drop_coordinations(number, out);
            self.drop_lines(number, out);
            self.forget_ends(number);
            out.push(Effect::Event(Event::Follows { partition: number }));
        }
        self.turn_away(number, None, out);
        out.push(Effect::Event(Event::Halts { partition: number, why }));
    }
}
