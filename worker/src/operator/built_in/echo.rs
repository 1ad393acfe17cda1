//! `echo`: passes its input on as it is.

use super::BuiltIn;
use super::transform::{NoSettings, Transform};
use catena_protocol::chain::Effect;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "echo",
    effect: Effect::Pure,
    help: "passes its input on as it is; no settings",
    configure: |settings| {
        NoSettings::check(settings)?;
        Ok(Transform::of_any_length(|input| Ok(input.clone())))
    },
};
