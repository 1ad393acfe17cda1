//! What can be run: operators that workers offer, and services that were defined.
//!
//! An operator that was ever offered stays known, so that "nobody runs it at the moment" and "no
//! such thing" are different answers. Unknown here: how loaded a worker is.

use catena_protocol::chain::Service;
use catena_protocol::message::heartbeat::Offer;
use catena_protocol::{Code, Fault, Name};
use std::collections::BTreeMap;

/// Most operators that are remembered; further ones are ignored.
const KNOWN: usize = 16_384;

/// An operator's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OperatorId(u32);

/// One operator.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) name: Name,
    /// What workers said last; none: only a service has this name.
    pub(super) offer: Option<Offer>,
    pub(super) service: Option<Service>,
    /// The workers that offer it.
    pub(super) workers: Vec<u16>,
    /// Where the search for the next equal worker begins.
    pub(super) turn: usize,
}

/// All operators.
#[derive(Debug, Default)]
pub(super) struct Operators {
    by_name: BTreeMap<Name, OperatorId>,
    table: Vec<Operator>,
    /// Changes when a chain might resolve differently.
    pub(super) generation: u64,
}

impl Operators {
    pub(super) fn get(&self, id: OperatorId) -> Option<&Operator> {
        self.table.get(id.0 as usize)
    }

    pub(super) fn get_mut(&mut self, id: OperatorId) -> Option<&mut Operator> {
        self.table.get_mut(id.0 as usize)
    }

    pub(super) fn find(&self, name: &Name) -> Option<OperatorId> {
        self.by_name.get(name).copied()
    }

    /// By name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Operator> {
        self.by_name.values().filter_map(|id| self.get(*id))
    }

    fn place(&mut self, name: &Name) -> Option<&mut Operator> {
        let id = match self.find(name) {
            Some(id) => id,
            None if self.table.len() == KNOWN => return None,
            None => {
                let id = OperatorId(u32::try_from(self.table.len()).ok()?);
                self.by_name.insert(name.clone(), id);
                self.table.push(Operator {
                    name: name.clone(),
                    offer: None,
                    service: None,
                    workers: Vec::new(),
                    turn: 0,
                });
                id
            }
        };
        self.get_mut(id)
    }

    /// A worker offers this now.
    pub(super) fn offered(&mut self, offer: &Offer, worker: u16) {
        let Some(operator) = self.place(&offer.name) else { return };
        if !operator.workers.contains(&worker) {
            operator.workers.push(worker);
            operator.workers.sort_unstable();
        }
        let known = operator.offer.as_ref();
        let effect = known.filter(|_| operator.workers.len() > 1).map(|known| known.effect);
        let strongest = effect.map_or(offer.effect, |effect| effect.max(offer.effect));
        if known.is_none_or(|known| known.effect != strongest || known.help != offer.help) {
            operator.offer = Some(Offer { effect: strongest, ..offer.clone() });
            self.generation += 1;
        }
    }

    /// A worker no longer offers this.
    pub(super) fn withdrawn(&mut self, name: &Name, worker: u16) {
        if let Some(operator) = self.find(name).and_then(|id| self.get_mut(id)) {
            operator.workers.retain(|known| *known != worker);
        }
    }

    /// A service operator was defined, or its definition is gone.
    pub(super) fn define(&mut self, name: &Name, service: Option<Service>) {
        if service.is_none() && self.find(name).is_none() {
            return;
        }
        if let Some(operator) = self.place(name)
            && operator.service != service
        {
            operator.service = service;
            self.generation += 1;
        }
    }

    /// The error for a name that is not known, with those that look like it.
    pub(super) fn unknown(&self, name: &Name) -> Fault {
        let usable = self.iter().filter(|op| op.offer.is_some() || op.service.is_some());
        let mut near: Vec<(f64, &Name)> = usable
            .map(|op| (strsim::jaro_winkler(op.name.as_str(), name.as_str()), &op.name))
            .filter(|(likeness, _)| *likeness > 0.8)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        let near: Vec<String> = near.iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
        let hint = if near.is_empty() {
            "; `catena operators` lists those that are".to_owned()
        } else {
            format!("; did you mean {}?", near.join(" or "))
        };
        Fault::new(Code::NotFound, format!("operator `{name}` is not known{hint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catena_protocol::chain::Effect;

    fn offer(name: &str, effect: Effect) -> Offer {
        Offer { name: Name::new(name).unwrap(), effect, help: String::new(), native: false }
    }

    #[test]
    fn the_strongest_effect_counts_and_changes_are_noticed() {
        let mut operators = Operators::default();
        operators.offered(&offer("a", Effect::Pure), 0);
        let first = operators.generation;
        operators.offered(&offer("a", Effect::Pure), 1);
        assert_eq!(operators.generation, first);
        operators.offered(&offer("a", Effect::Writing), 0);
        operators.offered(&offer("a", Effect::Pure), 1);
        let id = operators.find(&Name::new("a").unwrap()).unwrap();
        assert_eq!(operators.get(id).unwrap().offer.as_ref().unwrap().effect, Effect::Writing);
        assert!(operators.generation > first);
    }

    #[test]
    fn a_misspelt_name_is_answered_with_near_ones() {
        let mut operators = Operators::default();
        for name in ["uppercase", "lowercase", "jq"] {
            operators.offered(&offer(name, Effect::Pure), 0);
        }
        let fault = operators.unknown(&Name::new("upercase").unwrap());
        assert_eq!(fault.code, Code::NotFound);
        assert!(fault.message.contains("`uppercase`") && !fault.message.contains("`jq`"));
    }
}
