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
    nodes: Vec<(ShutdownHandle, JoinHandle<Result<(), catena_storage::Error>>)>,
}

impl Tuned {
    /// Two schedulers, two workers and so many storage nodes.
    pub(crate) async fn start(nodes: usize, tune: impl Fn(&mut Config)) -> Self {
        let nats = NatsServer::start().await;
        let name = |n: usize| NodeId::new(format!("storage-{n}")).unwrap();
        let founders: Vec<NodeId> = (1..=nodes).map(name).collect();
        let start = |id: &NodeId| {
            let mut config = Config::new(nats.folder().join("catena").join(id.as_str()));
            config.id = Some(id.clone());
            config.founders = Some(Founders::Named(founders.clone()));
            tune(&mut config);
            let (handle, asked) = shutdown();
            (handle, tokio::spawn(catena_storage::run(config, nats.settings(), asked)))
        };
        let nodes = founders.iter().map(start).collect();
        let plan = Plan {
            nats: Some(nats.settings()),
            schedulers: 2,
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

    pub(crate) async fn stop(self) {
        for (handle, node) in self.nodes {
            handle.request();
            within(60, "the end of a storage node", node).await.unwrap().unwrap();
        }
        self.platform.stop().await;
    }
}
