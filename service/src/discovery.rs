//! NATS service discovery (ADR-32): `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS`, answered from a
//! task of their own so that a busy service still answers within milliseconds.

use crate::endpoint::Endpoints;
use crate::identity::{Identity, host};
use async_nats::{Client, Message, SubscribeError, Subscriber};
use futures_util::StreamExt;
use futures_util::stream::select_all;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::task::JoinHandle;

/// Live figures of a service, shown as `data` of its statistics. Cheap to clone; the service
/// replaces the value whenever it likes.
#[derive(Clone, Debug, Default)]
pub struct Facts(Arc<Mutex<Value>>);

impl Facts {
    /// Replaces the figures.
    pub fn set(&self, value: Value) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    /// The figures.
    pub fn get(&self) -> Value {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A service that can be discovered until this is dropped.
#[derive(Debug)]
pub struct Discovery {
    task: JoinHandle<()>,
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Answers {
    identity: Identity,
    description: &'static str,
    started: SystemTime,
    endpoints: Endpoints,
    facts: Facts,
}

const VERBS: [&str; 3] = ["PING", "INFO", "STATS"];

impl Discovery {
    /// Makes a service discoverable.
    ///
    /// # Errors
    /// If the connection is closed.
    pub async fn start(
        client: &Client,
        identity: &Identity,
        description: &'static str,
        endpoints: Endpoints,
        facts: Facts,
    ) -> Result<Self, SubscribeError> {
        let subscriptions = subscribe(client, identity).await?;
        let answers = Answers {
            identity: identity.clone(),
            description,
            started: SystemTime::now(),
            endpoints,
            facts,
        };
        let client = client.clone();
        let task = tokio::spawn(async move {
            let mut requests = select_all(subscriptions);
            while let Some(message) = requests.next().await {
                answers.answer(&client, message).await;
            }
        });
        Ok(Self { task })
    }
}

async fn subscribe(
    client: &Client,
    identity: &Identity,
) -> Result<Vec<Subscriber>, SubscribeError> {
    let name = identity.service_name();
    let mut all = Vec::new();
    for verb in VERBS {
        for suffix in ["".to_owned(), format!(".{name}"), format!(".{name}.{}", identity.id)] {
            all.push(client.subscribe(format!("$SRV.{verb}{suffix}")).await?);
        }
    }
    Ok(all)
}

impl Answers {
    async fn answer(&self, client: &Client, message: Message) {
        let Some(reply) = message.reply else { return };
        let verb = message.subject.split('.').nth(1).unwrap_or_default();
        let body = match verb {
            "PING" => self.ping(),
            "INFO" => self.info(),
            _ => self.stats(),
        };
        let _ = client.publish(reply, body.to_string().into()).await;
    }

    fn base(&self, kind: &str) -> Value {
        json!({
            "type": format!("io.nats.micro.v1.{kind}_response"),
            "name": self.identity.service_name(),
            "id": self.identity.id,
            "version": crate::VERSION,
            "metadata": {
                "host": host(),
                "boot": format!("{:016x}", self.identity.boot),
                "pid": std::process::id().to_string(),
            },
        })
    }

    fn ping(&self) -> Value {
        self.base("ping")
    }

    fn info(&self) -> Value {
        let mut body = self.base("info");
        body["description"] = self.description.into();
        body["endpoints"] = self.endpoints.info().into();
        body
    }

    fn stats(&self) -> Value {
        let mut body = self.base("stats");
        body["started"] = humantime::format_rfc3339_nanos(self.started).to_string().into();
        body["endpoints"] = self.endpoints.stats(&self.facts.get()).into();
        body
    }
}
