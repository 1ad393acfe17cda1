//! Three storage nodes, or five, in processes of their own, so that a kill is a kill.

use super::{Platform, Process, eventually, registry};
use catena_cli::cluster::Plan;
use catena_protocol::Timestamp;
use catena_protocol::message::status::NodeStatus;
use catena_protocol::placement::Member;
use catena_testing::{NatsServer, within};
use futures_util::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Output;
use tokio::process::Command;

/// A platform on storage nodes of which each keeps every partition: three, if nothing else is said.
pub(crate) struct Trio {
    pub(crate) platform: Platform,
    nodes: Vec<Option<Process>>,
}

impl Trio {
    /// One scheduler, two workers, three storage nodes; all partitions have a primary.
    pub(crate) async fn start() -> Self {
        Self::of(3).await
    }

    /// The same with so many storage nodes.
    pub(crate) async fn of(count: usize) -> Self {
        let nats = NatsServer::start().await;
        let nodes = (0..count).map(|node| Some(process(&nats, node, count))).collect();
        let plan = Plan {
            nats: Some(nats.settings()),
            storage: 0,
            registry: registry(),
            ..Plan::new(nats.folder().join("catena"))
        };
        let trio = Self { platform: Platform::with(nats, plan).await, nodes };
        trio.healed().await;
        trio
    }

    /// Kills a node without warning, counted from 0.
    pub(crate) async fn kill(&mut self, node: usize) {
        self.nodes[node].take().unwrap().kill().await;
    }

    /// Starts a node again that was killed.
    pub(crate) fn start_again(&mut self, node: usize) {
        self.nodes[node] = Some(process(&self.platform.nats, node, self.nodes.len()));
    }

    /// Removes everything that a node keeps that was killed.
    pub(crate) fn lose_disk(&self, node: usize) {
        std::fs::remove_dir_all(data(&self.platform.nats, &id(node))).unwrap();
    }

    /// Waits until the disks that the nodes have now decide about every partition, no others.
    pub(crate) async fn all_vote(&self) {
        eventually(90, "the vote of every disk about every partition", async || {
            let all = self.statuses().await;
            let members: BTreeSet<&Member> = all.iter().map(|node| &node.member).collect();
            let led = all.iter().flat_map(|node| &node.replicas).filter(|one| one.serves);
            let agreed = led.filter(|one| one.voters.iter().collect::<BTreeSet<_>>() == members);
            let agreed: BTreeSet<u16> = agreed.map(|one| one.partition).collect();
            (agreed.len() == usize::from(all[0].cluster.partitions)).then_some(())
        })
        .await;
    }

    /// Waits until the replicas of all nodes that run follow a primary.
    pub(crate) async fn healed(&self) {
        eventually(60, "a primary of every partition, and its followers", async || {
            let all = self.statuses().await;
            let replicas = all.iter().flat_map(|node| &node.replicas);
            replicas.clone().all(|one| one.serves || one.primary.is_some()).then_some(())
        })
        .await;
    }

    /// Waits until a node answers a read of a key at a version.
    pub(crate) async fn covers(&self, node: usize, key: &str, version: Timestamp) {
        let name = id(node);
        eventually(20, &format!("`{name}` has `{key}` at version {version}"), async || {
            let all = self.statuses().await;
            let node = all.iter().find(|node| node.member.node.as_str() == name)?;
            let partition = catena_protocol::partition(key, node.cluster.partitions);
            let replica = node.replicas.iter().find(|replica| replica.partition == partition)?;
            (replica.closed >= version).then_some(())
        })
        .await;
    }

    /// Who leads each partition.
    pub(crate) async fn leaders(&self) -> BTreeMap<u16, String> {
        let mut leaders = BTreeMap::new();
        for node in self.statuses().await {
            let led = node.replicas.iter().filter(|replica| replica.serves);
            leaders.extend(led.map(|replica| (replica.partition, node.member.node.to_string())));
        }
        leaders
    }

    /// What the nodes that run say of themselves.
    async fn statuses(&self) -> Vec<NodeStatus> {
        let running = self.nodes.iter().flatten().count();
        let client = &self.platform.client;
        loop {
            let inbox = client.new_inbox();
            let answers = client.subscribe(inbox.clone()).await.unwrap();
            let subject = "catena.cluster.status";
            client.publish_with_reply(subject, inbox, "".into()).await.unwrap();
            let all = answers.take(running).collect::<Vec<_>>();
            // A node that has just been started does not hear it.
            if let Ok(all) = tokio::time::timeout(std::time::Duration::from_millis(500), all).await
            {
                let parsed = all.iter().map(|one| serde_json::from_slice(&one.payload));
                if let Ok(parsed) = parsed.collect() {
                    return parsed;
                }
            }
        }
    }

    /// Runs the `catena` command.
    pub(crate) async fn catena(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_catena"));
        command.args(["--server", self.platform.nats.url()]).args(arguments).kill_on_drop(true);
        within(30, "the end of a command", command.output()).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.platform.stop().await;
        for node in self.nodes.into_iter().flatten() {
            node.kill().await;
        }
    }
}

fn id(node: usize) -> String {
    format!("storage-{}", node + 1)
}

fn data(nats: &NatsServer, id: &str) -> PathBuf {
    nats.folder().join("catena").join(id)
}

fn process(nats: &NatsServer, node: usize, of: usize) -> Process {
    let id = id(node);
    let members: Vec<String> = (0..of).map(self::id).collect();
    let (members, replicas) = (members.join(","), of.to_string());
    let log = nats.folder().join(format!("{id}.log"));
    let data = data(nats, &id);
    let to = ["--server", nats.url(), "storage", "--id", &id, "--data", data.to_str().unwrap()];
    Process::start(log, &[&to[..], &["--members", &members, "--replicas", &replicas]].concat())
}
