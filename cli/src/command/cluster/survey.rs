//! What the answers of all storage nodes say together. Pure: no NATS, no clock.

use catena_protocol::NodeId;
use catena_protocol::message::gossip::Part;
use catena_protocol::message::status::{NodeStatus, ReplicaStatus};
use catena_protocol::message::store::Cluster;
use catena_protocol::placement::{Member, place};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// A replica that lacks more records than this lags.
const LAG_RECORDS: u64 = 1_000;
/// A replica that is further behind than this lags, in milliseconds.
const LAG_MS: u64 = 2_000;

/// The answers of all nodes that answered.
pub(super) struct Survey {
    pub(super) nodes: Vec<NodeStatus>,
}

/// One partition, as its replicas that answered see it.
struct Partition<'a> {
    number: u16,
    replicas: Vec<(&'a Member, &'a ReplicaStatus)>,
    /// Who had a vote when the cluster was founded.
    founders: Vec<Member>,
}

/// By how much a replica is behind its primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lag {
    records: u64,
    /// None: it has not heard yet up to when its primary lets it answer reads.
    ms: Option<u64>,
}

impl Lag {
    const NONE: Self = Self { records: 0, ms: Some(0) };

    fn is_much(self) -> bool {
        self.records > LAG_RECORDS || self.ms.is_none_or(|ms| ms > LAG_MS)
    }

    /// The larger one of each; what is not known may be any.
    fn or_more(self, other: Self) -> Self {
        let ms = self.ms.zip(other.ms).map(|(one, other)| one.max(other));
        Self { records: self.records.max(other.records), ms }
    }
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ms {
            Some(ms) => write!(f, "{} records, {ms} ms", self.records),
            None => write!(f, "{} records, an unknown time", self.records),
        }
    }
}

impl<'a> Partition<'a> {
    /// The replica that leads; of several the one of the highest epoch.
    fn primary(&self) -> Option<(&'a Member, &'a ReplicaStatus)> {
        let serving = self.replicas.iter().filter(|(_, replica)| replica.serves);
        serving.max_by_key(|(_, replica)| replica.epoch).copied()
    }

    /// Who has a vote, as whoever knows most says; where nobody does, as it was in the beginning.
    fn voters(&self) -> &[Member] {
        let latest = self
            .replicas
            .iter()
            .max_by_key(|(_, replica)| (replica.serves, replica.epoch, replica.last));
        let voters = latest.map(|(_, replica)| replica.voters.as_slice());
        voters.filter(|voters| !voters.is_empty()).unwrap_or(&self.founders)
    }

    /// None: there is no primary to compare with.
    fn lag(&self, replica: &ReplicaStatus) -> Option<Lag> {
        let (_, primary) = self.primary()?;
        // Before the first write nothing is closed, and nobody is behind with that.
        let heard = replica.closed.0 > 0 || primary.closed.0 == 0;
        let closed_us = primary.closed.0.saturating_sub(replica.closed.0);
        Some(Lag {
            records: primary.commit.saturating_sub(replica.commit),
            ms: heard.then_some(closed_us / 1000),
        })
    }
}

impl Survey {
    pub(super) const fn new(nodes: Vec<NodeStatus>) -> Self {
        Self { nodes }
    }

    pub(super) fn cluster(&self) -> Option<&Cluster> {
        self.nodes.first().map(|node| &node.cluster)
    }

