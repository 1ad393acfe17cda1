//! Who leads which partition, as far as is known.
//!
//! The knowledge comes from heartbeats (the highest epoch wins) and from nodes that say that
//! they do not lead. It may be wrong at any time; then the asked node says so and the request
//! goes on. A read at a snapshot may also go to a replica.

use catena_protocol::NodeId;
use catena_protocol::message::heartbeat::Led;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// One storage node.
    Node(NodeId),
    /// Whoever leads this partition.
    Primary(u16),
    /// Any replica of this partition.
    Replica(u16),
}

/// The leaders of all partitions.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    partitions: Option<u16>,
    routes: Vec<Route>,
}

#[derive(Clone, Debug, Default)]
struct Route {
    epoch: u64,
    node: Option<NodeId>,
}

impl Routes {
    /// Number of partitions of the cluster, once a storage node has told it.
    pub const fn partitions(&self) -> Option<u16> {
        self.partitions
    }

    /// Takes note of the number of partitions. The first one counts: it never changes in a
    /// cluster's life.
    pub fn learn(&mut self, partitions: u16) {
        if self.partitions.is_none() && partitions > 0 {
            self.partitions = Some(partitions);
            self.routes.resize(usize::from(partitions), Route::default());
        }
    }

    /// The leader of a partition, if known.
    pub fn leader(&self, partition: u16) -> Option<&NodeId> {
        self.routes.get(usize::from(partition))?.node.as_ref()
    }

    /// Where to send a request for a partition.
    pub fn target(&self, partition: u16) -> Target {
        match self.leader(partition) {
            Some(node) => Target::Node(node.clone()),
            None => Target::Primary(partition),
        }
    }

    /// A storage node said which partitions it leads. Returns whether anything changed.
    pub fn alive(&mut self, node: &NodeId, partitions: u16, led: &[Led]) -> bool {
        self.learn(partitions);
        if self.partitions != Some(partitions) {
            return false;
        }
        let mut changed = false;
        for led in led {
            let Some(route) = self.routes.get_mut(usize::from(led.partition)) else { continue };
            if led.epoch >= route.epoch && route.node.as_ref() != Some(node) {
                route.node = Some(node.clone());
                changed = true;
            }
            route.epoch = route.epoch.max(led.epoch);
        }
        changed
    }

    /// `asked` does not lead the partition; perhaps `primary` does.
    pub fn not_primary(&mut self, partition: u16, asked: &Target, primary: Option<&NodeId>) {
        let Some(route) = self.routes.get_mut(usize::from(partition)) else { return };
        let outdated = match (&route.node, asked) {
            (Some(known), Target::Node(asked)) => known == asked,
            (known, _) => known.is_none(),
        };
        let hint = primary.filter(|hint| *asked != Target::Node((*hint).clone()));
        if outdated {
            route.node = hint.cloned();
        }
    }

    /// Nobody answers for this node any more.
    pub fn gone(&mut self, node: &NodeId) {
        for route in &mut self.routes {
            if route.node.as_ref() == Some(node) {
                route.node = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    fn led(partition: u16, epoch: u64) -> [Led; 1] {
        [Led { partition, epoch }]
    }

    #[test]
    fn the_highest_epoch_wins_and_hints_give_way_to_it() {
        let (a, b) = (node("a"), node("b"));
        let mut routes = Routes::default();
        assert_eq!(routes.target(3), Target::Primary(3));
        assert!(routes.alive(&a, 4, &led(3, 5)));
        assert!(!routes.alive(&b, 4, &led(3, 4)), "an old leader that does not know yet");
        assert_eq!(routes.target(3), Target::Node(a.clone()));

        routes.not_primary(3, &Target::Node(a.clone()), Some(&b));
        assert_eq!(routes.target(3), Target::Node(b.clone()));
        routes.not_primary(3, &Target::Node(a.clone()), None);
        assert_eq!(routes.target(3), Target::Node(b.clone()), "what is known by now is kept");
        assert!(routes.alive(&a, 4, &led(3, 6)));
        assert_eq!(routes.target(3), Target::Node(a.clone()));
        routes.gone(&a);
        assert_eq!(routes.target(3), Target::Primary(3));
    }

    #[test]
    fn foreign_numbers_are_ignored() {
        let mut routes = Routes::default();
        routes.learn(4);
        assert!(!routes.alive(&node("a"), 8, &led(3, 5)));
        assert!(!routes.alive(&node("a"), 4, &led(4, 5)));
        assert_eq!((routes.partitions(), routes.leader(4)), (Some(4), None));
    }
}
