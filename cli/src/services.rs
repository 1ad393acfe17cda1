//! Every service of a cluster, as NATS service discovery tells.

use crate::failure::Failure;
use async_nats::Message;
use catena_link::Link;
use catena_protocol::subject::Role;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::Value;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How long the first answer may take.
const FIRST: Duration = Duration::from_secs(2);
/// Bounds of the silence behind which no further answer is expected: a few times the slowest
/// answer so far, as answers cross the same network.
const SHORTEST_GAP: Duration = Duration::from_millis(150);
const LONGEST_GAP: Duration = Duration::from_secs(1);
/// Most services that are listed.
const MOST: usize = 10_000;

/// One service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) role: Role,
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) host: String,
    pub(crate) uptime: Duration,
    /// What its role has to say.
    pub(crate) load: Value,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// One thing that a service answers.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    subject: String,
    #[serde(rename = "num_requests")]
    pub(crate) requests: u64,
    #[serde(rename = "num_errors")]
    pub(crate) errors: u64,
    /// In nanoseconds.
    #[serde(rename = "average_processing_time")]
    pub(crate) mean_ns: u64,
    #[serde(default)]
    pub(crate) last_error: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Stats {
    id: String,
    version: String,
    started: String,
    #[serde(default)]
    metadata: Value,
    endpoints: Vec<Endpoint>,
}

/// Asks all services of this cluster, in the order of roles and ids.
///
/// # Errors
/// If the connection breaks. No answer at all is an empty list.
pub(crate) async fn services(link: &Link) -> Result<Vec<Service>, Failure> {
    let inbox = link.client.new_inbox();
    let mut answers = link.client.subscribe(format!("{inbox}.*")).await.map_err(Failure::new)?;
    let asked = Instant::now();
    for role in [Role::Scheduler, Role::Worker, Role::Storage] {
        let subject = format!("$SRV.STATS.catena-{role}");
        let reply = format!("{inbox}.{role}");
        link.client.publish_with_reply(subject, reply, "".into()).await.map_err(Failure::new)?;
    }
    let mut found = Vec::new();
    let mut until = asked + FIRST;
    while found.len() < MOST
        && let Ok(Some(message)) = tokio::time::timeout_at(until, answers.next()).await
    {
        // An answer of the server, that there is nobody of this role, says nothing of the others.
        if message.status.is_none() {
            let gap = (asked.elapsed() * 4).clamp(SHORTEST_GAP, LONGEST_GAP);
            until = Instant::now() + gap;
            found.extend(service(link, &message));
        }
    }
    found.sort_by(|a, b| (a.role, &a.id).cmp(&(b.role, &b.id)));
    Ok(found)
}

/// The service behind an answer, if it is one of this cluster.
fn service(link: &Link, message: &Message) -> Option<Service> {
    let role = match message.subject.rsplit('.').next()? {
        "scheduler" => Role::Scheduler,
        "worker" => Role::Worker,
        _ => Role::Storage,
    };
    let stats: Stats = serde_json::from_slice(&message.payload).ok()?;
    let ours = |endpoint: &Endpoint| link.subjects.strip(&endpoint.subject).is_some();
    if !stats.endpoints.is_empty() && !stats.endpoints.iter().any(ours) {
        return None;
    }
    let started = humantime::parse_rfc3339(&stats.started).ok();
    let uptime = started.and_then(|started| SystemTime::now().duration_since(started).ok());
    Some(Service {
        role,
        id: stats.id,
        version: stats.version,
        host: stats.metadata["host"].as_str().unwrap_or_default().to_owned(),
        uptime: uptime.unwrap_or_default(),
        load: stats.endpoints.first().map(|first| first.data.clone()).unwrap_or_default(),
        endpoints: stats.endpoints,
    })
}
