//! Who announced itself, and whether that is enough to found a cluster.
//!
//! Pure: time is an argument. That a founding is safe does not hang on it: it decides what is
//! *tried*, the bucket decides what counts.

use crate::config::{Founders, listed};
use crate::error::Error;
use catena_protocol::message::founding::{Announcement, Plan};
use catena_protocol::placement::Member;
use catena_protocol::{ClusterId, DiskId, NodeId, limit};
use std::time::Duration;
use tokio::time::Instant;

/// Who was silent for this long does not count: ten announcements.
const FRESH: Duration = Duration::from_secs(2);

/// What one node has heard of the others.
pub(super) struct Gathering {
    me: Member,
    plan: Plan,
    /// None: whoever comes first.
    named: Option<Vec<NodeId>>,
    /// In the order in which they were first heard; at most [`limit::FOUNDERS`].
    empty: Vec<Heard>,
    /// A node that belongs to a cluster.
    member: Option<(NodeId, ClusterId, Instant)>,
    /// A node that was told to found another cluster than this one.
    other_plan: Option<(NodeId, Plan, Instant)>,
}

struct Heard {
    member: Member,
    /// The disk under which the same node was heard before.
    before: Option<DiskId>,
    at: Instant,
}

impl Gathering {
    pub(super) fn new(me: Member, plan: Plan, founders: Option<&Founders>) -> Self {
        let named = match founders {
            Some(Founders::Named(names)) => Some(names.clone()),
            Some(Founders::Count(_)) | None => None,
        };
        Self { me, plan, named, empty: Vec::new(), member: None, other_plan: None }
    }

    pub(super) const fn plan(&self) -> Plan {
        self.plan
    }

    /// Takes note of an announcement.
    ///
    /// # Errors
    /// [`Error::TwoDisks`]: two processes announce one id.
    pub(super) fn hear(&mut self, said: Announcement, now: Instant) -> Result<(), Error> {
        let Announcement { member, cluster, plan } = said;
        if member.node == self.me.node {
            return same_disk(&member.node, self.me.disk, member.disk);
        }
        if let Some(cluster) = cluster {
            self.empty.retain(|heard| heard.member.node != member.node);
            self.member = Some((member.node, cluster, now));
            return Ok(());
        }
        if !self.may_found(&member.node) {
            return Ok(());
        }
        if plan != self.plan {
            self.other_plan = Some((member.node, plan, now));
            return Ok(());
        }
        self.count(member, now)
    }

    fn may_found(&self, node: &NodeId) -> bool {
        self.named.as_ref().is_none_or(|named| named.contains(node))
    }

    fn count(&mut self, member: Member, now: Instant) -> Result<(), Error> {
        self.empty.retain(|heard| heard.at + FRESH > now);
        let Some(heard) = self.empty.iter_mut().find(|heard| heard.member.node == member.node)
        else {
            if self.empty.len() < limit::FOUNDERS {
                self.empty.push(Heard { member, before: None, at: now });
            }
            return Ok(());
        };
        heard.at = now;
        if heard.member.disk != member.disk {
            // One that was emptied and started again does not come back under its old disk.
            if heard.before == Some(member.disk) {
                return same_disk(&member.node, heard.member.disk, member.disk);
            }
            heard.before = Some(heard.member.disk);
            heard.member = member;
        }
        Ok(())
    }

    /// The founders, if all are there and it falls to this node to found the cluster: to the one
    /// with the lowest id.
    pub(super) fn to_be_founded(&self, now: Instant) -> Option<Vec<Member>> {
        if self.member.as_ref().is_some_and(|(.., at)| *at + FRESH > now) {
            return None;
        }
        let mut founders = self.there(now);
        founders.truncate(usize::from(self.plan.size));
        let lowest = founders.iter().map(|founder| &founder.node).min() == Some(&self.me.node);
        let all = founders.len() == usize::from(self.plan.size);
        (all && lowest).then_some(founders)
    }

    fn there(&self, now: Instant) -> Vec<Member> {
        let fresh = self.empty.iter().filter(|heard| heard.at + FRESH > now);
        let others = fresh.map(|heard| heard.member.clone());
        std::iter::once(self.me.clone()).chain(others).collect()
    }

    /// What is waited for, for people.
    pub(super) fn missing(&self, now: Instant) -> String {
        let fresh = |at: Instant| at + FRESH > now;
        if let Some((node, cluster, _)) = self.member.as_ref().filter(|(.., at)| fresh(*at)) {
            return format!(
                "`{node}` belongs to cluster `{cluster}`, whose record must come back to \
                 JetStream first"
            );
        }
        if let Some((node, plan, _)) = self.other_plan.as_ref().filter(|(.., at)| fresh(*at)) {
            return format!(
                "`{node}` was told to found {}, and this node {}; give both the same settings",
                words(*plan),
                words(self.plan)
            );
        }
        let there = self.there(now);
        let here = |node: &NodeId| there.iter().any(|member| member.node == *node);
        match &self.named {
            Some(named) if named.iter().any(|node| !here(node)) => {
                format!("waiting for {}", listed(named.iter().filter(|node| !here(node))))
            }
            _ => match usize::from(self.plan.size).saturating_sub(there.len()) {
                0 => "all are there; waiting for one of them to found it in JetStream".to_owned(),
                more => format!("waiting for {more} more storage node(s)"),
            },
        }
    }
}

fn same_disk(node: &NodeId, one: DiskId, other: DiskId) -> Result<(), Error> {
    if one == other {
        return Ok(());
    }
    Err(Error::TwoDisks { node: node.clone(), one, other })
}

