//! A service in a process of its own, to be stopped in every way that there is.

use catena_testing::within;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use tokio::process::{Child, Command};

/// A running `catena`.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the binary; what it logs goes to `log`.
    pub(crate) fn start(log: PathBuf, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_catena"));
        for name in ["NATS_URL", "NATS_USER", "NATS_CONTEXT", "CATENA_PREFIX", "CATENA_LOG"] {
            command.env_remove(name);
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        Self { child: command.kill_on_drop(true).spawn().unwrap(), log }
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends it a signal by name, as in `STOP`.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().await.unwrap();
        assert!(sent.success(), "kill -s {name} {pid}");
    }

    /// Kills it without warning.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, seconds: u64) -> ExitStatus {
        within(seconds, "the end of a process", self.child.wait()).await.unwrap()
    }
}
