//! `put`: writes a value, then passes its input on.

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
    name: "put",
    effect: Effect::Writing,
    help: "writes a value, then passes its input on; `key`, or `key_from`: JSON pointer into the \
           input; `prefix`: stands before the key (default: nothing); `value`, or `value_from`: \
           JSON pointer into the input (default: the input; null: removes the key)",
    configure: |settings| {
        let Settings { key, key_from, prefix, value, value_from } = payload::settings(settings)?;
        let key = KeyChoice::new(key, key_from, prefix)?;
        let value = ValueChoice::new("value", value, value_from)?.unwrap_or(ValueChoice::Input);
        Ok(Configured { operator: Arc::new(Put { key, value }), effect: Effect::Writing })
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    key: Option<String>,
    key_from: Option<String>,
    prefix: Option<String>,
    #[serde(default, deserialize_with = "even_null")]
    value: Option<Value>,
    value_from: Option<String>,
}

struct Put {
    key: KeyChoice,
    value: ValueChoice,
}

impl Put {
    async fn put(&self, context: &Context, input: Bytes) -> Output {
        let key = self.key.choose(&input)?;
        match self.value.choose(&input)? {
            Some(value) => context.write(&key, value).await?,
            None => context.delete(&key).await?,
        }
        Ok(input)
    }
}

impl Operator for Put {
    fn run(self: Arc<Self>, context: Context, input: Bytes) -> Running {
        async move { self.put(&context, input).await }.boxed()
    }
}
