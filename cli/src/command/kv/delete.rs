//! `catena kv delete`

use super::written;
use crate::failure::Failure;
use catena_client::Client;
use catena_protocol::Key;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// Which key; it is no error if it has no value
    key: Key,

    /// Print a JSON object with key and version
    #[arg(long)]
    json: bool,
}

impl Delete {
    pub(super) async fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        let version = client.store().delete(&self.key).await?;
        written(&self.key, version, self.json)
    }
}
