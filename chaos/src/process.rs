//! A child process that is killed when it is dropped, and what it logged.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// A running process.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; what it logs is added to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        // Ctrl-C in a terminal goes to the whole group: the nodes must outlive the judgement.
        command.process_group(0).kill_on_drop(true);
        Ok(Self { child: command.spawn()?, log: log.to_owned() })
    }

    /// Sends a signal by name, as in `STOP`.
    pub(crate) async fn signal(&self, name: &str) -> io::Result<()> {
        match self.child.id() {
            Some(pid) => signal(pid, name).await,
            None => Err(io::Error::other("the process has ended")),
        }
    }

    /// Kills it without warning, stopped or not, and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// How it ended; none: it runs.
    pub(crate) fn has_ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// How it ends within `limit`; none: it runs on.
    pub(crate) async fn ends(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        tokio::time::timeout(limit, self.child.wait()).await.ok().transpose()
    }

    /// The last line that it logged.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().last().unwrap_or("it logged nothing").to_owned()
    }
}

/// Sends a process a signal by name.
pub(crate) async fn signal(pid: u32, name: &str) -> io::Result<()> {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().await?;
    if sent.success() { Ok(()) } else { Err(io::Error::other(format!("kill -s {name}: {sent}"))) }
}
