//! Service operators: any program, in any language, that answers a NATS subject.
//!
//! ```text
//! worker --input, headers Catena-Job, Catena-Step, Catena-Chain, traceparent--> the subject
//!        <--reads and writes, on the subjects in headers Catena-Read, ... (`door`)--
//!        <--result; or headers Nats-Service-Error, Nats-Service-Error-Code--
//! ```
//!
//! The step's time limit is the caller's: whoever drops the future ends the wait. A lost request
//! is not sent again here; the step then times out and the job is run anew.

use super::door::{Door, Doors};
use super::{Context, Operator, Output, Running, payload};
use async_nats::client::RequestErrorKind;
use async_nats::{Client, HeaderMap, Message, Request, Subject};
use bytes::Bytes;
use catena_protocol::chain::Service;
use catena_protocol::{Code, Fault, edge};
use futures_util::FutureExt;
use std::sync::Arc;

/// A request header: which step of the chain asks, from 0.
const STEP: &str = "Catena-Step";
/// Longest error text that is taken over from a service, in characters.
const ERROR_CHARS: usize = 1_000;

/// A program that answers a subject, as an operator.
#[derive(Clone, Debug)]
pub struct ServiceOperator {
    client: Client,
    subject: Subject,
    doors: Doors,
}

impl ServiceOperator {
    /// The operator that asks `service` through `client`; what it may do to the store it does
    /// through one of `doors`.
    pub fn new(client: Client, service: &Service, doors: Doors) -> Self {
        Self { client, subject: service.subject.as_str().into(), doors }
    }

    async fn ask(&self, context: &Context, input: Bytes) -> Output {
        // An inbox of its own, because the client's shared one would remember a request that
        // is given up until it is answered, which may be never.
        let door = self.doors.open(context);
        let request = Request::new()
            .payload(input)
            .headers(headers(context, door.as_ref()))
            .inbox(self.client.new_inbox())
            .timeout(None);
        let asked = self.client.send_request(self.subject.clone(), request).await;
        let answered = answer(asked.map_err(|error| self.not_asked(error.kind(), &error))?);
        // A service that fails because the store did not answer is not to blame.
        answered.map_err(|fault| door.and_then(|door| door.trouble()).unwrap_or(fault))
    }

    fn not_asked(&self, kind: RequestErrorKind, error: &dyn std::error::Error) -> Fault {
        let subject = &self.subject;
        match kind {
            RequestErrorKind::NoResponders => Fault::new(
                Code::Unavailable,
                format!("no one answers `{subject}`; start the service, then run the job again"),
            ),
            RequestErrorKind::MaxPayloadExceeded => Fault::new(
                Code::TooLarge,
                format!("the input is too long for one message to `{subject}`: {error}"),
            ),
            _ => Fault::new(Code::Unavailable, format!("`{subject}` could not be asked: {error}")),
        }
    }
}

impl Operator for ServiceOperator {
    fn run(self: Arc<Self>, context: Context, input: Bytes) -> Running {
        async move { self.ask(&context, input).await }.boxed()
    }
}

fn headers(context: &Context, door: Option<&Door>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(edge::JOB, context.job().to_string());
    headers.insert(STEP, context.step().to_string());
    headers.insert(edge::CHAIN, context.chain());
    for (name, subject) in door.into_iter().flat_map(Door::subjects) {
        headers.insert(name, subject);
    }
    // Text from outside: line breaks would end the header.
    if let Some(trace) = context.traceparent().and_then(|trace| trace.parse().ok()) {
        headers.insert::<_, async_nats::HeaderValue>(edge::TRACE, trace);
    }
    headers
}

fn answer(message: Message) -> Output {
    let header = |name| {
        let headers = message.headers.as_ref()?;
        headers.get(name).map(|value| value.as_str())
    };
    let (text, code) = (header(edge::ERROR), header(edge::ERROR_CODE));
    if text.is_none() && code.is_none() {
        return payload::result(message.payload);
    }
    let text = text.filter(|text| !text.is_empty()).unwrap_or("the service answered with an error");
    let text: String = text.chars().take(ERROR_CHARS).collect();
    Err(match code {
        Some(code) => payload::failed(format!("{text} (code {code})")),
        None => payload::failed(text),
    })
}
