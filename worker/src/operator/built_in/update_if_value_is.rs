//! `update-if-value-is`: replaces the value of a key if it is the expected one.

use super::BuiltIn;
use super::key_choice::KeyChoice;
use super::value_choice::{ValueChoice, even_null};
use crate::operator::{Configured, Context, Operator, Output, Running, payload};
use bytes::Bytes;
use catena_protocol::chain::Effect;
use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "update-if-value-is",
    effect: Effect::Writing,
    help: "replaces a value if it is the expected one; `key`, or `key_from`: JSON pointer into \
           the input; `prefix`: stands before the key (default: nothing); `expected`, or \
           `expected_from` (default: no value); `value`, or `value_from` (default: the input; \
           null: removes the key); `else`: `false`: the result says `true` or `false`, `fail`: \
           fails, or passes the input on (default: `false`)",
    configure: |settings| {
        let settings: Settings = payload::settings(settings)?;
        let operator = Arc::new(settings.operator()?);
        Ok(Configured { operator, effect: Effect::Writing })
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    key: Option<String>,
    key_from: Option<String>,
    prefix: Option<String>,
    #[serde(default, deserialize_with = "even_null")]
    expected: Option<Value>,
    expected_from: Option<String>,
    #[serde(default, deserialize_with = "even_null")]
    value: Option<Value>,
    value_from: Option<String>,
    #[serde(default, rename = "else")]
    otherwise: Otherwise,
}

/// What happens when there is another value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Otherwise {
    #[default]
    False,
    Fail,
}

impl Settings {
    fn operator(self) -> Result<UpdateIfValueIs, catena_protocol::Fault> {
        let expected = ValueChoice::new("expected", self.expected, self.expected_from)?;
        let value = ValueChoice::new("value", self.value, self.value_from)?;
        Ok(UpdateIfValueIs {
            key: KeyChoice::new(self.key, self.key_from, self.prefix)?,
            expected: expected.unwrap_or(ValueChoice::Literal(None)),
            value: value.unwrap_or(ValueChoice::Input),
            otherwise: self.otherwise,
        })
    }
}

struct UpdateIfValueIs {
    key: KeyChoice,
    expected: ValueChoice,
    value: ValueChoice,
    otherwise: Otherwise,
}

impl UpdateIfValueIs {
    async fn update(&self, context: &Context, input: Bytes) -> Output {
        let key = self.key.choose(&input)?;
        let expected = self.expected.choose(&input)?;
        let value = self.value.choose(&input)?;
        let updated =
            context.update_if_value_is(&key, expected.as_deref(), value.as_deref()).await?;
        match (self.otherwise, updated) {
            (Otherwise::False, true) => Ok(Bytes::from_static(b"true")),
            (Otherwise::False, false) => Ok(Bytes::from_static(b"false")),
            (Otherwise::Fail, true) => Ok(input),
            (Otherwise::Fail, false) => Err(payload::failed(format!(
                "`{key}` does not have the expected value; nothing was changed"
            ))),
        }
    }
}

impl Operator for UpdateIfValueIs {
    fn run(self: Arc<Self>, context: Context, input: Bytes) -> Running {
        async move { self.update(&context, input).await }.boxed()
    }
}
