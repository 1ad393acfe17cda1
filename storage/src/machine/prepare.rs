//! **prepare**: a primary is asked whether a part of a job can take effect, and holds it ready.
//!
//! What it will write is an intent: a record of the log, so that the next primary knows of it.
//! What it read is remembered. Both lie under a ceiling that is committed before the answer, so
//! the next primary gives nothing out at or below. For the home itself the intent need not be
//! logged: when its primary is gone, so is the transaction.

use super::conflict::Case;
use super::waiting::Waiting;
use super::{Bug, Node};
use crate::state::{State, StateError};
use catena_protocol::clock::Now;
use catena_protocol::message::gossip::Line;
use catena_protocol::message::prepare::{Intent, Prepare, Prepared, Readiness, TxnId};
use catena_protocol::message::replicate::Decision;
use catena_protocol::message::store::Tell;
use catena_protocol::{Code, Fault, NodeId, Timestamp};

impl<C> Node<C> {
    /// Somebody wants to know whether a part of a job can take effect.
    pub(super) fn prepare<S: State>(
        &mut self,
        now: Now,
        from: &NodeId,
        prepare: Prepare,
        state: &S,
    ) -> Result<(), StateError> {
        let Prepare { txn, partition: number, at, .. } = prepare;
        let Some(partition) = self.partitions.get(usize::from(number)) else { return Ok(()) };
        let answer = |readiness| Line::Prepared(Prepared { txn, partition: number, at, readiness });
        if !partition.serves() {
            let primary = partition.primary().map(|member| member.node.clone());
            self.tell(from, answer(Readiness::NotPrimary { primary }));
            return Ok(());
        }
        // What this node asked itself may have come to an end since.
        let ended = partition.coordinations.get(&txn.job).is_none_or(|c| c.txn != txn);
        if self.home_of(txn) == number && ended {
            return Ok(());
        }
        if let Some((index, intent)) = partition.intents.get(txn) {
            if intent.at > at {
                // A later question has been answered.
                return Ok(());
            }
            if intent.at == at {
                self.tell_once(number, index, from, answer(Readiness::Ready));
                return Ok(());
            }
        }
        match self.make_ready(now, prepare, state)? {
            Ok(index) => self.tell_once(number, index, from, answer(Readiness::Ready)),
            Err(Readiness::Conflict { key, version, .. }) => {
                let queued = self.stand_in_line(now, number, &key, (txn, from), state)?;
                // Before it may be told that it is its turn.
                self.outgoing.push_front((
                    from.clone(),
                    answer(Readiness::Conflict { key, version, queued }),
                ));
            }
            Err(readiness) => self.tell(from, answer(readiness)),
        }
        Ok(())
    }

    /// Holds a part of a job ready. Returns the index that must be committed for that to stand.
    fn make_ready<S: State>(
        &mut self,
        now: Now,
        prepare: Prepare,
        state: &S,
    ) -> Result<Result<u64, Readiness>, StateError> {
        let Prepare { txn, partition: number, at, snapshot, serializable, effects } = prepare;
        if let Err(readiness) = self.admit_prepare(now, number, snapshot, at, &effects.writes) {
            return Ok(Err(readiness));
        }
        let case =
            Case { job: txn.job, txn: Some(txn), at, snapshot, serializable, effects: &effects };
        if let Some(objection) = self.objection(number, case, state)? {
            return Ok(Err(objection));
        }
        self.mark_reads(number, case);
        let ceiling = self.raise_ceiling(now, number, at).unwrap_or(0);
        if effects.writes.is_empty() {
            self.leave_lines(now, number, txn.job, state)?;
            return Ok(Ok(ceiling));
        }
        let intent = Intent { txn, at, mutations: effects.writes };
        let index = self.hold_ready(number, intent);
        Ok(Ok(if self.has(Bug::ReadyTooEarly) { 0 } else { ceiling.max(index) }))
    }

    fn hold_ready(&mut self, number: u16, intent: Intent) -> u64 {
        let (txn, at) = (intent.txn, intent.at);
        // Whoever waits for the earlier one waits for this one.
        self.unblocked.push_back((number, txn));
        if self.home_of(txn) == number {
            self.partitions[usize::from(number)].intents.keep(intent);
            return 0;
        }
        self.append(number, at, Decision::Intent(intent), Vec::new())
    }

    fn admit_prepare(
        &mut self,
        now: Now,
        number: u16,
        snapshot: Timestamp,
        at: Timestamp,
        writes: &[catena_protocol::message::write::Mutation],
    ) -> Result<(), Readiness> {
        let refused = |tell| match tell {
            Tell::Fault(fault) => Readiness::Refused(fault),
            Tell::SnapshotTooOld { horizon } => Readiness::TooOld { horizon },
            other => Readiness::Refused(Fault::new(Code::Internal, format!("{other:?}"))),
        };
        self.open_snapshot(now, snapshot).map_err(refused)?;
        self.clock.observe(at, now.wall_us).map_err(|error| {
            Readiness::Refused(Fault::new(
                Code::Unavailable,
                format!("{error}; nothing was changed"),
            ))
        })?;
        if writes.is_empty() {
            return Ok(());
        }
        self.admit_write(now).map_err(refused)?;
        let (open, most) =
            (self.partitions[usize::from(number)].intents.len(), self.settings.intents);
        if open >= most {
            let message = format!(
                "{open} jobs are about to write in partition {number}, no more are taken; nothing \
                 was changed; try again later"
            );
            return Err(Readiness::Refused(Fault::new(Code::TooBusy, message)));
        }
        Ok(())
    }

    /// Which partition decides about a transaction.
    pub(super) const fn home_of(&self, txn: TxnId) -> u16 {
        txn.job.home() % self.settings.partitions
    }

    /// Tells a storage node something; itself, too.
    pub(super) fn tell(&mut self, to: &NodeId, line: Line) {
        self.outgoing.push_back((to.clone(), line));
    }

    /// Tells a storage node something once the log is committed up to `index`.
    pub(super) fn tell_once(&mut self, number: u16, index: u64, to: &NodeId, line: Line) {
        let partition = &mut self.partitions[usize::from(number)];
        if index <= partition.pending.committed_index() {
            return self.tell(to, line);
        }
        // Who asks again before it is committed is told once.
        let told = |waiting: &Waiting<C>| matches!(waiting, Waiting::Line(node, same) if node == to && *same == line);
        let waiting = partition.held.at(index);
        if !waiting.iter().any(told) {
            waiting.push(Waiting::Line(to.clone(), line));
        }
    }
}
