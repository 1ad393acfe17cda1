//! Single requests as people send them with the `nats` CLI.

use crate::failure::Failure;
use async_nats::{Message, Request, RequestErrorKind};
use bytes::Bytes;
use catena_link::{Link, fault_of};
use catena_protocol::Fault;
use std::time::Duration;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no good answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// This was answered.
    Fault(Fault),
    /// Nothing was answered.
    Silence(Failure),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Fault(fault) => fault.into(),
            Refusal::Silence(failure) => failure,
        }
    }
}

/// Asks on `subject`, once.
pub(crate) async fn ask(link: &Link, subject: String, body: Bytes) -> Result<Message, Refusal> {
    let request = Request::new().payload(body).timeout(Some(TIMEOUT));
    let message = link.client.send_request(subject.clone(), request).await.map_err(|error| {
        Refusal::Silence(match error.kind() {
            RequestErrorKind::NoResponders => Failure::new(format!(
                "no scheduler answers on `{subject}`; nothing was changed; start one with \
                 `catena scheduler`, or everything with `catena dev`"
            )),
            RequestErrorKind::TimedOut => Failure::new(format!(
                "no answer on `{subject}` within {TIMEOUT:?}; it may have been heard; ask again"
            )),
            _ => Failure::new(error),
        })
    })?;
    match fault_of(message.headers.as_ref()) {
        // The body has the whole message, the header only one line of it.
        Some(fault) => Err(Refusal::Fault(body_fault(&message.payload).unwrap_or(fault))),
        None => Ok(message),
    }
}

fn body_fault(body: &[u8]) -> Option<Fault> {
    #[derive(serde::Deserialize)]
    struct Body {
        error: Fault,
    }
    serde_json::from_slice::<Body>(body).ok().map(|body| body.error)
}
