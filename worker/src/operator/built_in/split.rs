//! `split`: text to a JSON array of its parts.

use super::BuiltIn;
use super::transform::Transform;
use crate::operator::{Output, payload};
use bytes::Bytes;
use catena_protocol::Fault;
use catena_protocol::chain::Effect;
use serde::Deserialize;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "split",
    effect: Effect::Pure,
    help: "splits a text into a JSON array of strings; `on`: the text between the parts \
           (default: line ends)",
    configure: |settings| {
        let Settings { on } = payload::settings(settings)?;
        if on.as_deref() == Some("") {
            return Err(Fault::bad_request("`on` must not be empty"));
        }
        Ok(Transform::of(move |input| split(input, on.as_deref())))
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    on: Option<String>,
}

fn split(input: &Bytes, on: Option<&str>) -> Output {
    let text = payload::text(input)?;
    let parts: Vec<&str> = match on {
        Some(on) => text.split(on).collect(),
        None => text.lines().collect(),
    };
    payload::to_json(&parts)
}
