//! `catena kv update`

use super::{insert_entry, written};
use crate::client::client;
use crate::failure::Failure;
use crate::input::argument_or_stdin;
use crate::output;
use bytes::Bytes;
use catena_client::{Entry, Timestamp, Updated};
use catena_link::Settings;
use catena_protocol::{Key, limit};
use clap::Args;
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    disable_version_flag = true,
    after_help = "Examples:
  catena kv update seat:12a --absent ada
  catena kv update stock:book --expected 3 2
  catena kv update profile --version 1795000000123456 - < profile.json"
)]
pub(super) struct Update {
    /// Which key
    key: Key,

    /// Its new value; `-` or nothing: standard input
    value: Option<OsString>,

    #[command(flatten)]
    condition: Condition,

    /// Print a JSON object with key and version, or with what was found
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Condition {
    /// Only if this is its value now
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    expected: Option<OsString>,

    /// Only if it has no value now
    #[arg(long)]
    absent: bool,

    /// Only if this is its version now
    #[arg(long, value_name = "VERSION")]
    version: Option<u64>,
}

impl Update {
    pub(super) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        let Self { key, value, condition, json } = self;
        let value = argument_or_stdin(value, "the value", limit::VALUE_BYTES).await?;
        let client = client(settings).await?;
        let store = client.store();
        let updated = match condition.version {
            Some(version) => {
                store.update_if_version_is(&key, Timestamp(version), Some(value)).await?
            }
            None => {
                let expected = condition.expected.map(|text| Bytes::from(text.into_vec()));
                store.update_if_value_is(&key, expected, Some(value)).await?
            }
        };
        match updated {
            Updated::Done(version) => written(&key, version, json),
            Updated::Differs(found) if json => {
                let mut object = Map::new();
                insert_entry(&mut object, &found);
                output::line(json!({ "key": key, "found": Value::Object(object) }))?;
                Ok(ExitCode::FAILURE)
            }
            Updated::Differs(found) => Err(differs(&key, &found)),
        }
    }
}

/// Longest part of a value in a message.
const SHOWN: usize = 80;

fn differs(key: &Key, found: &Entry) -> Failure {
    let what = match &found.value {
        None => "has no value".to_owned(),
        Some(value) => {
            let more = if value.len() > SHOWN { "..." } else { "" };
            let text = String::from_utf8_lossy(&value[..value.len().min(SHOWN)]);
            format!("holds `{text}{more}` at version {}", found.version)
        }
    };
    Failure::new(format!("key `{key}` {what}; nothing was changed"))
}
