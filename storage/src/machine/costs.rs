//! What a commit took, for a caller who asked: counted where it happens, told with the outcome.

use super::Node;
use super::share::Shares;
use catena_protocol::message::commit::{Costs, Decided, Part};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::store::Tell;

impl<C> Node<C> {
    /// The partitions that a job touches. Nobody was asked yet.
    pub(super) fn costs(&self, home: u16, shares: &Shares) -> Costs {
        let part = |(number, effects): (&u16, &Effects)| Part {
            partition: *number,
            node: self.leader_of(*number),
            reads: count(effects.reads.len()),
            scans: count(effects.scans.len()),
            writes: count(effects.writes.len()),
        };
        let mut parts: Vec<Part> = shares.iter().map(part).collect();
        if !shares.contains_key(&home) {
            parts.push(part((&home, &Effects::default())));
            parts.sort_by_key(|part| part.partition);
        }
        Costs { parts, ..Costs::default() }
    }
}

/// An outcome with what it took, if somebody wants to know.
pub(super) fn explained(tell: Tell, costs: Option<Costs>) -> Tell {
    match (tell, costs) {
        (Tell::Decided(Decided::Outcome(outcome)), Some(costs)) => {
            Tell::Decided(Decided::Explained(outcome, Box::new(costs)))
        }
        (tell, _) => tell,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
