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
}

impl Scheduler {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        self.flags.apply()?;
        let config = catena_scheduler::Config { id: self.flags.id, ..Default::default() };
        let shutdown = catena_service::on_signals();
        catena_scheduler::run(config, settings, shutdown).await.map_err(Failure::new)?;
        Ok(ExitCode::SUCCESS)
    }
}
