//! Messages on their way. They may arrive in any order or never, so a message that is lost is one
//! that never arrives.

use crate::fingerprint::relative;
use catena_protocol::message::gossip::{Letter, Line, Round};
use catena_storage::machine::Input;
use std::fmt;

/// A message to one node.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) to: usize,
    pub(crate) input: Input<u64>,
    pub(crate) fingerprint: u64,
}

impl Message {
    pub(crate) fn new(to: usize, mut input: Input<u64>) -> Self {
        // Beats tell which message was heard, for leases. Without them equal messages are equal.
        match &mut input {
            Input::Push(push) => push.from.beat = 1,
            Input::Digest(digest) => digest.from.beat = 1,
            _ => {}
        }
        let fingerprint = relative(0, |out| write!(out, "{to} {input:?}"));
        Self { to, input, fingerprint }
    }

    pub(crate) fn lines(&self) -> &[Line] {
        match &self.input {
            Input::Letter(Letter { lines, .. }) => lines,
            _ => &[],
        }
    }

    /// Whether it only says where a primary stands.
    pub(crate) fn is_gossip(&self) -> bool {
        matches!(self.input, Input::Digest(_))
    }

    /// Whether it asks for a vote.
    pub(crate) fn asks(&self) -> bool {
        self.lines().iter().any(|line| matches!(line, Line::Ask(_)))
    }

    /// Whether it refuses one.
    pub(crate) fn refuses(&self) -> bool {
        self.lines().iter().any(|line| matches!(line, Line::Answer { granted: false, .. }))
    }

    /// Whether a node that never falls below `epoch` does nothing with it.
    pub(crate) fn is_void(&self, epoch: u64) -> bool {
        let void = |line: &Line| match line {
            Line::Ack { replicas, .. } => replicas.iter().all(|acked| acked.epoch < epoch),
            Line::Answer { epoch: known, granted: false, .. } => *known <= epoch,
            // A canvass is for the epoch after the one that its node knows.
            Line::Answer { to, epoch: known, granted: true } if to.round == Round::Canvass => {
                *known <= epoch && to.epoch <= epoch
            }
            Line::Answer { to, epoch: known, granted: true } => *known <= epoch && to.epoch < epoch,
            Line::Fetched(run) => run.epoch < epoch,
            Line::Fetch { epoch: of, .. } | Line::Yield { epoch: of, .. } => *of < epoch,
            _ => false,
        };
        let lines = self.lines();
        !lines.is_empty() && lines.iter().all(void)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "to {}: {:?}", self.to, self.input)
    }
}
