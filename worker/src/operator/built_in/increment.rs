//! `increment`: adds to the integer in a key, then passes its input on.

use super::BuiltIn;
use super::key_choice::KeyChoice;
use crate::operator::{Configured, Context, Operator, Output, Running, payload};
use bytes::Bytes;
use catena_protocol::chain::Effect;
use futures_util::FutureExt;
use serde::Deserialize;
use std::sync::Arc;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "increment",
    effect: Effect::Writing,
    help: "adds to the integer in a key, then passes its input on; `key`, or `key_from`: JSON \
           pointer into the input; `prefix`: stands before the key (default: nothing); `by` \
           (default: 1)",
    configure: |settings| {
        let Settings { key, key_from, prefix, by } = payload::settings(settings)?;
        let key = KeyChoice::new(key, key_from, prefix)?;
        Ok(Configured { operator: Arc::new(Increment { key, by }), effect: Effect::Writing })
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    key: Option<String>,
    key_from: Option<String>,
    prefix: Option<String>,
    #[serde(default = "one")]
    by: i64,
}

const fn one() -> i64 {
    1
}

struct Increment {
    key: KeyChoice,
    by: i64,
}

impl Increment {
    async fn increment(&self, context: &Context, input: Bytes) -> Output {
        let key = self.key.choose(&input)?;
        context.add(&key, self.by).await?;
        Ok(input)
    }
}

impl Operator for Increment {
    fn run(self: Arc<Self>, context: Context, input: Bytes) -> Running {
        async move { self.increment(&context, input).await }.boxed()
    }
}
