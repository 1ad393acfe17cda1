//! A worker with two operators of its own: one is an async closure, one a type.
//!
//! ```text
//! catena dev &
//! cargo run -p catena-worker --example native
//! nats req catena.run.inline '{"name": "Ada", "age": 36}' -H 'Catena-Chain: greet,shout'
//! ```

use bytes::Bytes;
use catena_protocol::chain::Effect;
use catena_protocol::message::heartbeat::Offer;
use catena_protocol::{Code, Fault, Name};
use catena_worker::Config;
use catena_worker::operator::{Configured, Context, Factory, Operator, Registry, Running};
use serde::Deserialize;
use serde_json::Value;
use std::error::Error;
use std::sync::Arc;

#[derive(Deserialize)]
struct Person {
    name: String,
    age: u32,
}

/// Counts everybody whom it greets in the store, in the transaction of the chain.
async fn greet(context: Context, person: Person) -> Result<String, Fault> {
    if person.name.is_empty() {
        return Err(Fault::new(Code::OperatorFailed, "nobody to greet: `name` is empty"));
    }
    context.add(format!("greeted:{}", person.name), 1).await?;
    Ok(format!("hello {}, {} next year", person.name, person.age + 1))
}

/// An operator with settings that are checked when a chain is defined.
struct Shout;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    marks: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self { marks: 1 }
    }
}

impl Factory for Shout {
    fn offer(&self) -> Offer {
        Offer {
            name: Name::new("shout").unwrap_or_else(|_| unreachable!("a good name")),
            effect: Effect::Pure,
            help: "capitals and exclamation marks; `marks`: how many (default: 1)".to_owned(),
            native: true,
        }
    }

    fn configure(&self, settings: &Value) -> Result<Configured, Fault> {
        let settings = match settings {
            Value::Null => Settings::default(),
            given => Settings::deserialize(given).map_err(Fault::bad_request)?,
        };
        Ok(Configured { operator: Arc::new(settings), effect: Effect::Pure })
    }
}

impl Operator for Settings {
    fn run(self: Arc<Self>, _context: Context, input: Bytes) -> Running {
        Box::pin(async move {
            let text = String::from_utf8_lossy(&input).to_uppercase();
            Ok(Bytes::from(text + &"!".repeat(self.marks.into())))
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let help = "greets a person `{\"name\": ..., \"age\": ...}`, and counts greetings";
    let registry =
        Registry::built_in().typed("greet", Effect::Writing, help, greet)?.with(Shout)?;
    let config = Config { registry, ..Config::default() };
    let settings = catena_link::Settings::from_env().with_context()?;
    catena_worker::run(config, settings, catena_service::on_signals()).await?;
    Ok(())
}
