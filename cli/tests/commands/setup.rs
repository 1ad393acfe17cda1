//! A cluster in this process, and the binary run against it.

use catena_cli::cluster::{Cluster, Plan};
use catena_testing::within;
use serde_json::Value;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A cluster and the folder of its data.
pub(crate) struct Setup {
    cluster: Cluster,
    url: String,
    _data: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Setup {
    pub(crate) async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let plan = Plan::new(data.path());
        let cluster =
            within(60, "the start of a cluster", Box::pin(Cluster::start(plan))).await.unwrap();
        let url = cluster.settings().url.clone().unwrap();
        Self { cluster, url, _data: data }
    }

    pub(crate) async fn stop(self) {
        within(60, "the end of a cluster", self.cluster.stop()).await.unwrap();
    }

    pub(crate) async fn link(&self) -> catena_link::Link {
        catena_link::connect(self.cluster.settings().clone(), "test", false).await.unwrap()
    }

    /// Runs a command with nothing on standard input.
    pub(crate) async fn catena(&self, arguments: &[&str]) -> Said {
        self.catena_with(arguments, b"").await
    }

    /// Runs a command with `input` on standard input.
    pub(crate) async fn catena_with(&self, arguments: &[&str], input: &[u8]) -> Said {
        let mut all = vec!["--server", &self.url];
        all.extend(arguments);
        catena(&all, input).await
    }

    /// Runs a command that must succeed; what it printed.
    pub(crate) async fn good(&self, arguments: &[&str]) -> String {
        let said = self.catena(arguments).await;
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        said.text()
    }

    /// Runs a command that must succeed; what it printed, as JSON.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.good(arguments).await).unwrap()
    }

    /// Runs a command that must fail with this exit code and this in its message.
    pub(crate) async fn bad(&self, code: i32, message: &str, arguments: &[&str]) -> Said {
        let said = self.catena(arguments).await;
        assert_eq!(said.code, code, "{arguments:?}: {said:?}");
        assert!(said.err.contains(message), "{arguments:?}: {said:?}");
        said
    }
}

impl Said {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.out.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap()
    }
}

impl Setup {
    /// The binary, to be talked to while it runs.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare();
        command.args(["--server", &self.url]).args(arguments);
        command
    }
}

/// Runs the binary.
pub(crate) async fn catena(arguments: &[&str], input: &[u8]) -> Said {
    let mut child = bare().args(arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command that does not read its input closes the pipe.
    let writing = tokio::spawn(async move { stdin.write_all(&input).await });
    let output = within(60, "the end of a command", child.wait_with_output()).await.unwrap();
    let _ = writing.await.unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: output.stdout,
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_catena"));
    for name in ["NATS_URL", "NATS_USER", "NATS_CONTEXT", "CATENA_PREFIX", "CATENA_LOG"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}
