//! Filters: results, errors, and those that would hang, flood or crash the worker.

mod hostile;
mod results;
mod threads;

use crate::operator::memory_store::{MemoryStore, context};
use crate::operator::{Output, Registry};
use bytes::Bytes;
use catena_protocol::Fault;
use catena_testing::within;

async fn jq_with(settings: serde_json::Value, input: &str) -> Output {
    let configured = Registry::built_in().configure("jq", &settings.to_string())?;
    let context = context(&MemoryStore::with(&[]));
    configured.operator.run(context, Bytes::copy_from_slice(input.as_bytes())).await
}

async fn jq(filter: &str, input: &str) -> Result<String, Fault> {
    let output = jq_with(serde_json::json!({"filter": filter}), input);
    let output = within(60, "the end of the filter", output).await?;
    Ok(String::from_utf8(output.to_vec()).unwrap())
}
