//! What a scheduler listens to.

use async_nats::{Client, SubscribeError};
use catena_link::{Intake, Link};
use catena_protocol::NodeId;
use catena_protocol::subject::{JobVerb, QUEUE, Role};

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// A job to run and to wait for.
    Run,
    /// A job for the durable queue.
    Submit,
    /// Where does a job stand?
    JobStatus,
    /// What is the result of a job?
    JobResult,
    /// Define a chain.
    ChainSet,
    /// Define a service operator.
    OperatorSet,
    /// Which operators are there?
    Operators,
    /// Another scheduler asks who runs a job.
    Owner,
    /// Attempts ended.
    Finish,
    /// A worker wants a chain.
    Chain,
    /// A service lives.
    Heartbeat,
    /// The server says that nobody took a step.
    Gone,
}

/// Work from outside: given up first when the process ends.
pub(crate) async fn front(link: &Link) -> Result<Intake<Topic>, SubscribeError> {
    let subjects = &link.subjects;
    let mut intake = Intake::new();
    for (topic, subject) in [
        (Topic::Run, subjects.run("*")),
        (Topic::Submit, subjects.submit("*")),
        (Topic::JobStatus, subjects.job("*", JobVerb::Status)),
        (Topic::JobResult, subjects.job("*", JobVerb::Result)),
        (Topic::ChainSet, subjects.chain_set("*")),
        (Topic::OperatorSet, subjects.operator_set("*")),
        (Topic::Operators, subjects.operators()),
    ] {
        intake.add(topic, link.client.queue_subscribe(subject, QUEUE.into()).await?);
    }
    Ok(intake)
}

/// What jobs in flight need: heard to the end. `gone` is the inbox for refused steps.
pub(crate) async fn back(
    link: &Link,
    id: &NodeId,
    gone: &str,
) -> Result<Intake<Topic>, SubscribeError> {
    let (client, subjects): (&Client, _) = (&link.client, &link.subjects);
    let beats = |role: Role| format!("{}.heartbeat.{role}.*", subjects.prefix());
    let mut intake = Intake::new();
    for (topic, subject) in [
        (Topic::Finish, subjects.finish(id)),
        (Topic::Chain, subjects.chain_of(id)),
        (Topic::Owner, subjects.owner()),
        (Topic::Heartbeat, beats(Role::Worker)),
        (Topic::Heartbeat, beats(Role::Storage)),
        (Topic::Gone, format!("{gone}.*")),
    ] {
        intake.add(topic, client.subscribe(subject).await?);
    }
    Ok(intake)
}
