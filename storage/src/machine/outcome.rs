//! The outcome of a job: the one record of how it ended.

use super::Node;
use super::effect::Verdict;
use super::pending::Known;
use crate::state::{State, StateError};
use catena_protocol::JobId;
use catena_protocol::clock::Now;
use catena_protocol::message::commit::{End, Outcome};
use catena_protocol::message::store::{Ask, Tell};

impl<C> Node<C> {
    pub(super) fn outcome<S: State>(
        &self,
        now: Now,
        partition: u16,
        job: JobId,
        state: &S,
    ) -> Result<Verdict, StateError> {
        Ok(match self.known_outcome(partition, &job, state)? {
            Some(Known::Soon(index)) => self.wait(index, Ask::Outcome(job)),
            Some(Known::Committed(outcome)) => {
                let version = outcome.version;
                Verdict::Seen { version, tell: Tell::Outcome(Some(outcome)) }
            }
            None if self.is_sure(now, partition, false) => Verdict::Tell(Tell::Outcome(None)),
            None => self.confirm(false, Ask::Outcome(job)),
        })
    }

    pub(super) fn known_outcome<S: State>(
        &self,
        home: u16,
        job: &JobId,
        state: &S,
    ) -> Result<Option<Known<Outcome>>, StateError> {
        match self.partitions[usize::from(home)].pending.outcome(job) {
            Some(known) => Ok(Some(known)),
            None => Ok(state.outcome(home, job)?.map(Known::Committed)),
        }
    }
}

/// What an outcome takes, roughly, besides what every record takes.
pub(super) fn bytes(outcome: &Outcome) -> usize {
    let end = match &outcome.end {
        End::Committed(result) => result.len(),
        End::Failed(fault) | End::Dead(fault) => fault.message.len(),
        End::Cancelled => 0,
    };
    end + outcome.chain.as_str().len() + 64
}
