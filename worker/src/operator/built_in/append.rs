//! `append`: writes its input behind what a key holds, then passes it on.

use super::BuiltIn;
use super::key_choice::KeyChoice;
use crate::operator::{Configured, Context, Operator, Output, Running, payload};
use bytes::{BufMut, Bytes, BytesMut};
use catena_protocol::chain::Effect;
use futures_util::FutureExt;
use serde::Deserialize;
use std::sync::Arc;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "append",
    effect: Effect::Writing,
    help: "writes its input behind what a key holds, then passes it on; `key`, or `key_from`: \
           JSON pointer into the input; `prefix`: stands before the key (default: nothing); \
           `separator`: stands between the parts (default: a line end)",
    configure: |settings| {
        let Settings { key, key_from, prefix, separator } = payload::settings(settings)?;
        let key = KeyChoice::new(key, key_from, prefix)?;
        let operator = Arc::new(Append { key, separator });
        Ok(Configured { operator, effect: Effect::Writing })
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    key: Option<String>,
    key_from: Option<String>,
    prefix: Option<String>,
    #[serde(default = "line_end")]
    separator: String,
}

fn line_end() -> String {
    "\n".to_owned()
}

struct Append {
    key: KeyChoice,
    separator: String,
}

impl Append {
    async fn append(&self, context: &Context, input: Bytes) -> Output {
        let key = self.key.choose(&input)?;
        let value = match context.read(&key).await? {
            Some(before) => self.join(&before, &input),
            None => input.clone(),
        };
        context.write(&key, value).await?;
        Ok(input)
    }

    fn join(&self, before: &[u8], input: &[u8]) -> Bytes {
        let bytes = before.len() + self.separator.len() + input.len();
        let mut joined = BytesMut::with_capacity(bytes);
        joined.put_slice(before);
        joined.put_slice(self.separator.as_bytes());
        joined.put_slice(input);
        joined.freeze()
    }
}

impl Operator for Append {
    fn run(self: Arc<Self>, context: Context, input: Bytes) -> Running {
        async move { self.append(&context, input).await }.boxed()
    }
}
