//! `catena kv`: the store, one key at a time.

mod add;
mod delete;
mod get;
mod put;
mod scan;
mod update;

use crate::client::client;
use crate::failure::Failure;
use crate::output;
use catena_client::{Client, Entry, Timestamp};
use catena_link::Settings;
use catena_protocol::Key;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Read and change the store: versioned records, one key at a time, linearizable.
#[derive(Debug, Args)]
pub(crate) struct Kv {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the value of a key as it is
    Get(get::Get),
    /// Set a key to a value; prints the version that this wrote
    Put(put::Put),
    /// Set a key to a value if it holds what is expected; fails and changes nothing if not
    Update(update::Update),
    /// Add to the integer that a key holds (nothing counts as 0); prints the sum
    Add(add::Add),
    /// Remove a key; prints the version that this wrote
    Delete(delete::Delete),
    Scan(scan::Scan),
}

impl Kv {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Get(get) => get.run(&client(settings).await?).await,
            Verb::Put(put) => put.run(settings).await,
            Verb::Update(update) => update.run(settings).await,
            Verb::Add(add) => add.run(&client(settings).await?).await,
            Verb::Delete(delete) => delete.run(&client(settings).await?).await,
            Verb::Scan(scan) => scan.run(&client(settings).await?).await,
        }
    }
}

/// What a read must see.
#[derive(Debug, Args)]
struct After {
    /// See at least what was written up to this version, as writes, `run` and `job` tell it
    #[arg(long, value_name = "VERSION")]
    after: Option<u64>,
}

impl After {
    /// Reads of the present see everything that was acknowledged: once this version is past there
    /// is nothing else to wait for.
    async fn reached(&self, client: &Client) -> Result<(), Failure> {
        Ok(client.catch_up(Timestamp(self.after.unwrap_or(0))).await?)
    }
}

/// A record as JSON: `key`, `version`, `value` (null: there is none).
fn record(key: &Key, entry: &Entry) -> Value {
    let mut object = Map::new();
    object.insert("key".to_owned(), json!(key));
    insert_entry(&mut object, entry);
    Value::Object(object)
}

fn insert_entry(object: &mut Map<String, Value>, entry: &Entry) {
    object.insert("version".to_owned(), json!(entry.version));
    match &entry.value {
        Some(value) => output::insert_bytes(object, "value", value),
        None => {
            object.insert("value".to_owned(), Value::Null);
        }
    }
}

/// What a write answers: the version, alone or as JSON.
fn written(key: &Key, version: Timestamp, json: bool) -> Result<ExitCode, Failure> {
    if json {
        output::line(json!({ "key": key, "version": version }))?;
    } else {
        output::line(version)?;
    }
    Ok(ExitCode::SUCCESS)
}
