//! A scheduler's process: the real rules, and what it has asked for.

use super::Errand;
use crate::broker::Inbox;
use catena_client::machine::Router;
use catena_client::machine::router::Settings as RouterSettings;
use catena_protocol::clock::Now;
use catena_protocol::message::assign::Reply;
use catena_protocol::{JobId, NodeId};
use catena_scheduler::machine::{Input, Scheduler, Settings, Standing};
use std::collections::{BTreeMap, BTreeSet};

/// What a client wants to know of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Status,
    Result,
}

/// Somebody wants to know what became of a job.
#[derive(Clone, Debug)]
pub(crate) struct Inquiry {
    pub(crate) verb: Verb,
    pub(crate) job: JobId,
    pub(crate) from: Inbox,
    /// What this scheduler knew itself.
    pub(crate) standing: Option<Standing>,
    /// Whether its home did not answer.
    pub(crate) trouble: bool,
}

/// The process.
pub(crate) struct SchedulerAtWork {
    pub(crate) machine: Scheduler,
    pub(crate) router: Router<Errand>,
    /// Questions to homes, each at most once at a time.
    pub(crate) asked: BTreeSet<(JobId, bool)>,
    pub(crate) inquiries: BTreeMap<u64, Inquiry>,
    /// Messages of the durable queue whose jobs are in flight here: their places, and how often
    /// they were delivered.
    pub(crate) tokens: BTreeMap<u64, (u64, u64)>,
    /// Jobs on their way to the durable queue.
    pub(crate) publishing: BTreeMap<u64, Option<Reply>>,
    /// Jobs that were put on the queue here.
    pub(crate) remembered: BTreeSet<JobId>,
    last: u64,
}

impl SchedulerAtWork {
    /// When it wants to be woken, by its own clock.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        [self.machine.next_deadline(), self.router.next_deadline()].into_iter().flatten().min()
    }

    pub(crate) fn new(id: NodeId, seed: [u8; 32], now: Now) -> Self {
        let mut router_seed = [0; 8];
        router_seed.copy_from_slice(&seed[..8]);
        Self {
            machine: Scheduler::new(Settings::of(id), seed, now),
            router: Router::new(RouterSettings::default(), u64::from_le_bytes(router_seed)),
            asked: BTreeSet::new(),
            inquiries: BTreeMap::new(),
            tokens: BTreeMap::new(),
            publishing: BTreeMap::new(),
            remembered: BTreeSet::new(),
            last: 0,
        }
    }

    /// A number that was not used before.
    pub(crate) const fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The definitions, as they are read when a scheduler starts.
    pub(crate) fn definitions() -> Vec<Input> {
        let chains = super::chains();
        let present = chains.iter().map(|(name, _)| name.clone()).collect();
        let chain = |(name, definition)| Input::Chain {
            name,
            revision: 1,
            definition: Some(Ok(definition)),
        };
        chains.into_iter().map(chain).chain([Input::Chains(present)]).collect()
    }
}
