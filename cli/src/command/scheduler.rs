//! `catena scheduler`

use super::service_flags::ServiceFlags;
use crate::failure::Failure;
use catena_link::Settings;
use clap::Args;
use std::process::ExitCode;

/// Runs a scheduler until SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct Scheduler {
    #[command(flatten)]
    flags: ServiceFlags,

    /// Copies of queue and definitions in a NATS cluster; counts when they are created
    #[arg(long, env = "CATENA_REPLICAS", default_value_t = 1)]
    replicas: usize,
}

impl Scheduler {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        self.flags.apply()?;
        let config = catena_scheduler::Config {
            id: self.flags.id,
            replicas: self.replicas,
            ..Default::default()
        };
        let shutdown = catena_service::on_signals();
        catena_scheduler::run(config, settings, shutdown).await.map_err(Failure::new)?;
        Ok(ExitCode::SUCCESS)
    }
}
