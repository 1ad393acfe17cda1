//! What a service operator is answered: as by the store's edge.

use crate::operator::Context;
use async_nats::{Client, Subject};
use bytes::Bytes;
use catena_link::{fault_body, fault_headers, reply_text};
use catena_protocol::edge::{self, body};
use catena_protocol::{Blob, Fault, Key};
use serde_json::{Value, json};

/// A body and headers.
#[derive(Debug)]
pub(super) struct Answer {
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Answer {
    /// The value of a record as it is.
    pub(super) const fn value(body: Bytes) -> Self {
        Self { headers: Vec::new(), body }
    }

    /// A change was taken: it takes effect with the job, or has at once.
    pub(super) fn done(context: &Context) -> Self {
        Self::value(json!({ "buffered": context.buffers() }).to_string().into())
    }

    /// An error.
    pub(super) fn bad(fault: Fault) -> Self {
        Self { headers: fault_headers(&fault).to_vec(), body: fault_body(&fault) }
    }

    /// An update did not happen.
    pub(super) fn differs(key: &str, current: Option<&Blob>) -> Self {
        let (fault, body) = body::differs(key, None, current);
        Self { headers: fault_headers(&fault).to_vec(), body: body.into() }
    }

    /// What a scan found, where `limit` records were asked for.
    pub(super) fn records(found: &[(Key, Bytes)], limit: u32) -> Self {
        let (count, body) = body::records(found.iter().map(render));
        let more = count < found.len() || found.len() >= limit as usize;
        let last = count.checked_sub(1).filter(|_| more);
        let next = last.map(|at| (edge::NEXT, found[at].0.to_string()));
        Self { headers: next.into_iter().collect(), body: body.into() }
    }

    pub(super) async fn send(self, client: &Client, reply: Subject) {
        reply_text(client, reply, &self.headers, self.body).await;
    }
}

fn render((key, value): &(Key, Bytes)) -> Value {
    json!({ "key": key, "value": body::value(&Blob(value.clone())) })
}
