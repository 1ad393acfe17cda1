//! What storage nodes tell each other, taken in and given out.

use super::role::Role;
use super::settings::BEAT_US;
use super::{Effect, Node};
use crate::state::{State, StateError};
use catena_protocol::NodeId;
use catena_protocol::clock::Now;
use catena_protocol::message::gossip::{
    Acked, Digest, Letter, Line, Part, Push, Run, Sender, Standing,
};
use catena_protocol::placement::Member;
use std::collections::BTreeMap;

/// Whoever is heard for so long without a break is settled: partitions may be handed over to it.
const SETTLED_US: u64 = 2_000_000;
/// Whoever was silent for longer has to settle anew.
const SILENT_US: u64 = 1_000_000;

/// What was known of a disk that was silent for longer goes when its node has another.
const FORGOTTEN_US: u64 = 60_000_000;

/// What is known of another storage node.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) boot: u64,
    pub(super) heard_us: u64,
    pub(super) since_us: u64,
}

/// Other storage nodes.
pub(super) type Others = BTreeMap<Member, Seen>;

impl<C> Node<C> {
    /// Takes note of a sender. False: it is this node itself, an earlier process of another, or
    /// nobody of this cluster.
    fn hear(&mut self, now: Now, from: &Sender) -> bool {
        let is_founder = self.settings.founders.iter().any(|f| f.node == from.member.node);
        if from.member == self.settings.me || !is_founder {
            return false;
        }
        self.forget_old_disks(now, &from.member);
        let new = Seen { boot: from.boot, heard_us: now.mono_us, since_us: now.mono_us };
        let seen = self.others.entry(from.member.clone()).or_insert_with(|| new.clone());
        if from.boot < seen.boot {
            return false;
        }
        if from.boot > seen.boot || seen.heard_us + SILENT_US < now.mono_us {
            *seen = new;
        }
        seen.heard_us = now.mono_us;
        true
    }

    /// Of a node that comes with one new disk after the other, those are forgotten that have been
    /// silent for long.
    fn forget_old_disks(&mut self, now: Now, member: &Member) {
        if !self.others.contains_key(member) {
            self.others.retain(|other, seen| {
                other.node != member.node || seen.heard_us + FORGOTTEN_US > now.mono_us
            });
        }
    }

    /// Whether somebody was there without a break for some time.
    pub(super) fn is_settled(&self, now: Now, member: &Member) -> bool {
        self.others.get(member).is_some_and(|seen| {
            seen.heard_us + SILENT_US > now.mono_us && seen.since_us + SETTLED_US < now.mono_us
        })
    }

    /// New records of a primary.
    pub(super) fn pushed<S: State>(
        &mut self,
        now: Now,
        push: Push,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        if !self.hear(now, &push.from) {
            return Ok(());
        }
        let mut refused = Vec::new();
        for run in push.runs {
            self.make_room(out);
            let (number, epoch) = (run.partition, run.epoch);
            self.led_by(number, epoch, &push.from.member.node);
            if let Some(acked) = self.take_run(now, &push.from, run, state, out)? {
                if acked.epoch > epoch {
                    refused.push(acked);
                } else {
                    // Told once it is durable.
                    self.frames.open.acks.insert(number);
                }
            }
        }
        self.send_acks(&push.from, refused, out);
        Ok(())
    }

    /// Where the replicas of another node stand.
    pub(super) fn digested<S: State>(
        &mut self,
        now: Now,
        digest: Digest,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        if !self.hear(now, &digest.from) {
            return Ok(());
        }
        let mut acks = Vec::new();
        for standing in digest.replicas {
            if standing.part == Part::Primary {
                self.led_by(standing.partition, standing.epoch, &digest.from.member.node);
                let run = Run {
                    partition: standing.partition,
                    epoch: standing.epoch,
                    before: standing.last,
                    hash: standing.hash,
                    commit: standing.commit,
                    closed: standing.closed,
                    records: Vec::new(),
                };
                acks.extend(self.take_run(now, &digest.from, run, state, out)?);
            }
        }
        self.send_acks(&digest.from, acks, out);
        Ok(())
    }

    fn send_acks(&self, to: &Sender, replicas: Vec<Acked>, out: &mut Vec<Effect<C>>) {
        if !replicas.is_empty() {
            let line = Line::Ack { boot: to.boot, beat: to.beat, replicas };
            out.push(Effect::Send { to: to.member.node.clone(), line });
        }
    }

    /// Somebody says that it leads a partition.
    fn led_by(&mut self, number: u16, epoch: u64, node: &NodeId) {
        match self.leaders.get_mut(&number) {
            Some((known, leader)) if *known < epoch => (*known, *leader) = (epoch, node.clone()),
            Some(_) => {}
            None => drop(self.leaders.insert(number, (epoch, node.clone()))),
        }
    }

    /// Somebody says that it does not lead a partition, and perhaps who does.
    pub(super) fn not_led_by(&mut self, number: u16, node: &NodeId, primary: Option<NodeId>) {
        let Some((_, leader)) = self.leaders.get_mut(&number) else { return };
        if leader == node
            && let Some(primary) = primary
        {
            *leader = primary;
        }
    }

    /// Who leads a partition, as far as is known.
    pub(super) fn leader_of(&self, number: u16) -> Option<NodeId> {
        let partition = &self.partitions[usize::from(number)];
        if partition.serves() {
            return Some(self.settings.me.node.clone());
        }
        let followed = partition.primary().map(|member| member.node.clone());
        followed.or_else(|| self.leaders.get(&number).map(|(_, leader)| leader.clone()))
    }

