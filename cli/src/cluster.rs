//! A whole cluster in this process, for `catena dev`, the demo, benchmarks and tests.

use crate::failure::Failure;
use crate::program;
use catena_link::{Link, Settings, close, connect};
use catena_nats_server::{NatsServer, Options};
use catena_protocol::NodeId;
use catena_protocol::subject::Role;
use catena_service::{Shutdown, ShutdownHandle, shutdown};
use catena_worker::operator::Registry;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::JoinHandle;

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Folder for all its data.
    pub data: PathBuf,
    /// Where NATS is; none: a server is started on `nats_port`.
    pub nats: Option<Settings>,
    /// Port of the NATS server that is started; 0: any free one.
    pub nats_port: u16,
    /// Number of storage nodes, fixed for the life of the data: `storage-1` and so on, each with a
    /// folder of its name. More than one need JetStream.
    pub storage: usize,
    /// Number of schedulers.
    pub schedulers: usize,
    /// Number of workers.
    pub workers: usize,
    /// What the workers can run.
    pub registry: Registry,
    /// One storage node that runs in a process of its own, so that [`Cluster::kill_service`] is a
    /// SIGKILL: its id, and the program `catena`. Only with a NATS server that is started for it.
    pub apart: Option<(String, PathBuf)>,
}

impl Plan {
    /// One storage node, one scheduler and two workers with a NATS server of their own, data in `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            nats: None,
            nats_port: 0,
            storage: 1,
            schedulers: 1,
            workers: 2,
            registry: Registry::built_in(),
            apart: None,
        }
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    settings: Settings,
    nats: Option<NatsServer>,
    /// The storage nodes that found it, whether they run or not.
    founders: Vec<NodeId>,
    apart: Option<(String, PathBuf)>,
    services: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    role: Role,
    id: NodeId,
    handle: ShutdownHandle,
    task: JoinHandle<Result<(), String>>,
}

/// How long a service may take to become ready: a storage node may have much log to read.
const READY: Duration = Duration::from_secs(60);
/// The order in which roles end: first those that bring work in.
const END_ORDER: [Role; 3] = [Role::Scheduler, Role::Worker, Role::Storage];

impl Cluster {
    /// Starts everything and waits until every service answers.
    ///
    /// # Errors
    /// What did not start, and why.
    pub async fn start(plan: Plan) -> Result<Self, Failure> {
        let (settings, nats) = match &plan.nats {
            Some(settings) => (settings.clone(), None),
            None => {
                let folder = plan.data.join("nats");
                let extra = String::new();
                let options = Options { folder, port: plan.nats_port, extra };
                let server = NatsServer::start(options).await?;
                (Settings::url(server.url()), Some(server))
            }
        };
        let named = |n| NodeId::new(format!("storage-{n}")).map_err(Failure::usage);
        let founders = (1..=plan.storage).map(named).collect::<Result<Vec<_>, _>>()?;
        let apart = plan.apart.filter(|_| nats.is_some());
        let mut cluster = Self { settings, nats, founders, apart, services: Vec::new() };
        for id in cluster.founders.clone() {
            cluster.add_storage(id.as_str(), plan.data.join(id.as_str()))?;
        }
        for n in 1..=plan.schedulers {
            cluster.add_scheduler(&format!("scheduler-{n}"))?;
        }
        for n in 1..=plan.workers {
            cluster.add_worker(&format!("worker-{n}"), plan.registry.clone())?;
        }
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Adds one of the storage nodes of the plan, which keeps its data in `data`: again after it
    /// was stopped or killed, or with an empty folder in its place.
    ///
    /// # Errors
    /// If `id` is no node id. One that is not of the plan ends at once.
    pub fn add_storage(&mut self, id: &str, data: PathBuf) -> Result<(), Failure> {
        let apart = self.apart.as_ref().filter(|(apart, _)| apart == id);
        if let (Some((_, path)), Some(url)) = (apart, &self.settings.url) {
            let (command, founders) = (program::at(path, url), self.founders.clone());
            return self.add(Role::Storage, id, move |id, shutdown| async move {
                let child = program::storage(command, &id, &founders, &data);
                program::supervised(child.map_err(|e| e.to_string())?, shutdown).await
            });
        }
        let settings = self.settings.clone();
        let founders = Some(catena_storage::Founders::Named(self.founders.clone()));
        self.add(Role::Storage, id, move |id, shutdown| async move {
            let defaults = catena_storage::Config::new(data);
            let config = catena_storage::Config { id: Some(id), founders, ..defaults };
            catena_storage::run(config, settings, shutdown).await.map_err(|e| e.to_string())
        })
    }

    /// Adds a scheduler.
    ///
    /// # Errors
    /// If `id` is no node id.
    pub fn add_scheduler(&mut self, id: &str) -> Result<(), Failure> {
        let settings = self.settings.clone();
        self.add(Role::Scheduler, id, move |id, shutdown| async move {
            let config = catena_scheduler::Config { id: Some(id), ..Default::default() };
            catena_scheduler::run(config, settings, shutdown).await.map_err(|e| e.to_string())
        })
    }

    /// Adds a worker.
    ///
    /// # Errors
    /// If `id` is no node id.
    pub fn add_worker(&mut self, id: &str, registry: Registry) -> Result<(), Failure> {
        let settings = self.settings.clone();
        self.add(Role::Worker, id, move |id, shutdown| async move {
            let config = catena_worker::Config { id: Some(id), registry, ..Default::default() };
            catena_worker::run(config, settings, shutdown).await.map_err(|e| e.to_string())
        })
    }

    fn add<F, R>(&mut self, role: Role, id: &str, service: F) -> Result<(), Failure>
    where
        F: FnOnce(NodeId, Shutdown) -> R,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        let id = NodeId::new(id).map_err(Failure::usage)?;
        let (handle, asked) = shutdown();
        let task = tokio::spawn(service(id.clone(), asked));
        self.services.push(Running { role, id, handle, task });
        Ok(())
    }

