//! Who leads what, as the heartbeats of storage nodes tell.
//!
//! Where two nodes claim a partition the later epoch counts. Unknown here: whether a claim is still
//! true; a heartbeat is up to half a second old.

use catena_protocol::NodeId;
use catena_protocol::message::heartbeat::{Heartbeat, Led, Load};
use std::collections::{BTreeMap, BTreeSet};

/// Part of an even share that a node must lead to be one among equals again. Placement itself may
/// give a node less than an even share.
const SHARE: f64 = 0.75;

/// The view that heartbeats give.
#[derive(Debug, Default)]
pub(crate) struct Leaders {
    partitions: u16,
    nodes: BTreeMap<NodeId, Seen>,
    /// Processes that were killed; what they said last may still be on its way.
    dead: BTreeSet<u64>,
}

#[derive(Debug)]
struct Seen {
    boot: u64,
    led: Vec<Led>,
}

impl Leaders {
    /// Takes what a heartbeat says.
    pub(crate) fn saw(&mut self, heartbeat: Heartbeat) {
        let Heartbeat { node, boot, load, .. } = heartbeat;
        let Load::Storage { partitions, led } = load else { return };
        if self.dead.contains(&boot) {
            return;
        }
        self.partitions = partitions;
        self.nodes.insert(node, Seen { boot, led });
    }

    /// The node's process is gone.
    pub(crate) fn died(&mut self, node: &NodeId) {
        if let Some(seen) = self.nodes.remove(node) {
            self.dead.insert(seen.boot);
        }
    }

    /// Partitions of the cluster; 0: no heartbeat was seen.
    pub(crate) const fn partitions(&self) -> u16 {
        self.partitions
    }

    /// The node that leads most partitions, and which.
    pub(crate) fn busiest(&self) -> Option<(NodeId, Vec<u16>)> {
        let mut led = self.led();
        let node = led.iter().max_by_key(|(_, led)| led.len()).map(|(node, _)| (*node).clone())?;
        led.remove(&node).map(|led| (node, led))
    }

    /// Whether exactly so many nodes live, every partition has a leader, and every node leads its
    /// share.
    pub(crate) fn are_settled(&self, nodes: usize) -> bool {
        let led = self.led();
        let even = f64::from(self.partitions) / nodes as f64;
        let all: usize = led.values().map(Vec::len).sum();
        let shared = led.values().all(|led| led.len() as f64 >= even * SHARE);
        led.len() == nodes && self.partitions > 0 && all == usize::from(self.partitions) && shared
    }

    /// The partitions of every node, those that a later epoch took away left out.
    fn led(&self) -> BTreeMap<&NodeId, Vec<u16>> {
        let mut latest: BTreeMap<u16, u64> = BTreeMap::new();
        for led in self.nodes.values().flat_map(|seen| &seen.led) {
            let epoch = latest.entry(led.partition).or_default();
            *epoch = led.epoch.max(*epoch);
        }
        let leads = |led: &&Led| latest.get(&led.partition) == Some(&led.epoch);
        let partitions =
            |seen: &Seen| seen.led.iter().filter(leads).map(|led| led.partition).collect();
        self.nodes.iter().map(|(node, seen)| (node, partitions(seen))).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn beat(node: &str, boot: u64, led: &[(u16, u64)]) -> Heartbeat {
        let led = led.iter().map(|(partition, epoch)| Led { partition: *partition, epoch: *epoch });
        let load = Load::Storage { partitions: 4, led: led.collect() };
        Heartbeat { node: NodeId::new(node).unwrap(), boot, draining: false, load }
    }

    #[test]
    fn a_later_epoch_takes_a_partition_away() {
        let mut leaders = Leaders::default();
        leaders.saw(beat("a", 1, &[(0, 1), (1, 1), (2, 1)]));
        leaders.saw(beat("b", 2, &[(1, 2), (2, 2), (3, 1)]));
        let (node, led) = leaders.busiest().unwrap();
        assert_eq!((node.as_str(), led), ("b", vec![1, 2, 3]));
    }

    #[test]
    fn they_are_settled_when_all_live_and_each_leads_its_share() {
        let mut leaders = Leaders::default();
        assert!(!leaders.are_settled(1), "nobody was heard");
        leaders.saw(beat("a", 1, &[(0, 1), (1, 1), (2, 1), (3, 1)]));
        assert!(leaders.are_settled(1));
        assert!(!leaders.are_settled(2), "one is missing");
        leaders.saw(beat("b", 2, &[]));
        assert!(!leaders.are_settled(2), "one leads nothing");
        leaders.saw(beat("b", 2, &[(2, 2), (3, 2)]));
        assert!(leaders.are_settled(2));
        leaders.saw(beat("a", 1, &[(0, 1)]));
        assert!(!leaders.are_settled(2), "nobody leads partition 1");
    }

    #[test]
    fn what_a_dead_process_said_does_not_count() {
        let mut leaders = Leaders::default();
        leaders.saw(beat("a", 1, &[(0, 1)]));
        leaders.died(&NodeId::new("a").unwrap());
        leaders.saw(beat("a", 1, &[(0, 1)]));
        assert_eq!(leaders.busiest(), None);
        leaders.saw(beat("a", 2, &[(0, 1)]));
        assert!(leaders.busiest().is_some());
    }
}
