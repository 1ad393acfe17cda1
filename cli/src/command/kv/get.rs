//! `catena kv get`

use super::{After, record};
use crate::failure::Failure;
use crate::output;
use catena_client::{Client, Timestamp};
use catena_protocol::Key;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct Get {
    /// Which key
    key: Key,

    /// Its value as it was at this version; default: now
    #[arg(long, value_name = "VERSION")]
    version: Option<u64>,

    /// Do not rely on clocks that run at the same rate: a majority of the replicas is asked
    #[arg(long, conflicts_with = "version")]
    strict: bool,

    #[command(flatten)]
    after: After,

    /// Print a JSON object with key, version and value
    #[arg(long)]
    json: bool,
}

impl Get {
    pub(super) async fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        self.after.reached(client).await?;
        let entry = match self.version {
            Some(version) => client.store().read_at(&self.key, Timestamp(version)).await?,
            None if self.strict => client.store().read_strict(&self.key).await?,
            None => client.store().read(&self.key).await?,
        };
        if self.json {
            output::line(record(&self.key, &entry))?;
        } else if let Some(value) = &entry.value {
            output::bytes(value)?;
        }
        match entry.value {
            Some(_) => Ok(ExitCode::SUCCESS),
            None if self.json => Ok(ExitCode::FAILURE),
            None => Err(Failure::new(format!("key `{}` has no value", self.key))),
        }
    }
}
