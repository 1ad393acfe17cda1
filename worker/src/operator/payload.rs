//! Inputs and results of operators: as text, as JSON, and within their limits.

use super::Output;
use bytes::Bytes;
use catena_protocol::limit::PAYLOAD_BYTES;
use catena_protocol::{Code, Fault};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A failure that lies in the input or in the operator.
pub(super) fn failed(message: impl Into<String>) -> Fault {
    Fault::new(Code::OperatorFailed, message)
}

/// The input as text.
pub(super) fn text(input: &Bytes) -> Result<&str, Fault> {
    std::str::from_utf8(input).map_err(|error| {
        failed(format!("the input is not valid UTF-8 from byte {} on", error.valid_up_to()))
    })
}

/// The input as JSON.
pub(super) fn json<T: DeserializeOwned>(input: &Bytes) -> Result<T, Fault> {
    serde_json::from_slice(input).map_err(|error| {
        if input.is_empty() {
            failed("the input is empty; expected JSON")
        } else {
            failed(format!("the input is not the expected JSON: {error}"))
        }
    })
}

/// A result, if it is not too long.
pub(super) fn result(bytes: impl Into<Bytes>) -> Output {
    let bytes = bytes.into();
    if bytes.len() > PAYLOAD_BYTES { Err(too_long(bytes.len())) } else { Ok(bytes) }
}

/// The refusal of a result of `bytes` bytes, or more.
pub(super) fn too_long(bytes: usize) -> Fault {
    Fault::new(
        Code::TooLarge,
        format!(
            "the result has at least {bytes} bytes; at most {PAYLOAD_BYTES} are allowed; \
             nothing was changed"
        ),
    )
}

/// A result as JSON.
pub(super) fn to_json<T: Serialize>(value: &T) -> Output {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| failed(format!("the result cannot be written as JSON: {error}")))?;
    result(bytes)
}

/// Settings as a `T`; `null` is read as `{}`.
pub(super) fn settings<T: DeserializeOwned>(settings: &serde_json::Value) -> Result<T, Fault> {
    let parsed = if settings.is_null() {
        T::deserialize(serde_json::json!({}))
    } else {
        T::deserialize(settings)
    };
    parsed.map_err(Fault::bad_request)
}