    /// Waits until every service answers discovery.
    ///
    /// # Errors
    /// Which service ended, or did not answer in time.
    pub async fn ready(&mut self) -> Result<(), Failure> {
        let link = connect(self.settings.clone(), "catena-cluster", false).await?;
        for service in &mut self.services {
            let what = format!("{} `{}`", service.role, service.id);
            let subject = format!("$SRV.PING.catena-{}.{}", service.role, service.id);
            tokio::select! {
                answered = tokio::time::timeout(READY, answers(&link, subject)) => {
                    answered.map_err(|_| Failure::new(format!("{what} did not become ready")))?;
                }
                ended = &mut service.task => {
                    return Err(Failure::new(format!("{what} ended at once: {}", reason(ended))));
                }
            }
        }
        close(&link.client).await;
        Ok(())
    }

    /// How to reach it.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The server that was started for it, if one was.
    pub const fn nats(&mut self) -> Option<&mut NatsServer> {
        self.nats.as_mut()
    }

    /// Ends one service in an orderly way and waits for it.
    ///
    /// # Errors
    /// If there is none of this id, or it ended badly.
    pub async fn stop_service(&mut self, id: &str) -> Result<(), Failure> {
        let at = self.services.iter().position(|service| service.id.as_str() == id);
        let at = at.ok_or_else(|| Failure::new(format!("there is no service `{id}`")))?;
        let service = self.services.remove(at);
        service.handle.request();
        match service.task.await {
            Ok(Ok(())) => Ok(()),
            ended => Err(Failure::new(format!("`{id}` ended badly: {}", reason(ended)))),
        }
    }

    /// Ends one service without warning, as a crash would; one that runs apart with SIGKILL.
    ///
    /// # Errors
    /// If there is none of this id.
    pub async fn kill_service(&mut self, id: &str) -> Result<(), Failure> {
        let at = self.services.iter().position(|service| service.id.as_str() == id);
        let at = at.ok_or_else(|| Failure::new(format!("there is no service `{id}`")))?;
        let service = self.services.remove(at);
        service.task.abort();
        let _ = service.task.await;
        Ok(())
    }

    /// Returns when a service ends on its own, with what it said.
    pub async fn failed(&mut self) -> Failure {
        if self.services.is_empty() {
            return std::future::pending().await;
        }
        let tasks = self.services.iter_mut().map(|service| &mut service.task);
        let (ended, at, _) = futures_util::future::select_all(tasks).await;
        let service = self.services.remove(at);
        Failure::new(format!("{} `{}` ended: {}", service.role, service.id, reason(ended)))
    }

    /// Drains and ends everything, work before storage, storage before NATS.
    ///
    /// # Errors
    /// The first service that did not end well; the others are ended all the same.
    pub async fn stop(mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        for role in END_ORDER {
            let (ending, rest): (Vec<_>, Vec<_>) =
                self.services.drain(..).partition(|service| service.role == role);
            self.services = rest;
            ending.iter().for_each(|service| service.handle.request());
            for service in ending {
                match service.task.await {
                    Ok(Ok(())) => {}
                    ended => {
                        let what =
                            format!("{} `{}` ended badly: {}", role, service.id, reason(ended));
                        result = result.and(Err(Failure::new(what)));
                    }
                }
            }
        }
        if let Some(nats) = self.nats.take() {
            nats.stop().await;
        }
        result
    }
}

async fn answers(link: &Link, subject: String) {
    let mut pause = Duration::from_millis(2);
    while link.client.request(subject.clone(), "".into()).await.is_err() {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

fn reason(ended: Result<Result<(), String>, tokio::task::JoinError>) -> String {
    match ended {
        Ok(Ok(())) => "it was not asked to".to_owned(),
        Ok(Err(reason)) => reason,
        Err(error) => error.to_string(),
    }
}
