//! Who leads which partition, as far as is known.
//!
//! The knowledge comes from heartbeats (the highest epoch wins) and from nodes that say that
//! they do not lead. It may be wrong at any time; then the asked node says so and the request
//! goes on. A read at a snapshot may also go to a replica.
//!
//! It also knows since when nobody is known to lead a partition: an election ends such a time
//! soon, a lost majority does not.

use catena_protocol::message::heartbeat::Led;
use catena_protocol::{NodeId, limit};
use std::collections::{BTreeMap, BTreeSet};

/// A node whose heartbeats are missed for so long, while another's are heard, leads nothing. At
/// least three heartbeats.
const SILENT_US: u64 = 3 * limit::HEARTBEAT_MS * 1000;

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
    /// When the heartbeat of which node was last heard.
    heard: BTreeMap<NodeId, u64>,
}

#[derive(Clone, Debug, Default)]
struct Route {
    epoch: u64,
    node: Option<NodeId>,
    /// Since when nobody is known to lead, once somebody asked in vain.
    vacant_us: Option<u64>,
}

impl Route {
    fn vacate(&mut self, since_us: u64) {
        self.node = None;
        self.vacant_us.get_or_insert(since_us);
    }
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

    /// Since when nobody is known to lead a partition.
    pub fn vacant_us(&self, partition: u16) -> Option<u64> {
        let route = self.routes.get(usize::from(partition))?;
        route.vacant_us.filter(|_| route.node.is_none())
    }

    /// Nobody could be asked for a partition since then.
    pub fn vacant(&mut self, partition: u16, since_us: u64) {
        if let Some(route) = self.routes.get_mut(usize::from(partition))
            && route.node.is_none()
        {
            route.vacate(since_us);
        }
    }

    /// Somebody answered as the leader of a partition.
    pub fn answered(&mut self, partition: u16) {
        if let Some(route) = self.routes.get_mut(usize::from(partition)) {
            route.vacant_us = None;
        }
    }

    /// A storage node said which partitions it leads; those and no others. Returns whether any
    /// partition has another leader now.
    pub fn alive(&mut self, now_us: u64, node: &NodeId, partitions: u16, led: &[Led]) -> bool {
        self.learn(partitions);
        if self.partitions != Some(partitions) {
            return false;
        }
        self.hear(now_us, node);
        let mut changed = false;
        let leads: BTreeSet<u16> = led.iter().map(|led| led.partition).collect();
        for (partition, route) in (0..).zip(&mut self.routes) {
            if route.node.as_ref() == Some(node) && !leads.contains(&partition) {
                route.vacate(now_us);
            }
        }
        for led in led {
            let Some(route) = self.routes.get_mut(usize::from(led.partition)) else { continue };
            if led.epoch >= route.epoch && route.node.as_ref() != Some(node) {
                route.node = Some(node.clone());
                changed = true;
            }
            if route.node.as_ref() == Some(node) {
                route.vacant_us = None;
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
    pub fn gone(&mut self, now_us: u64, node: &NodeId) {
        for route in &mut self.routes {
            if route.node.as_ref() == Some(node) {
                route.vacate(now_us);
            }
        }
    }

    /// Nodes that are silent while this one is heard are gone. They count as that from now on
    /// only: after the connection was lost somebody has to be heard first.
    fn hear(&mut self, now_us: u64, node: &NodeId) {
        self.heard.insert(node.clone(), now_us);
        let silent = |at: &u64| at.saturating_add(SILENT_US) < now_us;
        let gone: Vec<NodeId> =
            self.heard.iter().filter(|(_, at)| silent(at)).map(|(node, _)| node.clone()).collect();
        for node in gone {
            self.heard.remove(&node);
            self.gone(now_us, &node);
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
        assert!(routes.alive(0, &a, 4, &led(3, 5)));
        assert!(!routes.alive(0, &b, 4, &led(3, 4)), "an old leader that does not know yet");
        assert_eq!(routes.target(3), Target::Node(a.clone()));

        routes.not_primary(3, &Target::Node(a.clone()), Some(&b));
        assert_eq!(routes.target(3), Target::Node(b.clone()));
        routes.not_primary(3, &Target::Node(a.clone()), None);
        assert_eq!(routes.target(3), Target::Node(b.clone()), "what is known by now is kept");
        assert!(routes.alive(0, &a, 4, &led(3, 6)));
        assert_eq!(routes.target(3), Target::Node(a.clone()));
        routes.gone(0, &a);
        assert_eq!(routes.target(3), Target::Primary(3));
    }

    #[test]
    fn a_partition_is_vacant_from_when_its_leader_is_gone_until_another_is_heard() {
        let (a, b) = (node("a"), node("b"));
        let mut routes = Routes::default();
        routes.alive(10, &a, 4, &led(3, 5));
        assert_eq!(routes.vacant_us(3), None);
        routes.gone(20, &a);
        routes.vacant(3, 30);
        assert_eq!(routes.vacant_us(3), Some(20));
        routes.not_primary(3, &Target::Primary(3), Some(&b));
        assert_eq!(routes.vacant_us(3), None, "perhaps `b` leads");
        routes.gone(40, &b);
        assert_eq!(routes.vacant_us(3), Some(20), "but it did not");
        routes.alive(50, &b, 4, &led(3, 6));
        routes.alive(60, &b, 4, &[]);
        assert_eq!((routes.leader(3), routes.vacant_us(3)), (None, Some(60)));
        routes.answered(3);
        assert_eq!(routes.vacant_us(3), None);
    }

    #[test]
    fn who_is_silent_while_others_are_heard_leads_nothing() {
        let (a, b) = (node("a"), node("b"));
        let mut routes = Routes::default();
        routes.alive(0, &a, 4, &led(3, 5));
        routes.alive(SILENT_US, &b, 4, &[]);
        assert_eq!(routes.leader(3), Some(&a));
        routes.alive(SILENT_US + 1, &b, 4, &[]);
        assert_eq!((routes.leader(3), routes.vacant_us(3)), (None, Some(SILENT_US + 1)));
    }

    #[test]
    fn foreign_numbers_are_ignored() {
        let mut routes = Routes::default();
        routes.learn(4);
        assert!(!routes.alive(0, &node("a"), 8, &led(3, 5)));
        assert!(!routes.alive(0, &node("a"), 4, &led(4, 5)));
        assert_eq!((routes.partitions(), routes.leader(4)), (Some(4), None));
    }
}
