//! Questions about a job: first its home is asked for an outcome, then all schedulers whether it
//! is in flight.

use crate::machine::Standing;
use async_nats::Subject;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use catena_client::Store;
use catena_link::{Link, reply_fault, reply_text};
use catena_protocol::message::commit::{End, Outcome};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::subject::JobVerb;
use catena_protocol::{Code, Fault, JobId, edge};
use serde_json::{Value, json};
use std::time::Duration;

/// How long the home may take; then the schedulers are asked.
const HOME: Duration = Duration::from_millis(1_500);
/// How long the owner of a job may take to say so.
const OWNER: Duration = Duration::from_millis(300);

/// One question.
#[derive(Debug)]
pub(crate) struct Inquiry {
    pub(crate) link: Link,
    pub(crate) store: Store,
    pub(crate) job: JobId,
    pub(crate) verb: JobVerb,
    pub(crate) reply: Subject,
    /// What this scheduler knows itself.
    pub(crate) standing: Option<Standing>,
}

impl Inquiry {
    /// Answers it.
    pub(crate) async fn answer(self) {
        let store = self.store.with_timeout(HOME);
        let told = store.ask_home(self.job, Ask::Outcome(self.job)).await;
        match told {
            Ok(Tell::Outcome(Some(outcome))) => self.ended(outcome).await,
            told => match self.in_flight().await {
                Some(standing) => self.running(standing).await,
                None => self.unknown(told.err()).await,
            },
        }
    }

    async fn in_flight(&self) -> Option<Value> {
        if let Some(standing) = &self.standing {
            return serde_json::to_value(standing).ok();
        }
        let asked =
            self.link.client.request(self.link.subjects.owner(), self.job.to_string().into());
        let answer = tokio::time::timeout(OWNER, asked).await.ok()?.ok()?;
        serde_json::from_slice(&answer.payload).ok()
    }

    async fn running(&self, standing: Value) {
        if self.verb == JobVerb::Status {
            return self.text(&[], standing.to_string().into()).await;
        }
        let state = standing["state"].as_str().unwrap_or("running").to_owned();
        let message = format!("job `{}` has no result yet: it is {state}; ask again", self.job);
        self.fault(&[], &Fault::new(Code::Deadline, message)).await;
    }

    async fn unknown(&self, trouble: Option<Fault>) {
        let job = self.job;
        let not_found = |why: &str| {
            let known =
                format!("job `{job}` is not in flight and has no outcome, or none any more");
            Fault::new(Code::NotFound, format!("{known}{why}"))
        };
        let fault = match trouble {
            None => not_found(""),
            Some(fault) if fault.code == Code::BadRequest => {
                not_found(&format!(": {}", fault.message))
            }
            Some(fault) => Fault::new(
                Code::Unavailable,
                format!("job `{job}` is not in flight, and its home does not answer: {fault}"),
            ),
        };
        self.fault(&[], &fault).await;
    }

    async fn ended(&self, outcome: Outcome) {
        let version = [(edge::VERSION, outcome.version.to_string())];
        if self.verb == JobVerb::Status {
            return self.text(&version, status(&outcome).to_string().into()).await;
        }
        match outcome.end {
            End::Committed(result) => self.text(&version, result.0).await,
            End::Failed(fault) | End::Dead(fault) => self.fault(&version, &fault).await,
            End::Cancelled => {
                let message = format!("job `{}` was cancelled; it changed nothing", self.job);
                self.fault(&version, &Fault::new(Code::Cancelled, message)).await;
            }
        }
    }

    async fn text(&self, facts: &[(&'static str, String)], body: bytes::Bytes) {
        let mut all = vec![(edge::JOB, self.job.to_string())];
        all.extend_from_slice(facts);
        reply_text(&self.link.client, self.reply.clone(), &all, body).await;
    }

    async fn fault(&self, facts: &[(&'static str, String)], fault: &Fault) {
        let mut all = vec![(edge::JOB, self.job.to_string())];
        all.extend_from_slice(facts);
        reply_fault(&self.link.client, self.reply.clone(), fault, &all).await;
    }
}

/// An outcome as JSON.
fn status(outcome: &Outcome) -> Value {
    let mut body = json!({
        "job": outcome.job,
        "chain": outcome.chain,
        "version": outcome.version,
        "state": match outcome.end {
            End::Committed(_) => "committed",
            End::Failed(_) => "failed",
            End::Cancelled => "cancelled",
            End::Dead(_) => "dead",
        },
    });
    match &outcome.end {
        End::Committed(result) => match std::str::from_utf8(&result.0) {
            Ok(text) => body["result"] = text.into(),
            Err(_) => body["result_base64"] = STANDARD.encode(&result.0).into(),
        },
        End::Failed(fault) | End::Dead(fault) => body["error"] = json!(fault),
        End::Cancelled => {}
    }
    body
}
