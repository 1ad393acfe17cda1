//! Chains: as users define them (JSON), and as jobs run them (resolved, addressed by content).
//!
//! Unknown here: which operators exist and what settings mean to them.

use crate::codec;
use crate::edge::parse_duration_ms;
use crate::fault::{Code, Fault};
use crate::id::{ChainHash, Name};
use crate::limit;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A chain as its author writes it.
///
/// ```
/// let chain = catena_protocol::chain::Definition::parse(r#"{
///     "steps": ["lowercase", {"operator": "split", "settings": {"on": " "}}],
///     "deadline": "10s"
/// }"#).unwrap();
/// assert_eq!(chain.steps.len(), 2);
/// let short = catena_protocol::chain::Definition::parse("lowercase,uppercase").unwrap();
/// assert_eq!(short.steps[1].operator.as_str(), "uppercase");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The operators, in order.
    pub steps: Vec<StepDefinition>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How long a job may take in all. Default 60 s, at most 1 h.
    #[serde(default = "default_deadline", with = "duration")]
    pub deadline: u64,
    /// How long one step may take before its job is run again elsewhere; default: the deadline.
    #[serde(default, with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub step_timeout: Option<u64>,
    /// How often the whole job is tried again when an operator fails. Default 0. Conflicts and
    /// lost workers do not count.
    #[serde(default)]
    pub retries: u32,
    /// What a job sees of others.
    #[serde(default)]
    pub isolation: Isolation,
    /// Where in a JSON input the routing key stands, as a JSON pointer such as `/customer/id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// One step as its author writes it: a name, or a name with settings.
#[derive(Clone, Debug, PartialEq)]
pub struct StepDefinition {
    /// Which operator.
    pub operator: Name,
    /// What the operator is told; an object, or null.
    pub settings: Value,
}

/// What the operators of a job see of other jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Isolation {
    /// One snapshot, and the outcome is as if jobs ran one after the other.
    #[default]
    #[n(0)]
    Serializable,
    /// One snapshot; two jobs do not overwrite each other's writes.
    #[n(1)]
    Snapshot,
    /// No snapshot: every operation takes effect at once.
    #[n(2)]
    Latest,
}

const fn default_deadline() -> u64 {
    limit::DEADLINE_MS
}

impl Definition {
    /// A chain of `steps` with default settings.
    pub fn of(steps: Vec<StepDefinition>) -> Self {
        Self {
            steps,
            description: None,
            deadline: default_deadline(),
            step_timeout: None,
            retries: 0,
            isolation: Isolation::default(),
            key: None,
        }
    }

    /// Reads JSON (an object, or an array of steps) or the short form `trim,uppercase`.
    ///
    /// # Errors
    /// 400 or 413 with what is wrong.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > limit::CHAIN_BYTES {
            return Err(Fault::new(
                Code::TooLarge,
                format!(
                    "the chain has {} bytes; at most {} are allowed",
                    text.len(),
                    limit::CHAIN_BYTES
                ),
            ));
        }
        let trimmed = text.trim();
        let wrong = |error: serde_json::Error| {
            Fault::bad_request(format!("the chain is not valid: {error}"))
        };
        let definition = match trimmed.as_bytes().first() {
            None => {
                return Err(Fault::bad_request(
                    "the chain is empty; expected for example `trim,uppercase`",
                ));
            }
            Some(b'{') => serde_json::from_str(trimmed).map_err(wrong)?,
            Some(b'[') => Self::of(serde_json::from_str(trimmed).map_err(wrong)?),
            Some(_) => Self::of(short_form(trimmed)?),
        };
        definition.check()?;
        Ok(definition)
    }

    /// Checks what can be checked without knowing the operators.
    ///
    /// # Errors
    /// 400 with the rule that is broken.
    pub fn check(&self) -> Result<(), Fault> {
        let count = self.steps.len();
        if count == 0 || count > limit::STEPS {
            return Err(Fault::bad_request(format!(
                "a chain has 1 to {} steps; this one has {count}",
                limit::STEPS
            )));
        }
        if self.deadline == 0 || self.deadline > limit::DEADLINE_MAX_MS {
            return Err(Fault::bad_request(format!(
                "the deadline must be between 1 ms and {} s; it is {} ms",
                limit::DEADLINE_MAX_MS / 1000,
                self.deadline
            )));
        }
        if self.step_timeout == Some(0) {
            return Err(Fault::bad_request("the step timeout must be at least 1 ms"));
        }
        if self.retries > 1_000 {
            return Err(Fault::bad_request("at most 1000 retries are allowed"));
        }
        if self.key.as_ref().is_some_and(|key| !key.starts_with('/')) {
            return Err(Fault::bad_request("`key` must be a JSON pointer such as `/customer/id`"));
        }
        Ok(())
    }
}

