//! This same program in a process of its own.

use catena_protocol::NodeId;
use catena_service::Shutdown;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::process::{Child, Command};

/// A command of this program that uses the servers at `url` and nothing that the environment says
/// about NATS or Catena. Its process is killed when it is dropped.
pub(crate) fn program(url: &str) -> io::Result<Command> {
    Ok(at(&std::env::current_exe()?, url))
}

/// The same of the program at `path`.
pub(crate) fn at(path: &Path, url: &str) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("NATS_") || name.starts_with("CATENA_") {
            command.env_remove(&*name);
        }
    }
    command.args(["--server", url]).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command
}

/// Starts one of several storage nodes with what is in its folder. What it logs goes to a file
/// beside that.
pub(crate) fn storage(
    mut command: Command,
    id: &NodeId,
    founders: &[NodeId],
    data: &Path,
) -> io::Result<Child> {
    if founders.len() > 1 {
        let members: Vec<&str> = founders.iter().map(NodeId::as_str).collect();
        command.env("CATENA_MEMBERS", members.join(","));
    }
    command.args(["storage", "--id", id.as_str(), "--data"]).arg(data);
    let log = OpenOptions::new().create(true).append(true).open(data.with_extension("log"))?;
    command.stderr(log).spawn()
}

/// Waits until the process ends, which is an error before it was asked to.
pub(crate) async fn supervised(mut child: Child, mut shutdown: Shutdown) -> Result<(), String> {
    tokio::select! {
        ended = child.wait() => return Err(format!("its process ended: {}", said(ended))),
        () = shutdown.requested() => {}
    }
    if let Some(pid) = pid(&child) {
        kill_process(pid, Signal::TERM).map_err(|error| error.to_string())?;
    }
    match child.wait().await {
        Ok(status) if status.success() => Ok(()),
        ended => Err(said(ended)),
    }
}

/// Its process id, as long as it runs.
pub(crate) fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()?).ok()?)
}

fn said(ended: io::Result<std::process::ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}
