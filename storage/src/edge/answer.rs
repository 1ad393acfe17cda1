//! What a person is told: a body and headers.

use bytes::Bytes;
use catena_link::{fault_body, fault_headers};
use catena_protocol::edge::body;
use catena_protocol::message::read::Record;
use catena_protocol::message::store::Tell;
use catena_protocol::message::write::Written;
use catena_protocol::{Blob, Code, Fault, Timestamp, edge};
use serde_json::json;

/// A body and headers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// Why it is an error, if it is.
    pub(crate) fault: Option<Fault>,
}

impl Answer {
    pub(super) fn good(body: Bytes, version: Option<Timestamp>) -> Self {
        let headers = version.map(|version| (edge::VERSION, version.to_string()));
        Self { headers: headers.into_iter().collect(), body, fault: None }
    }

    /// An error.
    pub(crate) fn bad(fault: Fault) -> Self {
        let headers = fault_headers(&fault).to_vec();
        Self { headers, body: fault_body(&fault), fault: Some(fault) }
    }
}

pub(super) fn read(key: &str, tell: Tell) -> Answer {
    match tell {
        Tell::Record(Record { version, value: Some(value) }) => {
            Answer::good(value.0, Some(version))
        }
        Tell::Record(_) => Answer::bad(body::no_record(key)),
        other => Answer::bad(refused(other)),
    }
}

pub(super) fn write(key: &str, tell: Tell) -> Answer {
    match tell {
        Tell::Written(Written::Done { version, value: Some(sum) }) => {
            Answer::good(sum.to_string().into(), Some(version))
        }
        Tell::Written(Written::Done { version, value: None }) => {
            Answer::good(json!({ "version": version }).to_string().into(), Some(version))
        }
        Tell::Written(Written::Differs { version, value }) => differs(key, version, value),
        other => Answer::bad(refused(other)),
    }
}

fn differs(key: &str, version: Timestamp, value: Option<Blob>) -> Answer {
    let (fault, body) = body::differs(key, Some(version), value.as_ref());
    let mut headers = fault_headers(&fault).to_vec();
    headers.push((edge::VERSION, version.to_string()));
    Answer { headers, body: body.into(), fault: Some(fault) }
}

/// Any answer that is none of the good ones.
pub(super) fn refused(tell: Tell) -> Fault {
    match tell {
        Tell::Fault(fault) => fault,
        Tell::SnapshotTooOld { horizon } => Fault::bad_request(format_args!(
            "this version is older than what is kept; the oldest is {horizon}"
        )),
        Tell::NotPrimary { .. } | Tell::Behind { .. } => Fault::new(
            Code::Unavailable,
            "this node does not lead the partition of the key; nothing was done; try again",
        ),
        _ => Fault::new(Code::Internal, "the store gave an answer that does not fit the request"),
    }
}
