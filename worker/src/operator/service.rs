//! Service operators: any program, in any language, that answers a NATS subject.
//!
//! ```text
//! worker --input, headers Catena-Job, Catena-Step, Catena-Chain, traceparent--> the subject
//!        <--result; or headers Nats-Service-Error, Nats-Service-Error-Code--
//! ```
//!
//! The step's time limit is the caller's: whoever drops the future ends the wait.

use super::{Context, Operator, Running};
use async_nats::Client;
use bytes::Bytes;
use catena_protocol::chain::Service;
use std::sync::Arc;

/// A program that answers a subject, as an operator.
#[derive(Clone, Debug)]
pub struct ServiceOperator {
    client: Client,
    subject: async_nats::Subject,
}

impl ServiceOperator {
    /// The operator that asks `service` through `client`.
    pub fn new(client: Client, service: &Service) -> Self {
        Self { client, subject: service.subject.as_str().into() }
    }
}

impl Operator for ServiceOperator {
    fn run(self: Arc<Self>, context: Context, input: Bytes) -> Running {
        let _ = (context, input);
        todo!()
    }
}
