//! For tests only: a real NATS server in a folder that is gone afterwards.
#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "tests end where this fails")]

use catena_link::{Link, Settings, connect};
use catena_nats_server as server;
use std::time::Duration;

/// A NATS server with JetStream on a free port of loopback.
#[derive(Debug)]
pub struct NatsServer {
    server: Option<server::NatsServer>,
    url: String,
    folder: tempfile::TempDir,
}

impl NatsServer {
    /// Starts one.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts one with lines added to its configuration.
    pub async fn start_with(extra: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options =
            server::Options { folder: folder.path().to_owned(), port: 0, extra: extra.to_owned() };
        let server = server::NatsServer::start(options).await.expect("nats-server starts");
        Self { url: server.url(), server: Some(server), folder }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A folder that lives as long as the server, for other data of the test.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A connection to it.
    pub async fn connect(&self, name: &str) -> Link {
        connect(self.settings(), name, false).await.expect("a connection")
    }

    /// Settings to connect to it.
    pub fn settings(&self) -> Settings {
        Settings::url(&self.url)
    }

    /// Kills it as a crash would.
    pub async fn kill(&mut self) {
        self.server.as_mut().expect("it runs").kill().await.expect("it can be killed");
    }

    /// Starts it again on the same port with the same data.
    pub async fn start_again(&mut self) {
        let server = self.server.take().expect("it ran before");
        self.server = Some(server.start_again().await.expect("nats-server starts again"));
    }
}

/// Waits for something that must happen within `seconds`.
pub async fn within<T>(seconds: u64, what: &str, happens: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(seconds), happens).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen within {seconds} s"),
    }
}