/// The routing key at a JSON pointer of an input: text, or the JSON of a number or truth value.
/// None if the input is not JSON, or has nothing of the kind there.
pub fn routing_key(input: &[u8], pointer: &str) -> Option<String> {
    let input: Value = serde_json::from_slice(input).ok()?;
    match input.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
        _ => None,
    }
}

fn short_form(text: &str) -> Result<Vec<StepDefinition>, Fault> {
    let step = |name: &str| {
        let operator = Name::new(name.trim()).map_err(Fault::bad_request)?;
        Ok(StepDefinition { operator, settings: Value::Null })
    };
    text.split(',').map(step).collect()
}

impl Serialize for StepDefinition {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.settings.is_null() {
            return self.operator.serialize(s);
        }
        Full { operator: self.operator.clone(), settings: self.settings.clone() }.serialize(s)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Full {
    operator: Name,
    #[serde(default)]
    settings: Value,
}

impl<'de> Deserialize<'de> for StepDefinition {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let value = Value::deserialize(d)?;
        if let Value::String(name) = &value {
            let operator = Name::new(name).map_err(D::Error::custom)?;
            return Ok(Self { operator, settings: Value::Null });
        }
        let full: Full = serde_json::from_value(value).map_err(|error| {
            D::Error::custom(format!(
                "{error}; a step is a name or `{{\"operator\": ..., \"settings\": {{...}}}}`"
            ))
        })?;
        Ok(Self { operator: full.operator, settings: full.settings })
    }
}

mod duration {
    use super::{Deserializer, Serializer, Value, parse_duration_ms};
    use serde::{Deserialize, de::Error};

    pub(super) fn serialize<S: Serializer>(ms: &u64, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&humantime::format_duration(std::time::Duration::from_millis(*ms)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        let text = match Value::deserialize(d)? {
            Value::String(text) => text,
            Value::Number(seconds) => seconds.to_string(),
            other => return Err(D::Error::custom(format!("`{other}` is not a duration"))),
        };
        parse_duration_ms(&text).map_err(D::Error::custom)
    }
}

mod optional_duration {
    use super::{Deserializer, Serializer, duration};

    #[allow(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(ms: &Option<u64>, s: S) -> Result<S::Ok, S::Error> {
        match ms {
            Some(ms) => duration::serialize(ms, s),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
        duration::deserialize(d).map(Some)
    }
}

/// Whether an operator may touch the store: declared, and enforced by its context.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum Effect {
    /// Its result depends on its input alone.
    #[n(0)]
    Pure,
    /// It reads the store.
    #[n(1)]
    ReadOnly,
    /// It reads and writes the store.
    #[n(2)]
    Writing,
}

/// A chain as jobs run it: operators resolved, nothing left to look up. Immutable; workers fetch
/// it once by its [`ChainHash`] from the scheduler that assigned it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Chain {
    /// Its name; `inline` for a chain that came with the request.
    #[n(0)]
    pub name: Name,
    /// The steps.
    #[n(1)]
    pub steps: Vec<Step>,
    /// Time limit of one step in milliseconds.
    #[n(2)]
    pub step_timeout_ms: u64,
    /// What its jobs see of others.
    #[n(3)]
    pub isolation: Isolation,
}

