//! Storage nodes in this process with settings of their own.

use super::{Answer, Platform, eventually, registry};
use catena_cli::cluster::Plan;
use catena_protocol::NodeId;
use catena_service::{ShutdownHandle, shutdown};
use catena_storage::{Config, Founders};
use catena_testing::{NatsServer, within};
use tokio::task::JoinHandle;

/// A platform on storage nodes that are set as a test wants them.
pub(crate) struct Tuned {
    pub(crate) platform: Platform,
    nodes: Vec<Node>,
}

/// One storage node.
struct Node {
    config: Config,
    handle: ShutdownHandle,
    ended: JoinHandle<Result<(), catena_storage::Error>>,
}

impl Node {
    fn start(config: Config, nats: &NatsServer) -> Self {
        let (handle, asked) = shutdown();
        let running = catena_storage::run(config.clone(), nats.settings(), asked);
        Self { config, handle, ended: tokio::spawn(running) }
    }

    async fn stop(self) {
        self.handle.request();
        within(60, "the end of a storage node", self.ended).await.unwrap().unwrap();
    }
}

impl Tuned {
    /// Two schedulers, two workers and so many storage nodes.
    pub(crate) async fn start(nodes: usize, tune: impl Fn(&mut Config)) -> Self {
        Self::with(2, nodes, tune).await
    }

    /// The same with so many schedulers.
    pub(crate) async fn with(schedulers: usize, nodes: usize, tune: impl Fn(&mut Config)) -> Self {
        let nats = NatsServer::start().await;
        let name = |n: usize| NodeId::new(format!("storage-{n}")).unwrap();
        let founders: Vec<NodeId> = (1..=nodes).map(name).collect();
        let start = |id: &NodeId| {
            let mut config = Config::new(nats.folder().join("catena").join(id.as_str()));
            config.id = Some(id.clone());
            config.founders = Some(Founders::Named(founders.clone()));
            tune(&mut config);
            Node::start(config, &nats)
        };
        let nodes = founders.iter().map(start).collect();
        let plan = Plan {
            nats: Some(nats.settings()),
            schedulers,
            storage: 0,
            registry: registry(),
            ..Plan::new(nats.folder().join("catena"))
        };
        let platform = Platform::with(nats, plan).await;
        eventually(60, "a primary of every partition", async || {
            let asked = platform.client.request("catena.storage.scan", "".into()).await;
            let answer = Answer::from(asked.ok()?);
            answer.header("Nats-Service-Error").is_none().then_some(())
        })
        .await;
        Self { platform, nodes }
    }

    /// Ends the first storage node and starts it again.
    pub(crate) async fn restart(&mut self) {
        let node = self.nodes.remove(0);
        let config = node.config.clone();
        node.stop().await;
        self.nodes.insert(0, Node::start(config, &self.platform.nats));
    }

    pub(crate) async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
        self.platform.stop().await;
    }
}
