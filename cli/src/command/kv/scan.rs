//! `catena kv scan`

use super::{After, record};
use crate::failure::Failure;
use crate::output;
use catena_client::Client;
use clap::Args;
use std::process::ExitCode;

/// Print the keys that begin with a prefix, and their values, in order.
///
/// A prefix with a whole tag in braces, as in `{user42}:`, is one consistent read; any other asks
/// every partition, each consistent in itself.
#[derive(Debug, Args)]
pub(super) struct Scan {
    /// What the keys begin with; nothing: all keys
    // Its own name for the parser: `prefix` is that of a flag of all commands.
    #[arg(id = "begin", value_name = "PREFIX", default_value = "")]
    prefix: String,

    /// Most records
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,

    #[command(flatten)]
    after: After,

    /// Print a JSON object for each record
    #[arg(long)]
    json: bool,
}

impl Scan {
    pub(super) async fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        self.after.reached(client).await?;
        // One more than wanted tells whether there are more.
        let most = self.limit.saturating_add(1);
        let mut found = client.store().scan(&self.prefix, most).await?;
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        for (key, entry) in &found {
            if self.json {
                output::line(record(key, entry))?;
            } else {
                let value = entry.value.as_deref().unwrap_or_default();
                output::line(format_args!("{key}\t{}", String::from_utf8_lossy(value)))?;
            }
        }
        if more {
            eprintln!("there are more; `--limit` sets how many are printed");
        }
        Ok(ExitCode::SUCCESS)
    }
}
