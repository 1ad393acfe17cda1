//! What comes into the machine and what goes out, as plain data.

use crate::state::Changes;
use catena_protocol::Timestamp;
use catena_protocol::message::replicate::LogRecord;
use catena_protocol::message::store::{Ask, Request, Response, Tell};

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<C> {
    /// Requests that arrived together, with those who asked.
    Requests(Vec<(C, Request)>),
    /// All frames up to this one are durable.
    Synced {
        /// The last of them.
        frame: u64,
    },
    /// All batches of changes up to this one are in the state.
    Applied {
        /// The last of them.
        batch: u64,
    },
    /// Time has passed.
    Tick,
}

/// Something is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect<C> {
    /// Append to the log, all or nothing, and say when it is durable.
    Append {
        /// Frames are numbered from 1 since the start.
        frame: u64,
        /// What to append.
        records: Vec<LogRecord>,
    },
    /// Apply to the state, all or nothing, and say when that is done.
    Apply {
        /// Batches are numbered from 1 since the start.
        batch: u64,
        /// The last frame that is in the state then.
        frame: u64,
        /// What to apply.
        changes: Changes,
    },
    /// Answer.
    Reply {
        /// Whom.
        to: C,
        /// The answer.
        response: Response,
    },
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is answered at once.
    Tell(Tell),
    /// It is answered when the wall clock has reached `version`: whoever hears of a version may
    /// take a snapshot by the clock afterwards and find it there.
    Seen { version: Timestamp, tell: Tell },
    /// It is answered when `frame` is durable and the wall clock has reached `version`.
    Once { frame: u64, version: Timestamp, tell: Tell },
    /// It is looked at again when `frame` is durable.
    Again { frame: u64, ask: Ask },
}