    /// Tells somebody something; what is for this node itself it takes in at once.
    pub(super) fn deliver<S: State>(
        &mut self,
        now: Now,
        to: NodeId,
        line: Line,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        if to != self.settings.me.node {
            out.push(Effect::Send { to, line });
            return Ok(());
        }
        let (member, boot) = (self.settings.me.clone(), self.settings.boot);
        self.line(now, &Sender { member, boot, beat: 0 }, line, state, out)
    }

    /// Somebody writes to this node.
    pub(super) fn written_to<S: State>(
        &mut self,
        now: Now,
        letter: Letter,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let Letter { from, lines } = letter;
        if !self.hear(now, &from) {
            return Ok(());
        }
        for line in lines {
            self.make_room(out);
            self.line(now, &from, line, state, out)?;
        }
        Ok(())
    }

    fn line<S: State>(
        &mut self,
        now: Now,
        from: &Sender,
        line: Line,
        state: &S,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), StateError> {
        let who = &from.member;
        match line {
            Line::Ack { boot, beat, replicas } => {
                // What was sent before a restart says nothing about this process.
                let beat = if boot == self.settings.boot { beat } else { 0 };
                for acked in replicas {
                    self.acknowledged(now, who, beat, acked, state, out)?;
                }
            }
            Line::Ask(candidacy) => self.asked(now, who, candidacy, out),
            Line::Answer { to, epoch, granted } => {
                self.answered(now, who, (to, epoch, granted), state, out)?;
            }
            Line::Yield { partition, epoch, last } => {
                self.yielded(now, partition, epoch, last, state, out)?;
            }
            Line::Fetch { partition, epoch, after } => {
                self.fetched(now, who, (partition, epoch, after), out);
            }
            Line::Fetched(run) => self.take_fetched(now, from, run, state, out)?,
            Line::Gone { partition, epoch, base } => {
                self.gone(now, who, (partition, epoch, base), out);
            }
            Line::Copy { partition, epoch, from, known } => {
                self.learn_committed(partition, epoch, known);
                self.copied(now, who, (partition, epoch, from, known), state, out)?;
            }
            Line::Piece(piece) => self.take_piece(now, who, piece, state, out)?,
            Line::Prepare(prepare) => self.prepare(now, &who.node, prepare, state)?,
            Line::Prepared(prepared) => self.prepared(now, &who.node, prepared, state, out)?,
            Line::Resolve(resolve) => self.resolve(now, &who.node, resolve, state)?,
            Line::Resolved(part) => self.resolved(part),
            Line::Turn(turn) => self.turn(turn, out),
            Line::Inquire(part) => self.inquired(&who.node, part),
        }
        Ok(())
    }

    /// Says where this node's replicas stand, if it is time or something waits for it.
    pub(super) fn beat(&mut self, now: Now, out: &mut Vec<Effect<C>>) {
        if now.mono_us < self.beat_us && !self.beat_soon {
            return;
        }
        // What goes out in between does not put off what is looked after at every beat.
        if now.mono_us >= self.beat_us {
            self.beat_us = now.mono_us + BEAT_US;
        }
        self.beat_soon = false;
        if self.settings.founders.len() < 2 && self.others.is_empty() {
            return;
        }
        let mut replicas = Vec::new();
        for number in 0..self.settings.partitions {
            if !matches!(self.partitions[usize::from(number)].role, Role::Absent) {
                let closed = self.close(now, number);
                replicas.push(self.standing(number, closed));
            }
        }
        let from = self.sender(now);
        out.push(Effect::Gossip(Digest { from, replicas }));
    }

    fn standing(&self, number: u16, closed: catena_protocol::Timestamp) -> Standing {
        let partition = &self.partitions[usize::from(number)];
        let part = partition.part(&self.settings.me);
        // What is not on its way to the disk yet is not told of.
        let last = match self.frames.open.touched.get(&number) {
            Some(touched) if part == Part::Primary => {
                partition.tail.position(touched.first - 1).unwrap_or_default()
            }
            _ => partition.tail.last(),
        };
        let commit = partition.pending.committed_index();
        let at = if part == Part::Primary { last.index } else { commit };
        let hash = partition.hash_at(at).unwrap_or_default();
        let epoch = partition.epoch;
        Standing { partition: number, epoch, part, last, commit, closed, hash }
    }

    pub(super) fn sender(&mut self, now: Now) -> Sender {
        let beat = self.beats.next(now);
        Sender { member: self.settings.me.clone(), boot: self.settings.boot, beat }
    }

    /// What was noted down for when the frame is durable.
    pub(super) fn tell_synced(
        &self,
        acks: impl IntoIterator<Item = u16>,
        lines: Vec<(NodeId, Line)>,
        out: &mut Vec<Effect<C>>,
    ) {
        let mut by_beat: BTreeMap<(Member, u64, u64), Vec<Acked>> = BTreeMap::new();
        for number in acks {
            if let Some((to, boot, beat, acked)) = self.acknowledge(number) {
                by_beat.entry((to, boot, beat)).or_default().push(acked);
            }
        }
        for ((to, boot, beat), replicas) in by_beat {
            let line = Line::Ack { boot, beat, replicas };
            out.push(Effect::Send { to: to.node, line });
        }
        out.extend(lines.into_iter().map(|(to, line)| Effect::Send { to, line }));
    }
}
