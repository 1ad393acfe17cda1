//! A scan over many partitions, put together.

use super::answer::{Answer, refused};
use catena_protocol::edge::{NEXT, body};
use catena_protocol::message::read::Found;
use catena_protocol::message::store::Tell;
use catena_protocol::{Fault, Key};
use serde_json::{Value, json};

/// Answers of partitions as they come in.
#[derive(Debug)]
pub(super) struct Gathered {
    missing: usize,
    limit: usize,
    found: Vec<Found>,
    /// The first key behind which a partition has more.
    cut: Option<Key>,
    fault: Option<Fault>,
}

impl Gathered {
    pub(super) fn new(partitions: usize, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { missing: partitions, limit, found: Vec::new(), cut: None, fault: None }
    }

    /// Takes the answer of one partition. Returns the whole once it is complete.
    pub(super) fn take(&mut self, tell: Tell) -> Option<Answer> {
        self.missing -= 1;
        match tell {
            Tell::Records { found, next } => {
                self.found.extend(found);
                self.cut = match (self.cut.take(), next) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
            other => self.fault = Some(refused(other)),
        }
        (self.missing == 0).then(|| self.finish())
    }

    fn finish(&mut self) -> Answer {
        if let Some(fault) = self.fault.take() {
            return Answer::bad(fault);
        }
        self.found.sort_by(|a, b| a.key.cmp(&b.key));
        if let Some(cut) = &self.cut {
            // Behind this, keys of other partitions would have gaps between them.
            self.found.retain(|found| found.key <= *cut);
        }
        if self.found.len() > self.limit {
            self.found.truncate(self.limit);
            self.cut = self.found.last().map(|found| found.key.clone());
        }
        let (count, body) = body::records(self.found.iter().map(render));
        if count < self.found.len() {
            self.cut = Some(self.found[count - 1].key.clone());
        }
        let mut answer = Answer::good(body.into(), None);
        answer.headers.extend(self.cut.take().map(|key| (NEXT, key.to_string())));
        answer
    }
}

fn render(found: &Found) -> Value {
    json!({
        "key": found.key,
        "value": found.record.value.as_ref().map(body::value),
        "version": found.record.version,
    })
}