    fn partitions(&self) -> Vec<Partition<'_>> {
        let of = |(number, founders)| {
            let replicas = self.nodes.iter().flat_map(|node| {
                let here = node.replicas.iter().filter(move |replica| replica.partition == number);
                here.map(|replica| (&node.member, replica))
            });
            Partition { number, replicas: replicas.collect(), founders }
        };
        (0..).zip(self.placement()).map(of).collect()
    }

    /// The replicas of each partition as the cluster was founded, the preferred primary first.
    fn placement(&self) -> Vec<Vec<Member>> {
        let Some(cluster) = self.cluster() else { return Vec::new() };
        let ids: Vec<NodeId> = cluster.members.iter().map(|m| m.node.clone()).collect();
        let places = place(&ids, cluster.partitions, usize::from(cluster.replicas));
        let member = |id: NodeId| cluster.members.iter().find(|m| m.node == id).cloned();
        places.into_iter().map(|ids| ids.into_iter().filter_map(member).collect()).collect()
    }

    /// What is wrong, a sentence each; nothing: all is well.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let Some(cluster) = self.cluster() else { return problems };
        let answered: Vec<&NodeId> = self.nodes.iter().map(|node| &node.member.node).collect();
        for member in &cluster.members {
            if !answered.contains(&&member.node) {
                let node = &member.node;
                problems.push(format!(
                    "node {node} is unreachable: it does not answer; start it, or look at its log"
                ));
            }
        }
        let mut about: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        for partition in self.partitions() {
            for problem in self.problems_of(&partition, cluster) {
                about.entry(problem).or_default().push(partition.number);
            }
        }
        problems
            .extend(about.into_iter().map(|(problem, of)| format!("{}: {problem}", numbers(&of))));
        problems
    }

    fn problems_of(&self, partition: &Partition<'_>, cluster: &Cluster) -> Vec<String> {
        let mut problems = Vec::new();
        let voters = partition.voters();
        let there = |voter: &&Member| self.nodes.iter().any(|node| node.member == **voter);
        let answering = voters.iter().filter(there).count();
        if partition.primary().is_none() {
            problems
                .push("without primary: writes and fresh reads wait for an election".to_owned());
        }
        if answering <= voters.len() / 2 {
            problems.push(format!(
                "without majority: {answering} of {} voters answer; nothing can be written until \
                 more of them are back",
                voters.len()
            ));
        }
        let wanted = usize::from(cluster.replicas).min(cluster.members.len());
        if !voters.is_empty() && voters.len() < wanted {
            problems.push(format!("member missing: {} of {wanted} voters", voters.len()));
        }
        for voter in voters.iter().filter(|voter| !there(voter)) {
            if self.nodes.iter().any(|node| node.member.node == voter.node) {
                problems.push(format!(
                    "member missing: {} has lost its disk and learns anew",
                    voter.node
                ));
            }
        }
        for (member, replica) in &partition.replicas {
            problems.extend(Self::problem_of(partition, member, replica));
        }
        problems
    }

    fn problem_of(
        partition: &Partition<'_>,
        member: &Member,
        replica: &ReplicaStatus,
    ) -> Option<String> {
        let node = &member.node;
        if let Some(why) = &replica.halted {
            return Some(format!(
                "replica on {node} stopped by a hash alarm: {why}; empty its data directory and \
                 start it again, and it takes a copy"
            ));
        }
        if replica.part == Part::Copying {
            return Some(format!("replica on {node} lags: it takes a copy of the state"));
        }
        let lag = partition.lag(replica).filter(|lag| lag.is_much())?;
        Some(format!("replica on {node} lags by {lag}"))
    }

    pub(super) fn node_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row(["node", "leads", "should lead", "replicas", "lag"])];
        let partitions = self.partitions();
        for node in &self.nodes {
            let id = &node.member.node;
            let leads = node.replicas.iter().filter(|replica| replica.serves).count();
            let lags = node.replicas.iter().map(|replica| {
                let partition = partitions.get(usize::from(replica.partition))?;
                partition.lag(replica)
            });
            let most = lags.flatten().reduce(Lag::or_more);
            rows.push(vec![
                id.to_string(),
                leads.to_string(),
                self.preferred(id).to_string(),
                node.replicas.len().to_string(),
                most.map_or("unknown".to_owned(), |lag| format!("{lag} at most")),
            ]);
        }
        rows
    }

    /// How many partitions a node should lead.
    fn preferred(&self, id: &NodeId) -> usize {
        let places = self.placement();
        let first = places.iter().filter_map(|members| members.first());
        first.filter(|member| member.node == *id).count()
    }

    pub(super) fn partition_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row(["partition", "primary", "epoch", "committed", "replicas"])];
        for partition in self.partitions() {
            let primary = partition.primary();
            let replicas = partition.replicas.iter().map(|(member, replica)| {
                let lag = partition.lag(replica).filter(|lag| *lag != Lag::NONE);
                let lag = lag.map_or(String::new(), |lag| format!(" ({lag} behind)"));
                format!("{} {}{lag}", member.node, name(replica.part))
            });
            rows.push(vec![
                partition.number.to_string(),
                primary.map_or("-".to_owned(), |(member, _)| member.node.to_string()),
                primary.map_or("-".to_owned(), |(_, replica)| replica.epoch.to_string()),
                primary.map_or("-".to_owned(), |(_, replica)| replica.commit.to_string()),
                replicas.collect::<Vec<_>>().join(", "),
            ]);
        }
        rows
    }

    pub(super) fn nodes_as_json(&self) -> Vec<Value> {
        let of = |node: &NodeStatus| {
            let leads = node.replicas.iter().filter(|replica| replica.serves).count();
            let should = self.preferred(&node.member.node);
            json!({
                "node": node.member.node, "disk": node.member.disk, "leads": leads,
                "should_lead": should, "replicas": node.replicas.len(),
            })
        };
        self.nodes.iter().map(of).collect()
    }

    pub(super) fn partitions_as_json(&self) -> Vec<Value> {
        let of = |partition: Partition<'_>| {
            let replicas = partition.replicas.iter().map(|(member, replica)| {
                let lag = partition.lag(replica);
                json!({
                    "node": member.node, "part": replica.part, "epoch": replica.epoch,
                    "last": replica.last, "committed": replica.commit, "closed": replica.closed,
                    "lag_records": lag.map(|lag| lag.records),
                    "lag_ms": lag.and_then(|lag| lag.ms), "halted": replica.halted,
                })
            });
            json!({
                "partition": partition.number,
                "primary": partition.primary().map(|(member, _)| &member.node),
                "voters": partition.voters(),
                "replicas": replicas.collect::<Vec<_>>(),
            })
        };
        self.partitions().into_iter().map(of).collect()
    }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

