//! The cluster under attack: a NATS server, three storage nodes, and, where jobs are run, workers
//! and schedulers, all of them processes.
//!
//! Whatever of it ends without having been asked to is a complaint, and is started again.

use crate::failure::Failure;
use crate::node::{Node, Programs};
use catena_link::{Link, Settings, connect};
use catena_nats_server::{NatsServer, Options};
use catena_protocol::subject::Role;
use rand::Rng;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long nodes may take to serve after everything is healed.
const READY: Duration = Duration::from_secs(40);
/// Between two looks whether a node serves.
const LOOK: Duration = Duration::from_millis(25);

/// A running cluster. Dropped, all its processes are killed.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    /// None while it is being started again.
    pub(crate) nats: Option<NatsServer>,
    link: Link,
    pub(crate) complaints: Vec<String>,
}

impl Cluster {
    /// Starts one of services of these roles with everything below `folder`, and waits until it
    /// serves.
    pub(crate) async fn start(
        programs: &Programs,
        roles: &[Role],
        folder: &Path,
    ) -> Result<Self, Failure> {
        let port = free_port()?;
        let options = Options { folder: folder.join("nats"), port, extra: String::new() };
        let nats = NatsServer::start(options).await?;
        let mut nodes = Vec::with_capacity(roles.len());
        for number in 0..roles.len() {
            nodes.push(Node::start(number, roles, programs, folder, port).await?);
        }
        let link = connect(Settings::url(nats.url()), "catena-chaos-watch", true).await?;
        let mut cluster = Self { nodes, nats: Some(nats), link, complaints: Vec::new() };
        cluster.ready().await?;
        match cluster.complaints.pop() {
            None => Ok(cluster),
            Some(complaint) => Err(Failure::Start(complaint)),
        }
    }

    /// Where clients connect.
    pub(crate) fn url(&self) -> Option<String> {
        self.nats.as_ref().map(NatsServer::url)
    }

    /// Connection of the driver itself.
    pub(crate) const fn link(&self) -> &Link {
        &self.link
    }

    /// Waits until every service answers; complains about those that do not, or that ended.
    pub(crate) async fn ready(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + READY;
        for number in 0..self.nodes.len() {
            while !self.answers(number).await {
                self.revive().await?;
                if Instant::now() > deadline {
                    let node = &self.nodes[number];
                    let (id, last) = (&node.id, node.process.last_words());
                    let what = format!("`{id}` does not serve after {READY:?}; its log: {last}");
                    self.complaints.push(what);
                    return Ok(());
                }
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    async fn answers(&self, number: usize) -> bool {
        let Node { role, id, .. } = &self.nodes[number];
        let subject = format!("$SRV.PING.catena-{role}.{id}");
        let asked = self.link.client.request(subject, "".into());
        matches!(tokio::time::timeout(Duration::from_secs(1), asked).await, Ok(Ok(_)))
    }

    /// Nodes that ended by themselves are complained about and started again.
    pub(crate) async fn revive(&mut self) -> Result<(), Failure> {
        for node in &mut self.nodes {
            if let Some(status) = node.process.has_ended()? {
                let (id, last) = (&node.id, node.process.last_words());
                self.complaints.push(format!("`{id}` ended by itself ({status}); its log: {last}"));
                node.start_again().await?;
            }
        }
        Ok(())
    }
}

/// A port that no outgoing connection can take meanwhile: below those that Linux gives out itself.
/// The server must get the same one each time that it starts.
fn free_port() -> Result<u16, Failure> {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut rng = rand::rng();
    let port = (0..100).map(|_| rng.random_range(11_000..32_000)).find(free);
    port.ok_or_else(|| Failure::Start("no free port was found on 127.0.0.1".to_owned()))
}
