//! What a plain NATS client is answered.

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use serde_json::Value;

/// An answer: headers and a body.
#[derive(Debug)]
pub(crate) struct Answer {
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl From<Message> for Answer {
    fn from(message: Message) -> Self {
        Self { headers: message.headers.unwrap_or_default(), body: message.payload }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of an answer that is no error.
    pub(crate) fn good(&self) -> &str {
        assert_eq!(self.header("Nats-Service-Error"), None, "{self:?}");
        assert_eq!(self.header("Nats-Service-Error-Code"), None, "{self:?}");
        self.text()
    }

    /// The sentence of an answer that is an error of this kind: in the headers and in the body.
    pub(crate) fn bad(&self, code: u16) -> String {
        let number = self.header("Nats-Service-Error-Code").map(ToOwned::to_owned);
        assert_eq!(number, Some(code.to_string()), "{self:?}");
        let body = self.json();
        assert_eq!(body["error"]["code"], code, "{self:?}");
        let message = body["error"]["message"].as_str().unwrap().to_owned();
        let header = self.header("Nats-Service-Error").unwrap();
        assert!(message.replace(char::is_control, " ").starts_with(header), "{self:?}");
        assert!(!message.is_empty(), "{self:?}");
        message
    }

    /// As `bad`, and the sentence has this in it.
    pub(crate) fn says(&self, code: u16, part: &str) {
        let message = self.bad(code);
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }

    pub(crate) fn version(&self) -> u64 {
        self.header("Catena-Version").unwrap().parse().unwrap()
    }

    pub(crate) fn job(&self) -> String {
        self.header("Catena-Job").unwrap().to_owned()
    }
}
