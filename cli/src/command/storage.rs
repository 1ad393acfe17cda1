//! `catena storage`

use super::service_flags::ServiceFlags;
use crate::failure::Failure;
use catena_link::Settings;
use catena_protocol::limit;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs a storage node until SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct Storage {
    #[command(flatten)]
    flags: ServiceFlags,

    /// Folder for its data; only one process can use it at a time
    #[arg(long, env = "CATENA_DATA", value_name = "FOLDER")]
    data: PathBuf,

    /// Number of partitions of a new cluster; fixed for its life
    #[arg(long, env = "CATENA_PARTITIONS", default_value_t = limit::PARTITIONS)]
    partitions: u16,
}

impl Storage {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        self.flags.apply()?;
        let mut config = catena_storage::Config::new(self.data);
        config.id = self.flags.id;
        config.partitions = self.partitions;
        let shutdown = catena_service::on_signals();
        catena_storage::run(config, settings, shutdown).await.map_err(Failure::new)?;
        Ok(ExitCode::SUCCESS)
    }
}
