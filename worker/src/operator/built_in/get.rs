//! `get`: the value of a key.

use super::BuiltIn;
use super::key_choice::KeyChoice;
use super::value_choice::to_bytes;
use crate::operator::{Configured, Context, Operator, Output, Running, payload};
use bytes::Bytes;
use catena_protocol::chain::Effect;
use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "get",
    effect: Effect::ReadOnly,
    help: "the value of a key; `key`, or `key_from`: JSON pointer into the input; `prefix`: \
           stands before the key (default: nothing); `default`: result if there is no value \
           (default: it fails)",
    configure: |settings| {
        let Settings { key, key_from, prefix, default } = payload::settings(settings)?;
        let key = KeyChoice::new(key, key_from, prefix)?;
        let operator = Arc::new(Get { key, default: default.as_ref().and_then(to_bytes) });
        Ok(Configured { operator, effect: Effect::ReadOnly })
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    key: Option<String>,
    key_from: Option<String>,
    prefix: Option<String>,
    default: Option<Value>,
}

struct Get {
    key: KeyChoice,
    default: Option<Bytes>,
}

impl Get {
    async fn get(&self, context: &Context, input: &Bytes) -> Output {
        let key = self.key.choose(input)?;
        let found = context.read(&key).await?.or_else(|| self.default.clone());
        found.ok_or_else(|| {
            payload::failed(format!("`{key}` has no value, and there is no `default`"))
        })
    }
}

impl Operator for Get {
    fn run(self: Arc<Self>, context: Context, input: Bytes) -> Running {
        async move { self.get(&context, &input).await }.boxed()
    }
}
