//! `uppercase`: text in capitals, by the rules of Unicode.

use super::BuiltIn;
use super::transform::{NoSettings, Transform};
use crate::operator::payload;
use catena_protocol::chain::Effect;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "uppercase",
    effect: Effect::Pure,
    help: "turns text into capitals; no settings",
    configure: |settings| {
        NoSettings::check(settings)?;
        Ok(Transform::of(|input| payload::result(payload::text(input)?.to_uppercase())))
    },
};
