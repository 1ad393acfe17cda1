//! One storage node: its process, its disk, its way to the NATS server.

use crate::process::Process;
use crate::proxy::Proxy;
use crate::schedule::{NODES, SMALL_DISK};
use crate::small_disk::SmallDisk;
use std::io;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// A storage node, running or not.
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) process: Process,
    pub(crate) proxy: Proxy,
    /// Only where it can be mounted.
    pub(crate) disk: Option<SmallDisk>,
    program: PathBuf,
    folder: PathBuf,
}

impl Node {
    /// Starts node number `number` with an empty folder below `folder`.
    pub(crate) async fn start(
        number: usize,
        program: &Path,
        folder: &Path,
        nats: u16,
    ) -> io::Result<Self> {
        let id = id(number);
        let data = folder.join(&id);
        std::fs::create_dir_all(&data)?;
        let disk = if number == SMALL_DISK { SmallDisk::mount(&data).ok() } else { None };
        let proxy = Proxy::start(nats).await?;
        let command = command(Command::new(program), &id, folder, &proxy);
        let process = Process::start(command, &log(folder, &id))?;
        let (program, folder) = (program.to_owned(), folder.to_owned());
        Ok(Self { id, process, proxy, disk, program, folder })
    }

    /// Starts it again with what is in its folder. Whatever ran before is killed.
    pub(crate) async fn start_again(&mut self) -> io::Result<()> {
        self.launch(Command::new(&self.program)).await
    }

    /// The same, but in each thread the `sync`th sync that it asks for fails.
    pub(crate) async fn start_with_failing_sync(&mut self, sync: u32) -> io::Result<()> {
        // As a grandchild (-D) strace leaves the node to be our child, so that a kill is a kill.
        let mut strace = Command::new("strace");
        strace.args(["-D", "-f", "-q", "--seccomp-bpf", "-o", "/dev/null"]);
        strace.args(["-e", "trace=fdatasync,fsync", "-e"]);
        strace.arg(format!("inject=fdatasync,fsync:error=EIO:when={sync}"));
        strace.arg(&self.program);
        self.launch(strace).await
    }

    async fn launch(&mut self, program: Command) -> io::Result<()> {
        self.process.kill().await?;
        let command = command(program, &self.id, &self.folder, &self.proxy);
        self.process = Process::start(command, &log(&self.folder, &self.id))?;
        Ok(())
    }

    /// Removes everything that it keeps. It must not run.
    pub(crate) fn lose_disk(&self) -> io::Result<()> {
        let data = self.folder.join(&self.id);
        std::fs::remove_dir_all(&data)?;
        std::fs::create_dir(&data)
    }
}

fn id(number: usize) -> String {
    format!("s{}", number + 1)
}

fn log(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.log"))
}

fn command(mut command: Command, id: &str, folder: &Path, proxy: &Proxy) -> Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("NATS_") || name.starts_with("CATENA_") {
            command.env_remove(&*name);
        }
    }
    command.env("CATENA_MEMBERS", (0..NODES).map(self::id).collect::<Vec<_>>().join(","));
    command.args(["--server", &proxy.url(), "storage", "--id", id, "--data"]);
    command.arg(folder.join(id));
    command
}