const fn name(part: Part) -> &'static str {
    match part {
        Part::Primary => "primary",
        Part::Voter => "follower",
        Part::Learner => "learner",
        Part::Copying => "copying",
        Part::Halted => "halted",
    }
}

/// Partitions in words, runs of numbers together.
fn numbers(of: &[u16]) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for number in of {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let texts = runs.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    let plural = if of.len() == 1 { "" } else { "s" };
    format!("partition{plural} {}", texts.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catena_protocol::{DiskId, Timestamp};

    fn member(name: &str, disk: u8) -> Member {
        Member { node: NodeId::new(name).unwrap(), disk: DiskId([disk; 16]) }
    }

    fn members() -> Vec<Member> {
        vec![member("a", 1), member("b", 2), member("c", 3)]
    }

    fn node(member: &Member, leads: bool) -> NodeStatus {
        let members = members();
        let part = if leads { Part::Primary } else { Part::Voter };
        let replica = ReplicaStatus {
            partition: 0,
            part,
            epoch: 4,
            serves: leads,
            primary: None,
            last: 5_000,
            commit: 5_000,
            closed: Timestamp(9_000_000),
            voters: members.clone(),
            halted: None,
        };
        let cluster = Cluster { id: "ab".into(), partitions: 1, replicas: 3, members };
        NodeStatus { member: member.clone(), cluster, replicas: vec![replica] }
    }

    fn whole() -> Survey {
        let members = members();
        Survey::new(vec![
            node(&members[0], true),
            node(&members[1], false),
            node(&members[2], false),
        ])
    }

    fn said(survey: &Survey) -> String {
        survey.problems().join("\n")
    }

    #[test]
    fn a_whole_cluster_has_no_problems() {
        assert_eq!(said(&whole()), "");
    }

    #[test]
    fn a_node_that_does_not_answer_is_named() {
        let mut survey = whole();
        survey.nodes.remove(1);
        assert!(said(&survey).contains("node b is unreachable"));
        assert!(!said(&survey).contains("majority"));
    }

    #[test]
    fn without_majority_and_without_primary() {
        let mut survey = whole();
        survey.nodes.drain(..2);
        assert!(said(&survey).contains("partition 0: without primary"));
        assert!(said(&survey).contains("partition 0: without majority: 1 of 3"));
    }

    #[test]
    fn a_replica_that_lags_in_records_or_in_time() {
        let mut survey = whole();
        survey.nodes[1].replicas[0].commit -= LAG_RECORDS + 1;
        survey.nodes[2].replicas[0].closed.0 -= LAG_MS * 1000 + 1000;
        assert!(said(&survey).contains("replica on b lags by 1001 records, 0 ms"));
        assert!(said(&survey).contains("replica on c lags by 0 records, 2001 ms"));
    }

    #[test]
    fn a_replica_that_takes_a_copy_lags_and_one_without_a_primary_does_not() {
        let mut survey = whole();
        survey.nodes[1].replicas[0].part = Part::Copying;
        assert_eq!(said(&survey), "partition 0: replica on b lags: it takes a copy of the state");
        survey.nodes[0].replicas[0].serves = false;
        survey.nodes[1].replicas[0].part = Part::Voter;
        assert!(!said(&survey).contains("lags"), "nobody knows by how much: {}", said(&survey));
        assert_eq!(survey.node_rows()[1][4], "unknown");
        let replica = &survey.partitions_as_json()[0]["replicas"][1];
        assert_eq!((&replica["lag_records"], &replica["lag_ms"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn a_replica_that_never_heard_anything_lags_by_an_unknown_time() {
        let mut survey = whole();
        survey.nodes[2].replicas[0].closed = Timestamp(0);
        assert_eq!(said(&survey), "partition 0: replica on c lags by 0 records, an unknown time");
        assert_eq!(survey.node_rows()[1][4], "0 records, 0 ms at most");
        assert_eq!(survey.node_rows()[3][4], "0 records, an unknown time at most");
        let row = &survey.partition_rows()[1];
        assert_eq!(row[4], "a primary, b follower, c follower (0 records, an unknown time behind)");
        let replicas = &survey.partitions_as_json()[0]["replicas"];
        assert_eq!((&replicas[1]["lag_ms"], &replicas[2]["lag_ms"]), (&json!(0), &Value::Null));

        survey.nodes.iter_mut().for_each(|node| node.replicas[0].closed = Timestamp(0));
        assert_eq!(said(&survey), "", "there is nothing to hear of before the first write");
    }

    /// Of five nodes those with partition 0 are down.
    #[test]
    fn without_any_replica_the_voters_are_those_of_the_placement() {
        let members: Vec<Member> = ["a", "b", "c", "d", "e"].map(|name| member(name, 1)).into();
        let ids: Vec<NodeId> = members.iter().map(|member| member.node.clone()).collect();
        let placed = place(&ids, 1, 3).remove(0);
        let up = members.iter().filter(|member| !placed.contains(&member.node));
        let nodes = up.map(|member| {
            let mut node = node(member, false);
            node.cluster.members.clone_from(&members);
            node.replicas.clear();
            node
        });
        let survey = Survey::new(nodes.collect());
        assert_eq!(survey.nodes.len(), 2);
        let said = said(&survey);
        assert!(said.contains("partition 0: without majority: 0 of 3 voters answer"), "{said}");
        assert!(said.contains("partition 0: without primary"), "{said}");
        assert!(!said.contains("member missing"), "{said}");
        let partitions = survey.partitions_as_json();
        let voters: Vec<&Value> =
            partitions[0]["voters"].as_array().unwrap().iter().map(|one| &one["node"]).collect();
        assert_eq!(voters, placed.iter().map(|id| id.as_str()).collect::<Vec<_>>());
    }

    #[test]
    fn a_hash_alarm_a_lost_disk_and_a_missing_voter() {
        let mut survey = whole();
        survey.nodes[1].replicas[0].halted = Some("hashes differ".into());
        assert!(said(&survey).contains("replica on b stopped by a hash alarm: hashes differ"));

        let mut survey = whole();
        survey.nodes[2].member.disk = DiskId([9; 16]);
        assert!(said(&survey).contains("member missing: c has lost its disk"));

        let mut survey = whole();
        survey.nodes.iter_mut().for_each(|node| drop(node.replicas[0].voters.pop()));
        assert!(said(&survey).contains("member missing: 2 of 3 voters"));
    }

    #[test]
    fn partitions_are_named_together() {
        assert_eq!(numbers(&[3]), "partition 3");
        assert_eq!(numbers(&[0, 1, 2, 5, 7, 8]), "partitions 0-2, 5, 7-8");
    }
}
