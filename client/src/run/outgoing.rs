//! What one turn sends to schedulers: one message for each chain.

use async_nats::{HeaderMap, PublishError, Subject};
use bytes::Bytes;
use catena_link::Link;
use catena_protocol::codec::Batch;
use catena_protocol::message::submit::Submit;
use catena_protocol::{Name, edge};

/// Subjects are remembered for so many chains.
const CHAINS: usize = 256;

/// Submissions by chain.
pub(super) struct Outgoing {
    limit: usize,
    headers: HeaderMap,
    known: Vec<Chain>,
    full: Vec<(Subject, Subject, Bytes)>,
}

struct Chain {
    name: Name,
    subject: Subject,
    reply: Subject,
    batch: Batch,
}

impl Outgoing {
    /// Messages stay below `limit` bytes where a single submission does.
    pub(super) fn new(limit: usize) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(edge::CONTENT_TYPE, edge::CBOR);
        Self { limit, headers, known: Vec::new(), full: Vec::new() }
    }

    /// Adds a submission. `reply` makes the reply subject of a message; the same for all
    /// submissions to one chain between two flushes.
    pub(super) fn push(
        &mut self,
        link: &Link,
        chain: &Name,
        submit: &Submit,
        reply: impl FnOnce() -> Subject,
    ) {
        let at = match self.known.iter().position(|known| known.name == *chain) {
            Some(at) => at,
            None => self.add(link, chain),
        };
        let known = &mut self.known[at];
        if known.batch.is_empty() {
            known.reply = reply();
        }
        if let Some(full) = known.batch.push_within(submit, self.limit) {
            self.full.push((known.subject.clone(), known.reply.clone(), full));
        }
    }

    fn add(&mut self, link: &Link, chain: &Name) -> usize {
        if self.known.len() >= CHAINS {
            self.forget();
        }
        let subject = link.subjects.run(chain.as_str()).into();
        let reply = Subject::from_static("");
        self.known.push(Chain { name: chain.clone(), subject, reply, batch: Batch::default() });
        self.known.len() - 1
    }

    fn forget(&mut self) {
        for mut known in self.known.drain(..) {
            if !known.batch.is_empty() {
                self.full.push((known.subject, known.reply, known.batch.take()));
            }
        }
    }

    /// Hands everything to the connection.
    pub(super) async fn flush(&mut self, client: &async_nats::Client) -> Result<(), PublishError> {
        let waiting = self.known.iter_mut().filter(|known| !known.batch.is_empty());
        let waiting =
            waiting.map(|known| (known.subject.clone(), known.reply.clone(), known.batch.take()));
        let mut failed = None;
        for (subject, reply, bytes) in self.full.drain(..).chain(waiting) {
            let headers = self.headers.clone();
            let sent = client.publish_with_reply_and_headers(subject, reply, headers, bytes).await;
            if let Err(error) = sent {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
