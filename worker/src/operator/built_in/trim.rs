//! `trim`: text without white space at its ends.

use super::BuiltIn;
use super::transform::{NoSettings, Transform};
use crate::operator::payload;
use catena_protocol::chain::Effect;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "trim",
    effect: Effect::Pure,
    help: "removes white space at both ends of a text; no settings",
    configure: |settings| {
        NoSettings::check(settings)?;
        Ok(Transform::of(|input| {
            let trimmed = payload::text(input)?.trim();
            Ok(input.slice_ref(trimmed.as_bytes()))
        }))
    },
};
