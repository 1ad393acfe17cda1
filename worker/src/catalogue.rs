//! Configured operators of the chains that jobs are running, by the chain's content.

use crate::operator::{Configured, Doors, Registry, ServiceOperator};
use async_nats::Client;
use catena_protocol::chain::{Chain, Step};
use catena_protocol::message::assign::{Check, Checked};
use catena_protocol::message::heartbeat::Offer;
use catena_protocol::{ChainHash, Fault, Name};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A step that is ready to run.
#[derive(Clone)]
pub(crate) struct Ready {
    /// The operator and what it may do.
    pub(crate) configured: Configured,
    /// Whether its author is not us: it may block, so it runs where that does no harm.
    pub(crate) native: bool,
}

/// The steps of a chain; a step may be one that this worker cannot run.
type Steps = Arc<[Result<Ready, Fault>]>;

/// What this worker can run, and what it has configured so far. As large as the machine's table
/// of chains, which says what to forget.
pub(crate) struct Catalogue {
    registry: Registry,
    natives: BTreeSet<Name>,
    client: Client,
    doors: Doors,
    chains: HashMap<ChainHash, Steps>,
}

impl Catalogue {
    pub(crate) fn new(registry: Registry, client: Client, doors: Doors) -> Self {
        let natives =
            registry.offers().into_iter().filter(|offer| offer.native).map(|offer| offer.name);
        Self { natives: natives.collect(), registry, client, doors, chains: HashMap::new() }
    }

    pub(crate) fn has_natives(&self) -> bool {
        !self.natives.is_empty()
    }

    pub(crate) fn offers(&self) -> Vec<Offer> {
        self.registry.offers()
    }

    pub(crate) fn check(&self, check: &Check) -> Checked {
        let name = check.operator.as_str();
        Checked { fault: self.registry.configure(name, &check.settings).err() }
    }

    /// One step of a chain, configured when it is first asked for.
    pub(crate) fn step(
        &mut self,
        hash: ChainHash,
        chain: &Chain,
        index: u8,
    ) -> Result<&Ready, Fault> {
        if !self.chains.contains_key(&hash) {
            let steps = chain.steps.iter().map(|step| self.configure(step)).collect();
            self.chains.insert(hash, steps);
        }
        match self.chains.get(&hash).and_then(|steps| steps.get(usize::from(index))) {
            Some(Ok(ready)) => Ok(ready),
            Some(Err(fault)) => Err(fault.clone()),
            None => Err(Fault::bad_request("the chain has no such step")),
        }
    }

    pub(crate) fn forget(&mut self, hash: &ChainHash) {
        self.chains.remove(hash);
    }

    fn configure(&self, step: &Step) -> Result<Ready, Fault> {
        if let Some(service) = &step.service {
            let operator =
                Arc::new(ServiceOperator::new(self.client.clone(), service, self.doors.clone()));
            let configured = Configured { operator, effect: service.effect };
            return Ok(Ready { configured, native: false });
        }
        let mut configured = self.registry.configure(step.operator.as_str(), &step.settings)?;
        // What the job was planned as is what it may do: a pure plan is not committed.
        configured.effect = configured.effect.min(step.effect);
        Ok(Ready { configured, native: self.natives.contains(&step.operator) })
    }
}
