//! What a service operator is answered: as by the store's edge.

use crate::operator::Context;
use async_nats::{Client, Subject};
use bytes::Bytes;
use catena_link::{fault_body, fault_headers, reply_text};
use catena_protocol::edge::{self, body};
use catena_protocol::{Blob, Code, Fault, Key};
use serde_json::{Value, json};

/// The JSON of a scan ends at about so many bytes.
const BODY_BYTES: usize = 600 * 1024;

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
        let message = format!("`{key}` is not what was expected; nothing was changed");
        let fault = Fault::new(Code::Conflict, message);
        let current = json!({ "value": current.map(body::value) });
        let body = json!({ "error": &fault, "current": current }).to_string().into();
        Self { headers: fault_headers(&fault).to_vec(), body }
    }

    /// What a scan found, where `limit` records were asked for.
    pub(super) fn records(found: &[(Key, Bytes)], limit: u32) -> Self {
        let mut bytes = 0;
        let mut records = Vec::with_capacity(found.len());
        for (key, value) in found {
            let record = json!({ "key": key, "value": body::value(&Blob(value.clone())) });
            bytes += record.to_string().len();
            if bytes > BODY_BYTES && !records.is_empty() {
                break;
            }
            records.push(record);
        }
        let more = records.len() < found.len() || found.len() >= limit as usize;
        let last = records.len().checked_sub(1).filter(|_| more);
        let next = last.map(|at| (edge::NEXT, found[at].0.to_string()));
        let body = Value::Array(records).to_string().into();
        Self { headers: next.into_iter().collect(), body }
    }

    pub(super) async fn send(self, client: &Client, reply: Subject) {
        reply_text(client, reply, &self.headers, self.body).await;
    }
}
