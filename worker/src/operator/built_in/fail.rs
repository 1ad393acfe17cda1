//! `fail`: fails, so that one can see what happens then.

use super::BuiltIn;
use super::transform::Transform;
use crate::operator::payload;
use catena_protocol::chain::Effect;
use serde::Deserialize;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "fail",
    effect: Effect::Pure,
    help: "always fails; `message`: what it says (default: `failed on purpose`)",
    configure: |settings| {
        let Settings { message } = payload::settings(settings)?;
        Ok(Transform::of_any_length(move |_| Err(payload::failed(message.clone()))))
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "on_purpose")]
    message: String,
}

fn on_purpose() -> String {
    "failed on purpose".to_owned()
}
