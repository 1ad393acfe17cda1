//! `catena kv add`

use crate::failure::Failure;
use crate::output;
use catena_client::Client;
use catena_protocol::Key;
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Which key
    key: Key,

    /// What is added, as in `1` or `-3`
    #[arg(allow_negative_numbers = true)]
    delta: i64,

    /// Print a JSON object with key, version and value
    #[arg(long)]
    json: bool,
}

impl Add {
    pub(super) async fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        let sum = client.store().add(&self.key, self.delta).await?;
        if self.json {
            // This is all that this client has seen.
            let version = client.seen();
            output::line(json!({ "key": self.key, "version": version, "value": sum }))?;
        } else {
            output::line(sum)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
