//! Storage nodes as processes of their own, of this same program, so that a kill is a kill.

use super::leaders::Leaders;
use crate::failure::Failure;
use crate::program::{self, program};
use crate::services::services;
use async_nats::Subscriber;
use catena_link::{Link, Settings, connect};
use catena_protocol::message::heartbeat::Heartbeat;
use catena_protocol::subject::Role;
use catena_protocol::{NodeId, codec};
use futures_util::future::select_all;
use futures_util::{FutureExt, StreamExt};
use rustix::process::{Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::Child;

/// How long nodes may take to lead their shares.
const SETTLED: Duration = Duration::from_secs(60);

/// Running storage nodes of one cluster, and what their heartbeats say. Dropped, they are killed.
pub(crate) struct StorageNodes {
    url: String,
    folder: PathBuf,
    ids: Vec<NodeId>,
    running: BTreeMap<NodeId, Child>,
    link: Link,
    heartbeats: Subscriber,
    leaders: Leaders,
}

impl StorageNodes {
    /// Starts `count` nodes with data below `folder` and waits until they lead their shares.
    pub(crate) async fn start(url: &str, folder: &Path, count: usize) -> Result<Self, Failure> {
        let link = connect(Settings::url(url), "catena-bench", false).await?;
        let subject = link.subjects.heartbeats(Role::Storage);
        let heartbeats = link.client.subscribe(subject).await.map_err(Failure::new)?;
        let ids = (1..=count).map(|n| NodeId::new(format!("storage-{n}")));
        let ids = ids.collect::<Result<_, _>>().map_err(Failure::new)?;
        let mut nodes = Self {
            url: url.to_owned(),
            folder: folder.to_owned(),
            ids,
            running: BTreeMap::new(),
            link,
            heartbeats,
            leaders: Leaders::default(),
        };
        for id in nodes.ids.clone() {
            nodes.start_node(&id)?;
        }
        nodes.settled().await?;
        Ok(nodes)
    }

    /// How many there are, dead ones included.
    pub(crate) fn count(&self) -> usize {
        self.ids.len()
    }

    /// The connection on which their heartbeats come in.
    pub(crate) const fn link(&self) -> &Link {
        &self.link
    }

    /// Who led what when they last said so.
    pub(crate) const fn leaders(&self) -> &Leaders {
        &self.leaders
    }

    /// The folder of each node, and its process, if it runs.
    pub(crate) fn processes(&self) -> impl Iterator<Item = (PathBuf, Option<u32>)> {
        self.ids.iter().map(|id| {
            let process = self.running.get(id).and_then(Child::id);
            (self.folder.join(id.as_str()), process)
        })
    }

    /// Starts a node that does not run, with the data that it has.
    pub(crate) fn start_node(&mut self, id: &NodeId) -> Result<(), Failure> {
        let data = self.folder.join(id.as_str());
        let child = program::storage(program(&self.url)?, id, &self.ids, &data)?;
        self.running.insert(id.clone(), child);
        Ok(())
    }

    /// Kills a node with SIGKILL. Returns when the signal was sent, and when the process was gone.
    pub(crate) async fn kill(&mut self, id: &NodeId) -> Result<(Instant, Instant), Failure> {
        let child = self.running.remove(id);
        let mut child = child.ok_or_else(|| Failure::new(format!("`{id}` does not run")))?;
        let killed = Instant::now();
        child.kill().await?;
        self.leaders.died(id);
        Ok((killed, Instant::now()))
    }

    /// Makes a node stand still (SIGSTOP). Returns when.
    pub(crate) fn pause(&self, id: &NodeId) -> Result<Instant, Failure> {
        let paused = Instant::now();
        self.signal(id, Signal::STOP)?;
        Ok(paused)
    }

    /// Lets it go on, and waits until all have said anew what they lead.
    pub(crate) async fn resume(&mut self, id: &NodeId) -> Result<(), Failure> {
        self.signal(id, Signal::CONT)?;
        self.heard().await
    }

    fn signal(&self, id: &NodeId, signal: Signal) -> Result<(), Failure> {
        let child = self.running.get(id).and_then(program::pid);
        let pid = child.ok_or_else(|| Failure::new(format!("`{id}` does not run")))?;
        kill_process(pid, signal).map_err(Failure::new)
    }

    /// Kills all of them and waits until they are gone.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        for child in self.running.values_mut() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Returns when all nodes live and each leads its share of the partitions.
    pub(crate) async fn settled(&mut self) -> Result<(), Failure> {
        let nodes = self.ids.len();
        let settled = tokio::time::timeout(SETTLED, async {
            while !self.leaders.are_settled(nodes) {
                self.heartbeat().await?;
            }
            Ok(())
        });
        settled.await.unwrap_or_else(|_| {
            let seconds = SETTLED.as_secs();
            let leaders = &self.leaders;
            Err(Failure::new(format!(
                "the storage nodes do not lead their shares after {seconds} s: {leaders:?}"
            )))
        })
    }

    /// Returns when every node has said something that it did not know before the call: who asks
    /// for its figures then gets those of now.
    async fn heard(&mut self) -> Result<(), Failure> {
        while let Some(old) = self.heartbeat().now_or_never() {
            old?;
        }
        let mut silent: BTreeSet<NodeId> = self.running.keys().cloned().collect();
        while !silent.is_empty() {
            silent.remove(&self.heartbeat().await?);
        }
        Ok(())
    }

    /// Syncs of all nodes since they began, if each of them says so: the field `syncs` of what they
    /// tell service discovery.
    pub(crate) async fn syncs(&mut self) -> Result<Option<u64>, Failure> {
        self.heard().await?;
        let services = services(&self.link).await?;
        let storage = services.iter().filter(|service| service.role == Role::Storage);
        let counts: Option<Vec<u64>> = storage.map(|node| node.load["syncs"].as_u64()).collect();
        Ok(counts.filter(|counts| counts.len() == self.count()).map(|c| c.iter().sum()))
    }

    /// Takes the next heartbeat; an error if a node ends instead.
    async fn heartbeat(&mut self) -> Result<NodeId, Failure> {
        if self.running.is_empty() {
            return Err(Failure::new("no storage node runs"));
        }
        let ends = self.running.iter_mut().map(|(id, child)| {
            Box::pin(async move {
                let _ = child.wait().await;
                id.clone()
            })
        });
        let message = tokio::select! {
            message = self.heartbeats.next() => Ok(message),
            (id, _, _) = select_all(ends) => Err(id),
        };
        let message = message.map_err(|id| self.ended(&id))?;
        let message = message.ok_or_else(|| Failure::new("the connection to NATS was closed"))?;
        let heartbeat: Heartbeat = codec::decode(&message.payload).map_err(Failure::new)?;
        let node = heartbeat.node.clone();
        self.leaders.saw(heartbeat);
        Ok(node)
    }

    fn ended(&self, id: &NodeId) -> Failure {
        let log = self.folder.join(format!("{id}.log"));
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let last = log.lines().last().unwrap_or("it logged nothing");
        Failure::new(format!("storage node `{id}` ended: {last}"))
    }
}
