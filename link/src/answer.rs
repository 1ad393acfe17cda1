//! Answers to people: text with headers; errors in headers **and** body, because the `nats` CLI
//! shows one or the other.

use async_nats::{Client, HeaderMap, HeaderValue, Subject};
use bytes::Bytes;
use catena_protocol::edge;
use catena_protocol::{Code, Fault};

/// Answers with a body and headers. Without headers it is a plain message.
pub async fn reply_text(
    client: &Client,
    reply: Subject,
    headers: &[(&'static str, String)],
    body: Bytes,
) {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, header_value(value));
    }
    let sent = client.publish_with_headers(reply, map, body).await;
    if let Err(error) = sent {
        tracing::warn!(%error, "an answer could not be sent");
    }
}

/// Answers with an error, and the given headers beside it.
pub async fn reply_fault(
    client: &Client,
    reply: Subject,
    fault: &Fault,
    headers: &[(&'static str, String)],
) {
    let mut all = fault_headers(fault).to_vec();
    all.extend_from_slice(headers);
    reply_text(client, reply, &all, fault_body(fault)).await;
}

/// The headers of an error.
pub fn fault_headers(fault: &Fault) -> [(&'static str, String); 2] {
    [(edge::ERROR, fault.message.clone()), (edge::ERROR_CODE, fault.code.to_string())]
}

/// The body of an error: `{"error":{"code":404,"message":"..."}}`.
pub fn fault_body(fault: &Fault) -> Bytes {
    serde_json::json!({ "error": fault }).to_string().into()
}

/// The error that a message carries, if it does.
pub fn fault_of(headers: Option<&HeaderMap>) -> Option<Fault> {
    let headers = headers?;
    let message = headers.get(edge::ERROR);
    let code = headers.get(edge::ERROR_CODE);
    if message.is_none() && code.is_none() {
        return None;
    }
    let number = code.and_then(|code| code.as_str().parse().ok()).unwrap_or(500);
    let text = message.map_or("no message was given", HeaderValue::as_str);
    Some(Fault::new(Code::from_number(number), text))
}

/// A header cannot hold line breaks; the body keeps them.
fn header_value(text: &str) -> HeaderValue {
    let line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1024).collect();
    line.as_str().into()
}
