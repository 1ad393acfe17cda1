//! Requests that define chains and service operators: checked first, then stored.

use crate::definitions::Bucket;
use crate::machine::{Input, Scheduler};
use crate::news::News;
use async_nats::Message;
use bytes::Bytes;
use catena_link::Link;
use catena_protocol::chain::{Definition, Service, StepDefinition};
use catena_protocol::message::assign::{Check, Checked};
use catena_protocol::subject::{INLINE, Subjects};
use catena_protocol::{Code, Fault, Name, NodeId, codec};
use serde_json::json;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a worker may take to judge the settings of one step.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// A definition that is about to be stored.
#[derive(Debug)]
pub(crate) enum Change {
    /// A chain, with a worker for each step whose settings are to be checked; none: delete it.
    Chain(Name, Option<(String, Definition, Vec<Option<NodeId>>)>),
    /// A service operator; none: delete it.
    Operator(Name, Option<(String, Service)>),
}

/// What a request wants to change, as far as it can be judged here.
///
/// # Errors
/// 400, 404 or 409 with what is wrong; nothing is changed then.
pub(crate) fn chain(
    machine: &Scheduler,
    subjects: &Subjects,
    message: &Message,
) -> Result<Change, Fault> {
    let (name, text) = parts(subjects, message)?;
    if name.as_str() == INLINE {
        return Err(Fault::bad_request(format!("`{INLINE}` is the name of chains without a name")));
    }
    if text.trim().is_empty() {
        if !machine.has_chain(&name) {
            let message = format!("chain `{name}` is not defined; nothing was deleted");
            return Err(Fault::new(Code::NotFound, message));
        }
        return Ok(Change::Chain(name, None));
    }
    let definition = Definition::parse(text)?;
    let workers = machine.resolve(&definition)?;
    Ok(Change::Chain(name, Some((text.to_owned(), definition, workers))))
}

/// As [`chain`], for a service operator.
///
/// # Errors
/// 400 or 409 with what is wrong; nothing is changed then.
pub(crate) fn operator(
    machine: &Scheduler,
    subjects: &Subjects,
    message: &Message,
) -> Result<Change, Fault> {
    let (name, text) = parts(subjects, message)?;
    if text.trim().is_empty() {
        return Ok(Change::Operator(name, None));
    }
    let service = Service::parse(text)?;
    let taken = |known: &crate::machine::KnownOperator| {
        known.name == name && known.kind != "service" && known.workers > 0
    };
    if machine.operators().iter().any(taken) {
        let message = format!("workers run an operator `{name}` themselves; choose another name");
        return Err(Fault::new(Code::Conflict, message));
    }
    Ok(Change::Operator(name, Some((text.to_owned(), service))))
}

fn parts<'a>(subjects: &Subjects, message: &'a Message) -> Result<(Name, &'a str), Fault> {
    let (_, name) = subjects
        .parse_middle(&message.subject)
        .ok_or_else(|| Fault::bad_request("the subject has no name"))?;
    let name = Name::new(name).map_err(Fault::bad_request)?;
    let text = std::str::from_utf8(&message.payload).map_err(|_| {
        Fault::bad_request("the definition is not valid UTF-8; nothing was changed")
    })?;
    Ok((name, text))
}

impl Change {
    /// Checks the rest, stores it and says what is stored.
    ///
    /// # Errors
    /// 400 if a worker finds settings wrong, 503 if worker or JetStream do not answer.
    pub(crate) async fn store(
        self,
        link: &Link,
        chains: &Bucket,
        operators: &Bucket,
        news: &mpsc::Sender<News>,
    ) -> Result<Bytes, Fault> {
        let (body, input) = match self {
            Self::Chain(name, Some((text, definition, workers))) => {
                check_steps(link, &definition.steps, &workers).await?;
                let revision = chains.put(&name, Some(text)).await?;
                let _ = news.send(News::Chain(name.clone())).await;
                let body = json!({ "chain": &name, "revision": revision });
                (body, Input::Chain { name, revision, definition: Some(Ok(definition)) })
            }
            Self::Chain(name, None) => {
                let revision = chains.put(&name, None).await?;
                let body = json!({ "chain": &name, "revision": revision, "deleted": true });
                (body, Input::Chain { name, revision, definition: None })
            }
            Self::Operator(name, Some((text, service))) => {
                let revision = operators.put(&name, Some(text)).await?;
                let body = json!({ "operator": &name, "revision": revision });
                (body, Input::Service { name, service: Some(service) })
            }
            Self::Operator(name, None) => {
                let revision = operators.put(&name, None).await?;
                let body = json!({ "operator": &name, "revision": revision, "deleted": true });
                (body, Input::Service { name, service: None })
            }
        };
        let _ = news.send(News::Input(Box::new(input))).await;
        Ok(body.to_string().into())
    }
}

async fn check_steps(
    link: &Link,
    steps: &[StepDefinition],
    workers: &[Option<NodeId>],
) -> Result<(), Fault> {
    for (at, (step, worker)) in steps.iter().zip(workers).enumerate() {
        let Some(worker) = worker else { continue };
        check(link, step, worker).await.map_err(|fault| {
            let message = format!(
                "step {} (`{}`): {}; nothing was changed",
                at + 1,
                step.operator,
                fault.message
            );
            Fault::new(fault.code, message)
        })?;
    }
    Ok(())
}

async fn check(link: &Link, step: &StepDefinition, worker: &NodeId) -> Result<(), Fault> {
    let settings = if step.settings.is_null() { String::new() } else { step.settings.to_string() };
    let request = Check { operator: step.operator.clone(), settings };
    let asked = link.client.request(link.subjects.check(worker), codec::encode(&request).into());
    let silent = |why: &str| {
        let message =
            format!("worker `{worker}` did not say whether its settings are right: {why}");
        Fault::new(Code::Unavailable, message)
    };
    let answer = tokio::time::timeout(CHECK_TIMEOUT, asked)
        .await
        .map_err(|_| silent("no answer in time"))?
        .map_err(|error| silent(&error.to_string()))?;
    let checked: Checked =
        codec::decode(&answer.payload).map_err(|error| silent(&error.to_string()))?;
    checked.fault.map_or(Ok(()), Err)
}
