//! A scan over many partitions, put together.

use super::answer::{Answer, refused};
use catena_protocol::edge::{NEXT, body};
use catena_protocol::message::read::Found;
use catena_protocol::message::store::Tell;
use catena_protocol::{Fault, Key};
use serde_json::{Value, json};

/// The JSON of an answer ends at about so many bytes.
const BODY_BYTES: usize = 600 * 1024;

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
        let mut records = Vec::with_capacity(self.found.len());
        let mut bytes = 0;
        for found in &self.found {
            let record = render(found);
            bytes += found.key.as_str().len() + record["value"].to_string().len() + 64;
            if bytes > BODY_BYTES && !records.is_empty() {
                let last = self.found.get(records.len() - 1);
                self.cut = last.map(|found| found.key.clone());
                break;
            }
            records.push(record);
        }
        let mut answer = Answer::good(Value::Array(records).to_string().into(), None);
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
