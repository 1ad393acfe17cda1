//! `sleep`: waits, then passes its input on.

use super::BuiltIn;
use crate::operator::{Configured, Context, Operator, Running, payload};
use bytes::Bytes;
use catena_protocol::chain::Effect;
use catena_protocol::edge::parse_duration_ms;
use catena_protocol::{Fault, limit};
use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "sleep",
    effect: Effect::Pure,
    help: "waits, then passes its input on; `for`: how long, as `500ms` or in seconds (needed)",
    configure: |settings| {
        let Settings { duration } = payload::settings(settings)?;
        let operator = Arc::new(Sleep { duration: parse(&duration)? });
        Ok(Configured { operator, effect: Effect::Pure })
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(rename = "for")]
    duration: Value,
}

fn parse(duration: &Value) -> Result<Duration, Fault> {
    let text = match duration {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let ms =
        parse_duration_ms(&text).map_err(|error| Fault::bad_request(format!("`for`: {error}")))?;
    if ms > limit::DEADLINE_MAX_MS {
        return Err(Fault::bad_request(format!(
            "`for` is {ms} ms; no job runs longer than {} ms",
            limit::DEADLINE_MAX_MS
        )));
    }
    Ok(Duration::from_millis(ms))
}

struct Sleep {
    duration: Duration,
}

impl Operator for Sleep {
    fn run(self: Arc<Self>, _: Context, input: Bytes) -> Running {
        async move {
            tokio::time::sleep(self.duration).await;
            Ok(input)
        }
        .boxed()
    }
}
