//! `catena kv put`

use super::written;
use crate::client::client;
use crate::failure::Failure;
use crate::input::argument_or_stdin;
use catena_link::Settings;
use catena_protocol::{Key, limit};
use clap::Args;
use std::ffi::OsString;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Put {
    /// Which key
    key: Key,

    /// Its new value; `-` or nothing: standard input
    value: Option<OsString>,

    /// Print a JSON object with key and version
    #[arg(long)]
    json: bool,
}

impl Put {
    pub(super) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        let value = argument_or_stdin(self.value, "the value", limit::VALUE_BYTES).await?;
        let version = client(settings).await?.store().write(&self.key, value).await?;
        written(&self.key, version, self.json)
    }
}
