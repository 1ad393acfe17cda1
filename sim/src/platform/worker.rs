//! A worker's process: the real rules, and the operators that run there.

use super::{Desk, Errand};
use catena_client::machine::Router;
use catena_client::machine::router::Settings as RouterSettings;
use catena_protocol::NodeId;
use catena_protocol::message::handoff::Effects;
use catena_worker::machine::{Settings, Token, Worker};
use catena_worker::operator::{Context, Output, Running};
use std::collections::BTreeMap;
use std::task::{Poll, Waker};

/// Most steps at once: so few that it happens that there is no room.
const CAPACITY: u32 = 64;

/// The process.
pub(crate) struct WorkerAtWork {
    pub(crate) machine: Worker,
    pub(crate) router: Router<Errand>,
    pub(crate) steps: BTreeMap<Token, StepAtWork>,
    /// The schedulers that were heard, with their boots.
    pub(crate) heard: BTreeMap<NodeId, u64>,
}

/// A step that runs.
pub(crate) struct StepAtWork {
    pub(crate) future: Running,
    pub(crate) context: Context,
    pub(crate) desk: Desk,
    /// The number of its attempt.
    pub(crate) attempt: usize,
}

impl WorkerAtWork {
    /// When it wants to be woken, by its own clock.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        [self.machine.next_deadline(), self.router.next_deadline()].into_iter().flatten().min()
    }

    pub(crate) fn new(id: NodeId, seed: u64) -> Self {
        let message_limit = 1024 * 1024 - catena_protocol::limit::MESSAGE_MARGIN;
        Self {
            machine: Worker::new(Settings { id, capacity: CAPACITY, message_limit }),
            router: Router::new(RouterSettings::default(), seed),
            steps: BTreeMap::new(),
            heard: BTreeMap::new(),
        }
    }
}

impl StepAtWork {
    /// Looks whether it has ended, and takes out its effects if so.
    pub(crate) fn poll(&mut self) -> Option<(Output, Effects)> {
        let mut looking = std::task::Context::from_waker(Waker::noop());
        match self.future.as_mut().poll(&mut looking) {
            Poll::Ready(output) => Some((output, self.context.finish().unwrap_or_default())),
            Poll::Pending => None,
        }
    }
}