fn words(plan: Plan) -> String {
    let Plan { size, partitions, replicas } = plan;
    format!("a cluster of {size} node(s), {partitions} partitions and {replicas} replica(s)")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { size: 3, partitions: 64, replicas: 3 };

    fn member(node: &str, disk: u8) -> Member {
        Member { node: NodeId::new(node).unwrap(), disk: DiskId([disk; 16]) }
    }

    fn empty(node: &str, disk: u8) -> Announcement {
        Announcement { member: member(node, disk), cluster: None, plan: PLAN }
    }

    fn named() -> Founders {
        Founders::Named(["a", "b", "c"].map(|id| NodeId::new(id).unwrap()).into())
    }

    fn gathering(me: &str, founders: &Founders) -> (Gathering, Instant) {
        (Gathering::new(member(me, 1), PLAN, Some(founders)), Instant::now())
    }

    #[test]
    fn the_lowest_founds_when_all_are_there() {
        for (me, others, falls_to_me) in
            [("a", ["b", "c"], true), ("b", ["c", "a"], false), ("c", ["a", "b"], false)]
        {
            for founders in [named(), Founders::Count(3)] {
                let (mut gathering, now) = gathering(me, &founders);
                assert_eq!(gathering.to_be_founded(now), None, "alone");
                gathering.hear(empty(me, 1), now).unwrap();
                gathering.hear(empty(others[0], 2), now).unwrap();
                gathering.hear(empty(others[0], 2), now).unwrap();
                assert_eq!(gathering.to_be_founded(now), None, "one is missing");
                gathering.hear(empty(others[1], 3), now).unwrap();
                let wanted = [member(me, 1), member(others[0], 2), member(others[1], 3)];
                let founded = gathering.to_be_founded(now);
                assert_eq!(founded, falls_to_me.then(|| wanted.to_vec()));
            }
        }
    }

    #[test]
    fn only_those_that_are_named_count_or_the_first() {
        let (mut by_name, now) = gathering("a", &named());
        for node in ["0", "b", "x"] {
            by_name.hear(empty(node, 2), now).unwrap();
        }
        assert_eq!(by_name.to_be_founded(now), None);
        assert_eq!(by_name.missing(now), "waiting for c");

        let (mut first, now) = gathering("a", &Founders::Count(3));
        for node in ["x", "c", "b"] {
            first.hear(empty(node, 2), now).unwrap();
        }
        let wanted = vec![member("a", 1), member("x", 2), member("c", 2)];
        assert_eq!(first.to_be_founded(now), Some(wanted));
    }

    #[test]
    fn who_went_silent_does_not_count() {
        let (mut gathering, now) = gathering("a", &Founders::Count(3));
        gathering.hear(empty("b", 2), now).unwrap();
        let later = now + FRESH;
        gathering.hear(empty("c", 3), later).unwrap();
        assert_eq!(gathering.to_be_founded(later), None);
        assert_eq!(gathering.missing(later), "waiting for 1 more storage node(s)");
        gathering.hear(empty("b", 2), later).unwrap();
        assert!(gathering.to_be_founded(later).is_some());
    }

    #[test]
    fn nothing_is_founded_while_somebody_belongs_to_a_cluster() {
        let (mut gathering, now) = gathering("a", &named());
        gathering.hear(empty("b", 2), now).unwrap();
        gathering.hear(empty("c", 3), now).unwrap();
        let cluster = Some(ClusterId([9; 16]));
        gathering.hear(Announcement { cluster, ..empty("z", 7) }, now).unwrap();
        assert_eq!(gathering.to_be_founded(now), None);
        assert!(gathering.missing(now).contains(&"09".repeat(16)));
        gathering.hear(Announcement { cluster, ..empty("b", 2) }, now).unwrap();
        let later = now + FRESH;
        gathering.hear(empty("c", 3), later).unwrap();
        assert_eq!(gathering.to_be_founded(later), None, "b was empty, and is not any more");
    }

    #[test]
    fn who_would_found_another_cluster_is_no_founder() {
        let (mut gathering, now) = gathering("a", &named());
        gathering.hear(empty("b", 2), now).unwrap();
        let plan = Plan { partitions: 65, ..PLAN };
        gathering.hear(Announcement { plan, ..empty("c", 3) }, now).unwrap();
        assert_eq!(gathering.to_be_founded(now), None);
        let missing = gathering.missing(now);
        assert!(missing.contains("`c`") && missing.contains("65 partitions"), "{missing}");
    }

    #[test]
    fn one_id_with_two_disks_is_refused() {
        let (mut own, now) = gathering("a", &named());
        let refused = own.hear(empty("a", 9), now);
        assert!(matches!(refused, Err(Error::TwoDisks { node, .. }) if node.as_str() == "a"));

        let (mut other, now) = gathering("a", &named());
        other.hear(empty("b", 2), now).unwrap();
        other.hear(empty("b", 3), now).unwrap();
        other.hear(empty("b", 3), now).unwrap();
        other.hear(empty("c", 4), now).unwrap();
        let wanted = vec![member("a", 1), member("b", 3), member("c", 4)];
        assert_eq!(other.to_be_founded(now), Some(wanted), "emptied and started again");
        assert!(matches!(other.hear(empty("b", 2), now), Err(Error::TwoDisks { .. })));
    }

    #[test]
    fn strangers_without_end_are_not_kept() {
        let (mut gathering, now) = gathering("a", &Founders::Count(3));
        for n in 0..limit::FOUNDERS * 2 {
            gathering.hear(empty(&format!("x{n}"), 2), now).unwrap();
        }
        assert_eq!(gathering.empty.len(), limit::FOUNDERS);
    }
}
