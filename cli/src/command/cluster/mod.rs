//! `catena cluster`

mod status;
mod survey;

use crate::failure::Failure;
use catena_link::Settings;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Look after the storage nodes as one: who keeps and leads what, and what is wrong.
#[derive(Debug, Args)]
pub(crate) struct Cluster {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Status),
}

impl Cluster {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Status(status) => status.run(settings).await,
        }
    }
}
