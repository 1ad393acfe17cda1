//! The commands, one file each.

mod bench;
mod chain;
mod cluster;
mod demo;
mod dev;
mod explain;
mod health;
mod job;
mod job_flags;
mod kv;
mod operators;
mod run;
mod scheduler;
mod service_flags;
mod status;
mod storage;
mod submit;
mod worker;

use crate::failure::Failure;
use catena_link::Settings;
use clap::Subcommand;
use std::process::ExitCode;

/// What can be done. A command says about itself what it does, where there is more than a line
/// to say.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::Demo),
    /// Run a whole cluster in this process, with a NATS server unless one is named
    Dev(dev::Dev),
    Run(run::Run),
    Submit(submit::Submit),
    Job(job::Job),
    Kv(kv::Kv),
    Chain(chain::Chain),
    Operators(operators::Operators),
    Status(status::Status),
    Cluster(cluster::Cluster),
    /// Run a scheduler
    Scheduler(scheduler::Scheduler),
    /// Run a worker with the built-in operators
    Worker(worker::Worker),
    /// Run a storage node
    Storage(storage::Storage),
    /// Measure chains and store operations beside the bare cost of NATS
    Bench(bench::Bench),
    /// One replica of the floor of `bench`, in a process of its own
    #[command(hide = true)]
    BareReplica(bench::BareReplica),
    /// Exit with 0 if a service of this role on this host answers
    Health(health::Health),
}

impl Command {
    /// Whether it keeps away from every server that no flag names: the environment often names
    /// one that is in use.
    pub(crate) const fn is_alone(&self) -> bool {
        matches!(self, Self::Demo(_))
    }

    /// Whether it is one loop beside threads of its own. Then the connection is served by the same
    /// thread: handing each message from one thread to another costs more than what it asks for.
    pub(crate) const fn is_one_loop(&self) -> bool {
        matches!(self, Self::Storage(_))
    }

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
            Self::Demo(demo) => Box::pin(demo.run(settings)).await,
            Self::Dev(dev) => dev.run(settings).await,
            Self::Run(run) => run.run(settings).await,
            Self::Submit(submit) => submit.run(settings).await,
            Self::Job(job) => job.run(settings).await,
            Self::Kv(kv) => kv.run(settings).await,
            Self::Chain(chain) => chain.run(settings).await,
            Self::Operators(operators) => operators.run(settings).await,
            Self::Status(status) => status.run(settings).await,
            Self::Cluster(cluster) => cluster.run(settings).await,
            Self::Scheduler(scheduler) => scheduler.run(settings).await,
            Self::Worker(worker) => worker.run(settings).await,
            Self::Storage(storage) => storage.run(settings).await,
            Self::Bench(bench) => bench.run().await,
            Self::BareReplica(replica) => replica.run(settings).await,
            Self::Health(health) => health.run(settings).await,
        }
    }
}
