//! The commands, one file each.

mod dev;
mod health;
mod scheduler;
mod service_flags;
mod storage;
mod worker;

use crate::failure::Failure;
use catena_link::Settings;
use clap::Subcommand;
use std::process::ExitCode;

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole cluster in this process, with a NATS server unless one is named
    Dev(dev::Dev),
    /// Run a scheduler
    Scheduler(scheduler::Scheduler),
    /// Run a worker with the built-in operators
    Worker(worker::Worker),
    /// Run a storage node
    Storage(storage::Storage),
    /// Exit with 0 if a service of this role on this host answers
    Health(health::Health),
}

impl Command {
    /// What is logged unless `--log` says otherwise.
    pub(crate) const fn default_log(&self) -> &'static str {
        match self {
            Self::Scheduler(_) | Self::Worker(_) | Self::Storage(_) => "info,async_nats=warn",
            Self::Dev(_) => "warn,async_nats=error",
            _ => "error",
        }
    }

    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        match self {
            Self::Dev(dev) => dev.run(settings).await,
            Self::Scheduler(scheduler) => scheduler.run(settings).await,
            Self::Worker(worker) => worker.run(settings).await,
            Self::Storage(storage) => storage.run(settings).await,
            Self::Health(health) => health.run(settings).await,
        }
    }
}
