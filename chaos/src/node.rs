//! One service: its process, its way to the NATS server, and, of a storage node, its disk.

use crate::jobs::as_worker;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::schedule::{NODES, SMALL_DISK};
use crate::small_disk::SmallDisk;
use catena_protocol::subject::Role;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// What services are processes of.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The binary `catena`.
    pub(crate) catena: PathBuf,
    /// A program that calls `catena_chaos::work`, with its arguments.
    pub(crate) worker: Vec<OsString>,
}

/// A service, running or not.
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) role: Role,
    pub(crate) process: Process,
    pub(crate) proxy: Proxy,
    /// Of one storage node, and only where it can be mounted; else why there is none.
    pub(crate) disk: Result<SmallDisk, String>,
    programs: Programs,
    folder: PathBuf,
}

impl Node {
    /// Starts the service at `number` among those of the given roles; a storage node gets an empty
    /// folder below `folder`.
    pub(crate) async fn start(
        number: usize,
        roles: &[Role],
        programs: &Programs,
        folder: &Path,
        nats: u16,
    ) -> io::Result<Self> {
        let role = roles[number];
        let id = id(role, roles[..number].iter().filter(|before| **before == role).count());
        let data = folder.join(&id);
        std::fs::create_dir_all(&data)?;
        let disk = match number {
            SMALL_DISK => SmallDisk::mount(&data)
                .map_err(|error| format!("no file system can be mounted here: {error}")),
            _ => Err("it has no disk of its own".to_owned()),
        };
        let proxy = Proxy::start(nats).await?;
        let command = Command::new(program(role, programs)?);
        let command = command_of(command, role, &id, programs, folder, &proxy);
        let process = Process::start(command, &log(folder, &id))?;
        let (programs, folder) = (programs.clone(), folder.to_owned());
        Ok(Self { id, role, process, proxy, disk, programs, folder })
    }

    /// Starts it again with what is in its folder. Whatever ran before is killed.
    pub(crate) async fn start_again(&mut self) -> io::Result<()> {
        let program = Command::new(program(self.role, &self.programs)?);
        self.launch(program).await
    }

    /// The same, but in each thread the `sync`th sync that it asks for fails.
    pub(crate) async fn start_with_failing_sync(&mut self, sync: u32) -> io::Result<()> {
        // As a grandchild (-D) strace leaves the node to be our child, so that a kill is a kill.
        let mut strace = Command::new("strace");
        strace.args(["-D", "-f", "-q", "--seccomp-bpf", "-o", "/dev/null"]);
        strace.args(["-e", "trace=fdatasync,fsync", "-e"]);
        strace.arg(format!("inject=fdatasync,fsync:error=EIO:when={sync}"));
        strace.arg(program(self.role, &self.programs)?);
        self.launch(strace).await
    }

    async fn launch(&mut self, program: Command) -> io::Result<()> {
        self.process.kill().await?;
        let (id, folder) = (&self.id, &self.folder);
        let command = command_of(program, self.role, id, &self.programs, folder, &self.proxy);
        self.process = Process::start(command, &log(folder, id))?;
        Ok(())
    }

    /// Removes everything that it keeps. It must not run.
    pub(crate) fn lose_disk(&self) -> io::Result<()> {
        let data = self.folder.join(&self.id);
        std::fs::remove_dir_all(&data)?;
        std::fs::create_dir(&data)
    }
}

fn id(role: Role, number: usize) -> String {
    match role {
        Role::Storage => format!("s{}", number + 1),
        role => format!("{role}-{}", number + 1),
    }
}

fn log(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.log"))
}

fn program(role: Role, programs: &Programs) -> io::Result<OsString> {
    match role {
        Role::Worker => programs.worker.first().cloned(),
        _ => Some(programs.catena.clone().into()),
    }
    .ok_or_else(|| io::Error::other("the program of workers is not known"))
}

fn command_of(
    mut command: Command,
    role: Role,
    id: &str,
    programs: &Programs,
    folder: &Path,
    proxy: &Proxy,
) -> Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("NATS_") || name.starts_with("CATENA_") {
            command.env_remove(&*name);
        }
    }
    match role {
        Role::Worker => as_worker(command.args(&programs.worker[1..]), id, &proxy.url()),
        Role::Scheduler => command.args(["--server", &proxy.url(), "scheduler", "--id", id]),
        Role::Storage => {
            let members: Vec<String> = (0..NODES).map(|n| self::id(role, n)).collect();
            command.env("CATENA_MEMBERS", members.join(","));
            command.args(["--server", &proxy.url(), "storage", "--id", id, "--data"]);
            command.arg(folder.join(id))
        }
    };
    command
}