/// One step of a resolved chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Step {
    /// Which operator.
    #[n(0)]
    pub operator: Name,
    /// Its settings as JSON text; empty: none.
    #[n(1)]
    pub settings: String,
    /// Whether it may touch the store.
    #[n(2)]
    pub effect: Effect,
    /// Set for a service operator: where it is asked.
    #[n(3)]
    pub service: Option<Service>,
}

/// A service operator: any program that answers a NATS subject.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The subject that it answers.
    #[n(0)]
    pub subject: String,
    /// Whether it may touch the store. Default: pure.
    #[n(1)]
    #[serde(default = "pure")]
    pub effect: Effect,
    /// One line for people.
    #[n(2)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

const fn pure() -> Effect {
    Effect::Pure
}

impl Service {
    /// Reads a definition from bucket `CATENA_OPERATORS`: JSON, or the subject alone.
    ///
    /// # Errors
    /// 400 with what is wrong.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        let service = if text.starts_with('{') {
            serde_json::from_str(text).map_err(|error| {
                Fault::bad_request(format!("the operator is not valid: {error}"))
            })?
        } else {
            Self { subject: text.to_owned(), effect: Effect::Pure, description: None }
        };
        let token = |token: &str| {
            !token.is_empty()
                && token != "*"
                && token != ">"
                && !token.contains(char::is_whitespace)
        };
        if service.subject.len() > 256 || !service.subject.split('.').all(token) {
            return Err(Fault::bad_request(format!(
                "`{}` is not a subject that can be published to",
                service.subject.chars().take(64).collect::<String>()
            )));
        }
        Ok(service)
    }
}

impl Chain {
    /// Its encoding and the hash of it.
    pub fn hashed(&self) -> (ChainHash, Vec<u8>) {
        let bytes = codec::encode(self);
        (ChainHash::of(&bytes), bytes)
    }

    /// The strongest effect of its operators.
    pub fn effect(&self) -> Effect {
        self.steps.iter().map(|step| step.effect).max().unwrap_or(Effect::Pure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let text = r#"{"steps":["trim",{"operator":"split","settings":{"on":","}}],"deadline":"10s","step_timeout":"2s","retries":3,"isolation":"snapshot","key":"/id"}"#;
        let definition = Definition::parse(text).unwrap();
        assert_eq!((definition.deadline, definition.step_timeout), (10_000, Some(2_000)));
        let again = Definition::parse(&serde_json::to_string(&definition).unwrap()).unwrap();
        assert_eq!(again, definition);
    }

    #[test]
    fn wrong_chains_say_what_is_wrong() {
        let many = vec!["echo"; 65].join(",");
        for (text, part) in [
            ("", "empty"),
            ("[]", "1 to 64"),
            (many.as_str(), "has 65"),
            ("a b", "not a name"),
            (r#"{"steps":["a"],"colour":1}"#, "colour"),
            (r#"{"steps":["a"],"deadline":"2h"}"#, "deadline"),
            (r#"{"steps":[{"name":"a"}]}"#, "operator"),
            (r#"{"steps":["a"],"key":"id"}"#, "pointer"),
        ] {
            let fault = Definition::parse(text).unwrap_err();
            assert_eq!(fault.code, Code::BadRequest);
            assert!(fault.message.contains(part), "{text}: {fault}");
        }
    }

    #[test]
    fn services_are_a_subject_or_json() {
        assert_eq!(Service::parse("my.enrich").unwrap().effect, Effect::Pure);
        let json = Service::parse(r#"{"subject":"a.b","effect":"read-only"}"#).unwrap();
        assert_eq!(json.effect, Effect::ReadOnly);
        for bad in ["", "a..b", "a.>", "a b", "*"] {
            assert!(Service::parse(bad).is_err(), "{bad}");
        }
    }
}
