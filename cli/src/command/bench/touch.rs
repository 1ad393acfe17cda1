//! The operator of the `chain-commit` case: reads a record and writes it.

use bytes::Bytes;
use catena_protocol::chain::Effect;
use catena_protocol::message::heartbeat::Offer;
use catena_protocol::{Fault, Name};
use catena_worker::operator::{Configured, Context, Factory, Operator, Running};
use futures_util::FutureExt;
use serde_json::Value;
use std::sync::Arc;

/// Its name in chains.
pub(crate) const NAME: &str = "bench-touch";
/// Bytes of the input that are the key.
pub(crate) const KEY_BYTES: usize = 8;

/// Reads the record that the first eight bytes of the input name, writes the input to it and
/// passes the input on.
pub(crate) struct Touch;

impl Factory for Touch {
    fn offer(&self) -> Offer {
        Offer {
            #[allow(clippy::expect_used, reason = "a constant that is a name")]
            name: Name::new(NAME).expect("a name"),
            effect: Effect::Writing,
            help: "reads a record and writes it; for benchmarks".to_owned(),
            // Like a built-in one it never blocks.
            native: false,
        }
    }

    fn configure(&self, _settings: &Value) -> Result<Configured, Fault> {
        Ok(Configured { operator: Arc::new(Self), effect: Effect::Writing })
    }
}

impl Operator for Touch {
    fn run(self: Arc<Self>, context: Context, input: Bytes) -> Running {
        async move {
            let key = input.get(..KEY_BYTES).and_then(|key| std::str::from_utf8(key).ok());
            let key = key.ok_or_else(|| Fault::bad_request("the input has no key"))?;
            context.read(key).await?;
            context.write(key, input.clone()).await?;
            Ok(input)
        }
        .boxed()
    }
}
