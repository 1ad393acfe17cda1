//! The operators that come with every worker, one file each.

mod append;
mod echo;
mod fail;
mod get;
mod increment;
mod jq;
mod key_choice;
mod lowercase;
mod put;
mod sleep;
mod split;
mod transform;
mod trim;
mod update_if_value_is;
mod uppercase;
mod value_choice;
mod word_count;

#[cfg(test)]
mod tests;

use super::{Configured, Factory};
use catena_protocol::chain::Effect;
use catena_protocol::message::heartbeat::Offer;
use catena_protocol::{Fault, Name};
use serde_json::Value;

/// A built-in operator: what is said about it, and how it is made.
#[derive(Clone, Copy)]
pub(super) struct BuiltIn {
    name: &'static str,
    /// The strongest effect that any settings lead to.
    effect: Effect,
    /// What it does, then its settings with their defaults.
    help: &'static str,
    configure: fn(&Value) -> Result<Configured, Fault>,
}

const ALL: [BuiltIn; 14] = [
    append::BUILT_IN,
    echo::BUILT_IN,
    fail::BUILT_IN,
    get::BUILT_IN,
    increment::BUILT_IN,
    jq::BUILT_IN,
    lowercase::BUILT_IN,
    put::BUILT_IN,
    sleep::BUILT_IN,
    split::BUILT_IN,
    trim::BUILT_IN,
    update_if_value_is::BUILT_IN,
    uppercase::BUILT_IN,
    word_count::BUILT_IN,
];

pub(super) fn all() -> impl Iterator<Item = BuiltIn> {
    ALL.into_iter()
}

impl Factory for BuiltIn {
    fn offer(&self) -> Offer {
        #[allow(clippy::expect_used, reason = "constants, all seen by a test")]
        let name = Name::new(self.name).expect("a name");
        Offer { name, effect: self.effect, help: self.help.to_owned(), native: false }
    }

    fn configure(&self, settings: &Value) -> Result<Configured, Fault> {
        (self.configure)(settings).map_err(|fault| {
            Fault::new(fault.code, format!("settings of `{}`: {}", self.name, fault.message))
        })
    }
}
