//! `catena demo`
use crate::failure::Failure;
use catena_link::Settings;
use clap::Args;
use std::process::ExitCode;

/// Stub.
#[derive(Debug, Args)]
pub(crate) struct Demo {}

impl Demo {
    pub(crate) async fn run(self, _: Settings) -> Result<ExitCode, Failure> {
        Ok(ExitCode::SUCCESS)
    }
}
