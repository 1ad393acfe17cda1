//! How operators of the store choose a value: a literal, from a JSON input, or the input itself.
//!
//! A JSON string stands for its text, `null` for no value, anything else for its JSON.

use super::key_choice::{check_pointer, nothing_at};
use crate::operator::payload;
use bytes::Bytes;
use catena_protocol::Fault;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Which value a step works with.
#[derive(Debug)]
pub(super) enum ValueChoice {
    /// Always this one.
    Literal(Option<Bytes>),
    /// What is at this pointer in the input.
    From(String),
    /// The input as it is.
    Input,
}

impl ValueChoice {
    /// The choice that a setting and its `_from` twin make; none if neither is given.
    ///
    /// # Errors
    /// 400 if both are given, or if the pointer is none.
    pub(super) fn new(
        name: &str,
        literal: Option<Value>,
        from: Option<String>,
    ) -> Result<Option<Self>, Fault> {
        match (literal, from) {
            (None, None) => Ok(None),
            (Some(value), None) => Ok(Some(Self::Literal(to_bytes(&value)))),
            (None, Some(pointer)) => {
                check_pointer(&format!("{name}_from"), &pointer)?;
                Ok(Some(Self::From(pointer)))
            }
            (Some(_), Some(_)) => {
                Err(Fault::bad_request(format!("`{name}` and `{name}_from` cannot both be given")))
            }
        }
    }

    /// The value for this input; none for no value.
    pub(super) fn choose(&self, input: &Bytes) -> Result<Option<Bytes>, Fault> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Input => Ok(Some(input.clone())),
            Self::From(pointer) => {
                let input: Value = payload::json(input)?;
                input.pointer(pointer).map(to_bytes).ok_or_else(|| nothing_at(pointer))
            }
        }
    }
}

/// The bytes that a JSON value stands for.
pub(super) fn to_bytes(value: &Value) -> Option<Bytes> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into()),
        other => Some(other.to_string().into()),
    }
}

/// Tells `null`, which stands for no value, from a setting that is not given.
pub(super) fn even_null<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(d).map(Some)
}
