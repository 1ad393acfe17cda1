//! A real `nats-server` as a child of this process, for `catena dev`, benchmarks and tests.
//!
//! Promise: it listens on loopback only, keeps its data where it is told, is ready when `start`
//! returns, and ends with this process. Unknown here: anything of Catena.

mod cluster;
mod find;
mod live;
mod monitoring;

pub use cluster::ServerCluster;
pub use find::{NotFound, find};
pub use live::kill_all;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How the server is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder for its data, configuration and log.
    pub folder: PathBuf,
    /// Port on 127.0.0.1; 0: any free one.
    pub port: u16,
    /// Lines added to its configuration, for example `authorization { ... }`.
    pub extra: String,
}

/// A running server.
#[derive(Debug)]
pub struct NatsServer {
    child: Child,
    options: Options,
    name: String,
    monitoring: u16,
    /// Dropped with the child, which is killed then.
    _live: Option<live::Live>,
}

/// A server that did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no usable binary.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// A file or process operation failed.
    #[error("cannot start nats-server in `{folder}`: {source}")]
    Io {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It ended or said nothing in time.
    #[error("nats-server did not become ready; see `{log}`")]
    NotReady {
        /// Its log.
        log: PathBuf,
    },
    /// The servers of a cluster found no leader in time.
    #[error("the servers of the cluster have no JetStream leader; see the logs below `{folder}`")]
    NoLeader {
        /// Where their folders are.
        folder: PathBuf,
    },
}

#[derive(serde::Deserialize)]
struct Ports {
    nats: Vec<String>,
    monitoring: Vec<String>,
}

/// Where the server listens.
struct Listening {
    clients: u16,
    monitoring: u16,
}

const READY: Duration = Duration::from_secs(15);

impl NatsServer {
    /// Starts a server and waits until it accepts connections.
    ///
    /// # Errors
    /// [`StartError`] with what to look at.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        Self::start_named(options, "catena-dev".to_owned()).await
    }

    /// The same under a name that is its own among the servers of its cluster.
    pub(crate) async fn start_named(
        mut options: Options,
        name: String,
    ) -> Result<Self, StartError> {
        let binary = find()?;
        let folder = options.folder.clone();
        let failed = |source| StartError::Io { folder: folder.clone(), source };
        tokio::fs::create_dir_all(&options.folder).await.map_err(failed)?;
        let config = options.folder.join("nats.conf");
        tokio::fs::write(&config, configuration(&options, &name)).await.map_err(failed)?;
        let mut child = Command::new(binary)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal goes to the whole group: the server must outlive the drain.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        match tokio::time::timeout(READY, ready(&mut child, &options)).await {
            Ok(Some(Listening { clients, monitoring })) => {
                options.port = clients;
                let _live = child.id().map(live::Live::new);
                Ok(Self { child, options, name, monitoring, _live })
            }
            _ => Err(StartError::NotReady { log: options.folder.join("nats-server.log") }),
        }
    }

    /// Its address, as in `NATS_URL`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.options.port)
    }

    /// How many messages it has received since it started, from clients and from other servers.
    ///
    /// # Errors
    /// If its monitoring endpoint does not answer as expected.
    pub async fn received(&self) -> std::io::Result<u64> {
        let varz = monitoring::get(self.monitoring, "/varz").await?;
        varz["in_msgs"].as_u64().ok_or_else(|| std::io::Error::other("no `in_msgs` in /varz"))
    }

    /// The leader of a JetStream cluster of `size` servers, once this one knows it.
    pub(crate) async fn leader(&self, size: usize) -> Option<String> {
        let jsz = monitoring::get(self.monitoring, "/jsz").await.ok()?;
        let cluster = &jsz["meta_cluster"];
        let complete = cluster["cluster_size"].as_u64() == u64::try_from(size).ok();
        let leader = cluster["leader"].as_str().filter(|leader| complete && !leader.is_empty());
        leader.map(str::to_owned)
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Kills it without warning, as a crash would. `start_again` brings it back.
    ///
    /// # Errors
    /// If the process cannot be waited for.
    pub async fn kill(&mut self) -> std::io::Result<()> {
        self.child.kill().await
    }

    /// Starts it again on the same port with the same data.
    ///
    /// # Errors
    /// [`StartError`] with what to look at.
    pub async fn start_again(mut self) -> Result<Self, StartError> {
        let _ = self.kill().await;
        Self::start_named(self.options.clone(), self.name.clone()).await
    }

    /// Ends it in an orderly way.
    pub async fn stop(mut self) {
        if let Some(pid) = self.child.id() {
            let asked = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await;
            let ended = tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await;
            if asked.is_ok() && ended.is_ok() {
                return;
            }
        }
        let _ = self.kill().await;
    }
}

fn configuration(options: &Options, name: &str) -> String {
    let folder = options.folder.display();
    let port = if options.port == 0 { -1 } else { i32::from(options.port) };
    format!(
        "host: 127.0.0.1\nport: {port}\nhttp: \"127.0.0.1:-1\"\nserver_name: \"{name}\"\nports_file_dir: \"{folder}\"\n\
         log_file: \"{folder}/nats-server.log\"\nlogfile_size_limit: 10MB\n\
         jetstream {{ store_dir: \"{folder}/jetstream\", sync_interval: always }}\n{}\n",
        options.extra
    )
}

/// The server writes its ports to a file named after its process once it listens.
async fn ready(child: &mut Child, options: &Options) -> Option<Listening> {
    let file = options.folder.join(format!("nats-server_{}.ports", child.id()?));
    let port_of =
        |urls: &[String]| -> Option<u16> { urls.first()?.rsplit(':').next()?.parse().ok() };
    loop {
        if let Ok(Some(_)) = child.try_wait() {
            return None;
        }
        if let Ok(text) = tokio::fs::read_to_string(&file).await
            && let Ok(ports) = serde_json::from_str::<Ports>(&text)
            && let Some(clients) = port_of(&ports.nats)
            && let Some(monitoring) = port_of(&ports.monitoring)
            && tokio::net::TcpStream::connect(("127.0.0.1", clients)).await.is_ok()
        {
            return Some(Listening { clients, monitoring });
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
