//! How operators of the store choose their key: a literal, or from a JSON input.

use crate::operator::payload;
use bytes::Bytes;
use catena_protocol::{Fault, Key};
use serde_json::Value;

/// Which key a step works on.
#[derive(Debug)]
pub(super) enum KeyChoice {
    /// Always this one.
    Literal(Key),
    /// The text or number at `pointer` in the input, behind `prefix`.
    From { prefix: String, pointer: String },
}

impl KeyChoice {
    /// The choice that the settings `key`, `key_from` and `prefix` make.
    ///
    /// # Errors
    /// 400 unless exactly one of `key` and `key_from` is given, or if they are no key or pointer.
    pub(super) fn new(
        key: Option<String>,
        key_from: Option<String>,
        prefix: Option<String>,
    ) -> Result<Self, Fault> {
        let prefix = prefix.unwrap_or_default();
        match (key, key_from) {
            (Some(key), None) => {
                Key::new(prefix + &key).map(Self::Literal).map_err(Fault::bad_request)
            }
            (None, Some(pointer)) => {
                check_pointer("key_from", &pointer)?;
                Ok(Self::From { prefix, pointer })
            }
            _ => Err(Fault::bad_request(
                "needs either `key` or `key_from`, a JSON pointer into the input such as `/id`",
            )),
        }
    }

    /// The key for this input.
    pub(super) fn choose(&self, input: &Bytes) -> Result<Key, Fault> {
        match self {
            Self::Literal(key) => Ok(key.clone()),
            Self::From { prefix, pointer } => from_input(prefix, pointer, input),
        }
    }
}

/// Refuses what is no JSON pointer; `setting` says where it stood.
pub(super) fn check_pointer(setting: &str, pointer: &str) -> Result<(), Fault> {
    if pointer.is_empty() || pointer.starts_with('/') {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "`{setting}` is `{pointer}`; expected a JSON pointer such as `/id`, or an empty text for \
         the whole input"
    )))
}

fn from_input(prefix: &str, pointer: &str, input: &Bytes) -> Result<Key, Fault> {
    let input: Value = payload::json(input)?;
    let text = match input.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => {
            return Err(payload::failed(format!(
                "the input has neither a text nor a number at `{pointer}`, where the key is \
                 expected"
            )));
        }
        None => return Err(nothing_at(pointer)),
    };
    Key::new(format!("{prefix}{text}"))
        .map_err(|error| payload::failed(format!("the input has no key at `{pointer}`: {error}")))
}

/// The failure of an input that has nothing where something is expected.
pub(super) fn nothing_at(pointer: &str) -> Fault {
    payload::failed(format!("the input has nothing at `{pointer}`"))
}
