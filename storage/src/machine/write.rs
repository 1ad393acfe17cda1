//! **write**: one change of one record, if a condition holds.
//!
//! What a conditional write finds may still be on its way to a majority. So its answer, also that
//! the condition did not hold, is a record of the log: it is told when everything that it rests
//! upon is committed, and told again when the same request comes again.

use super::blocked::Scope;
use super::effect::Verdict;
use super::pending::Known;
use super::{Bug, Node};
use crate::state::{Content, State, StateError, Stored};
use catena_protocol::clock::Now;
use catena_protocol::limit::VALUE_BYTES;
use catena_protocol::message::replicate::Decision;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::{Change, Condition, Write, Written};
use catena_protocol::{Blob, Code, Fault, Key, Timestamp};

impl<C> Node<C> {
    pub(super) fn write<S: State>(
        &mut self,
        now: Now,
        partition: u16,
        write: Write,
        state: &S,
    ) -> Result<Verdict, StateError> {
        let at = &self.partitions[usize::from(partition)];
        let known = match at.pending.written(&write.request) {
            _ if self.has(Bug::NoDedupe) => None,
            Some(Known::Soon(index)) => return Ok(self.wait(index, Ask::Write(write))),
            Some(Known::Committed(written)) => Some(written),
            None => state.written(partition, &write.request)?,
        };
        if let Some(written) = known {
            let Some(written) = self.complete(partition, &write.mutation.key, written, state)?
            else {
                return Ok(Verdict::Tell(Tell::Fault(forgotten(&write.mutation.key))));
            };
            let (Written::Done { version, .. } | Written::Differs { version, .. }) = written;
            return Ok(Verdict::Seen { version, tell: Tell::Written(written) });
        }
        let scope = Scope::Key(&write.mutation.key);
        if let Some(obstacle) = self.claimed(partition, scope, Timestamp::MAX) {
            return Ok(self.block(obstacle, Ask::Write(write)));
        }
        if let Err(tell) = too_large(&write).and_then(|()| self.admit_write(now)) {
            return Ok(Verdict::Tell(tell));
        }
        self.decide(now, partition, write, state)
    }

    fn decide<S: State>(
        &mut self,
        now: Now,
        partition: u16,
        write: Write,
        state: &S,
    ) -> Result<Verdict, StateError> {
        let Write { request, mutation, condition } = write;
        let at = &self.partitions[usize::from(partition)];
        let blind = condition == Condition::Always && !matches!(mutation.change, Change::Add(_));
        let head = if blind { None } else { at.head(&mutation.key, state)? };
        if !holds(&condition, head.as_ref()) {
            let version = head.as_ref().map_or(Timestamp::ZERO, |stored| stored.version);
            let value = head.and_then(|stored| stored.content.value());
            let kept = Written::Differs { version, value: None };
            let told = Written::Differs { version, value };
            let decision = Decision::Write { request, mutation: None, written: kept };
            return Ok(self.record(now, partition, decision, Vec::new(), |_| told));
        }
        let content = match Content::after(&mutation.change, head.as_ref().map(|h| &h.content)) {
            Ok(content) => content,
            Err(reason) => {
                let fault = not_an_integer(&mutation.key, reason);
                let index = at.pending.head_index(&mutation.key);
                if index.is_none() && !self.is_sure(now, partition, false) {
                    return Ok(
                        self.confirm(false, Ask::Write(Write { request, mutation, condition }))
                    );
                }
                return Ok(refuse(index, fault));
            }
        };
        let value = match content {
            Content::Added { sum, .. } => Some(sum),
            Content::Value(_) | Content::Deleted => None,
        };
        let rows = vec![(mutation.key.clone(), content)];
        let written = Written::Done { version: Timestamp::ZERO, value };
        let decision = Decision::Write { request, mutation: Some(mutation), written };
        Ok(self.record(now, partition, decision, rows, |version| Written::Done { version, value }))
    }

    /// Appends the decision; `told` makes the answer from its version.
    fn record(
        &mut self,
        now: Now,
        partition: u16,
        mut decision: Decision,
        rows: Vec<(Key, Content)>,
        told: impl FnOnce(Timestamp) -> Written,
    ) -> Verdict {
        let version = self.clock.tick(now.wall_us);
        if let Decision::Write { written: Written::Done { version: of, .. }, .. } = &mut decision {
            *of = version;
        }
        self.raise_ceiling(now, partition, version);
        let index = self.append(partition, version, decision, rows);
        Verdict::Once { index, version, tell: Tell::Written(told(version)) }
    }

    /// Puts back into a remembered answer what was found instead of the expected; none: that is
    /// not kept any more.
    fn complete<S: State>(
        &self,
        partition: u16,
        key: &Key,
        written: Written,
        state: &S,
    ) -> Result<Option<Written>, StateError> {
        match written {
            Written::Differs { version, value: None } if version != Timestamp::ZERO => {
                let at = &self.partitions[usize::from(partition)];
                let found = at.committed(key, version, state)?;
                Ok(found
                    .filter(|stored| stored.version == version)
                    .map(|stored| Written::Differs { version, value: stored.content.value() }))
            }
            other => Ok(Some(other)),
        }
    }
}

fn forgotten(key: &Key) -> Fault {
    let message = format!(
        "this request was decided before: the condition on `{key}` did not hold, nothing was \
         changed; what was found instead is not kept any more"
    );
    Fault::new(Code::Conflict, message)
}

/// Refuses; not before what the refusal rests upon is committed.
fn refuse(index: Option<u64>, fault: Fault) -> Verdict {
    let tell = Tell::Fault(fault);
    match index {
        Some(index) => Verdict::Once { index, version: Timestamp::ZERO, tell },
        None => Verdict::Tell(tell),
    }
}

fn holds(condition: &Condition, head: Option<&Stored>) -> bool {
    match condition {
        Condition::Always => true,
        Condition::ValueIs(expected) => {
            let found = head.and_then(|stored| stored.content.value());
            found.as_ref().map(Blob::as_ref) == expected.as_ref().map(Blob::as_ref)
        }
        Condition::VersionIs(expected) => match head {
            None => *expected == Timestamp::ZERO,
            Some(stored) if stored.version == *expected => true,
            Some(stored) => stored.content.is_deleted() && *expected == Timestamp::ZERO,
        },
    }
}

fn too_large(write: &Write) -> Result<(), Tell> {
    match &write.mutation.change {
        Change::Put(value) if value.len() > VALUE_BYTES => {
            Err(Tell::Fault(value_too_large(&write.mutation.key, value.len())))
        }
        _ => Ok(()),
    }
}

pub(super) fn value_too_large(key: &Key, bytes: usize) -> Fault {
    let message = format!(
        "the value for `{key}` has {bytes} bytes; at most {VALUE_BYTES} are allowed; nothing was changed"
    );
    Fault::new(Code::TooLarge, message)
}

pub(super) fn not_an_integer(key: &Key, reason: impl std::fmt::Display) -> Fault {
    let message = format!("cannot add to `{key}`: {reason}; nothing was changed");
    Fault::new(Code::OperatorFailed, message)
}
