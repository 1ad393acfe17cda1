//! What the helpers of the loop report to it.

use crate::intake::Topic;
use crate::machine::Input;
use async_nats::Message;
use async_nats::jetstream;
use catena_protocol::message::store::Tell;
use catena_protocol::{JobId, Name};
use tokio::sync::OwnedSemaphorePermit;

/// Something that a helper found out.
#[derive(Debug)]
pub(crate) enum News {
    /// For the rules.
    Input(Box<Input>),
    /// The home of a job answered.
    Told {
        /// Which job.
        job: JobId,
        /// Whether it was a commit that was asked for.
        commits: bool,
        /// The answer.
        tell: Tell,
    },
    /// A request that could not be answered yet.
    Again(Topic, Message),
    /// A chain exists, so there may be jobs for it on the durable queue.
    Chain(Name),
}

/// A job from the durable queue.
#[derive(Debug)]
pub(crate) struct FromQueue {
    /// The chain whose queue it was on.
    pub(crate) chain: Name,
    /// The message.
    pub(crate) message: jetstream::Message,
    /// Its place among the jobs of its chain that may be in flight here.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}
