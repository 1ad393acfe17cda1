//! `catena worker`

use super::service_flags::ServiceFlags;
use crate::failure::Failure;
use catena_link::Settings;
use clap::Args;
use std::process::ExitCode;

/// Runs a worker until SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    flags: ServiceFlags,

    /// Steps held at once; more are planned elsewhere
    #[arg(long, env = "CATENA_CAPACITY", default_value_t = catena_protocol::limit::OUTSTANDING_STEPS)]
    capacity: u32,
}

impl Worker {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        self.flags.apply()?;
        let config = catena_worker::Config {
            id: self.flags.id,
            capacity: self.capacity,
            ..Default::default()
        };
        let shutdown = catena_service::on_signals();
        catena_worker::run(config, settings, shutdown).await.map_err(Failure::new)?;
        Ok(ExitCode::SUCCESS)
    }
}
