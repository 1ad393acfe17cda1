//! `catena dev`: everything in one process.

use super::service_flags::ServiceFlags;
use crate::cluster::{Cluster, Plan};
use crate::failure::Failure;
use catena_link::Settings;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs a scheduler, workers and storage nodes in this process until Ctrl-C.
///
/// A NATS server is started as well, on loopback, unless `--server` or NATS_URL names one.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Number of workers
    #[arg(long, default_value_t = 2)]
    workers: usize,

    /// Number of schedulers
    #[arg(long, default_value_t = 1)]
    schedulers: usize,

    /// Number of storage nodes; fixed for the life of the data
    #[arg(long, default_value_t = 1)]
    storage: usize,

    /// Folder for all data
    #[arg(long, env = "CATENA_DATA", default_value = "catena-data", value_name = "FOLDER")]
    data: PathBuf,

    /// Port of the NATS server that is started, on 127.0.0.1; 0: any free one
    #[arg(long, default_value_t = 4222, value_name = "PORT")]
    nats_port: u16,

    #[command(flatten)]
    flags: ServiceFlags,
}

impl Dev {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        if [self.workers, self.schedulers, self.storage].contains(&0) {
            return Err(Failure::usage(
                "at least one worker, one scheduler and one storage node are needed",
            ));
        }
        self.flags.apply()?;
        let named = settings.url.is_some() || settings.context.is_some();
        if !named {
            check_port(self.nats_port)?;
        }
        let plan = Plan {
            nats: named.then_some(settings),
            nats_port: self.nats_port,
            storage: self.storage,
            schedulers: self.schedulers,
            workers: self.workers,
            ..Plan::new(&self.data)
        };
        let mut shutdown = catena_service::on_signals_then(catena_nats_server::kill_all);
        let mut cluster = tokio::select! {
            started = Cluster::start(plan) => started?,
            () = shutdown.requested() => return Ok(ExitCode::from(130)),
        };
        self.greet(&cluster)?;
        tokio::select! {
            () = shutdown.requested() => {
                eprintln!("draining; press Ctrl-C again to stop at once");
                cluster.stop().await?;
                Ok(ExitCode::SUCCESS)
            }
            failure = cluster.failed() => {
                // What still runs is ended in an orderly way; the first failure is what counts.
                let _ = cluster.stop().await;
                Err(failure)
            }
        }
    }

    fn greet(&self, cluster: &Cluster) -> Result<(), Failure> {
        let data = self.data.canonicalize().unwrap_or_else(|_| self.data.clone());
        let servers = cluster.settings().servers()?.join(",");
        let greeting = format!(
            "catena is ready: {} scheduler(s), {} worker(s), {} storage node(s)\n  \
             NATS   {servers}\n  data   {}\n  \
             try    nats req catena.run.inline -H Catena-Chain:trim,uppercase ' hello '\n         \
             catena run --inline trim,uppercase ' hello '\n  stop   Ctrl-C",
            self.schedulers,
            self.workers,
            self.storage,
            data.display()
        );
        // A cluster does not end because nobody reads its greeting.
        let _ = crate::output::line(greeting);
        Ok(())
    }
}

fn check_port(port: u16) -> Result<(), Failure> {
    match std::net::TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(format!(
            "cannot start NATS on 127.0.0.1:{port}: {error}; use the server that runs there with \
             `--server nats://127.0.0.1:{port}`, or choose another port with `--nats-port`"
        ))),
    }
}
