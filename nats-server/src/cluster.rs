//! Several servers that form one cluster, with JetStream replicated among them.
//!
//! Promise: when `start` returns every server follows the same JetStream leader. Routes need
//! ports that are known beforehand: free ones are looked for, and others if somebody was faster.

use crate::{NatsServer, Options, StartError};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Running servers of one cluster. Dropped, all of them are killed.
#[derive(Debug)]
pub struct ServerCluster {
    servers: Vec<NatsServer>,
}

/// How long the election of the first leader may take.
const ELECTED: Duration = Duration::from_secs(30);
/// Between two questions whether there is a leader.
const PAUSE: Duration = Duration::from_millis(20);
/// How often other ports are tried.
const TRIES: usize = 3;

impl ServerCluster {
    /// Starts `size` servers with JetStream, each with `sync_interval: always` and its data in a
    /// folder of its own below `folder`, and waits until they have a leader.
    ///
    /// # Errors
    /// [`StartError`] with what to look at; no server is left running.
    pub async fn start(folder: &Path, size: usize) -> Result<Self, StartError> {
        let mut tried = 1;
        let servers = loop {
            match together(folder, size).await {
                Err(StartError::NotReady { .. }) if tried < TRIES => tried += 1,
                started => break started?,
            }
        };
        let cluster = Self { servers };
        match tokio::time::timeout(ELECTED, cluster.elected()).await {
            Ok(()) => Ok(cluster),
            Err(_) => Err(StartError::NoLeader { folder: folder.to_owned() }),
        }
    }

    /// Its servers.
    pub fn servers(&self) -> &[NatsServer] {
        &self.servers
    }

    /// The addresses of all servers, separated by commas, as in `NATS_URL`.
    pub fn url(&self) -> String {
        self.servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",")
    }

    /// How many messages its servers have received since they started, from clients and from each
    /// other.
    ///
    /// # Errors
    /// If a monitoring endpoint does not answer as expected.
    pub async fn received(&self) -> std::io::Result<u64> {
        let mut all = 0;
        for server in &self.servers {
            all += server.received().await?;
        }
        Ok(all)
    }

    /// Ends all servers in an orderly way.
    pub async fn stop(self) {
        for server in self.servers {
            server.stop().await;
        }
    }

    /// Returns when all servers name a leader of all of them.
    async fn elected(&self) {
        for server in &self.servers {
            while server.leader(self.servers.len()).await.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn together(folder: &Path, size: usize) -> Result<Vec<NatsServer>, StartError> {
    let failed = |source| StartError::Io { folder: folder.to_owned(), source };
    let ports = free_ports(size).map_err(failed)?;
    let routes: Vec<String> =
        ports.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
    let starting = ports.iter().enumerate().map(|(n, port)| {
        let name = format!("catena-{}", n + 1);
        let extra = format!(
            "cluster {{ name: \"catena\", listen: \"127.0.0.1:{port}\", routes: [{}] }}",
            routes.join(", ")
        );
        tokio::spawn(NatsServer::start_named(options(folder.join(&name), extra), name))
    });
    let starting: Vec<_> = starting.collect();
    let mut servers = Vec::with_capacity(size);
    for server in starting {
        servers.push(server.await.map_err(|error| failed(std::io::Error::other(error)))??);
    }
    Ok(servers)
}

fn options(folder: PathBuf, extra: String) -> Options {
    Options { folder, port: 0, extra }
}

/// Ports that nobody listens on, for the moment.
fn free_ports(count: usize) -> std::io::Result<Vec<u16>> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
