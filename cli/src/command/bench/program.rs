//! This same program in a process of its own.

use std::process::Stdio;
use tokio::process::Command;

/// A command of this program that uses the servers at `url` and nothing that the environment says
/// about NATS or Catena. Its process is killed when it is dropped.
pub(crate) fn program(url: &str) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("NATS_") || name.starts_with("CATENA_") {
            command.env_remove(&*name);
        }
    }
    command.args(["--server", url]).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    Ok(command)
}
