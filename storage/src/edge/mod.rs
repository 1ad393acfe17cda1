//! The store for people: text and JSON on `catena.storage.<verb>.<key>`.
//!
//! A request becomes one request to the machine, or one for each partition for a scan whose
//! prefix names none; the answers come back here by number until there is one text to send.

mod answer;
mod request;
mod scan;

pub(crate) use answer::Answer;

use async_nats::{Message, Subject};
use catena_protocol::Fault;
use catena_protocol::message::store::{Ask, Request, Tell};
use catena_protocol::subject::Subjects;
use scan::Gathered;
use std::collections::HashMap;
use std::time::Instant;

/// Most requests that wait at once; more are refused with 429.
const OPEN: usize = 16_384;

/// Open requests.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    next: u64,
    open: HashMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    reply: Subject,
    since: Instant,
    what: What,
}

/// What was asked for, as far as the form of the answer depends on it.
#[derive(Debug)]
enum What {
    Read { key: String },
    Write { key: String },
    Scan(Gathered),
}

/// A request as it was understood.
struct Parsed {
    what: What,
    asks: Vec<(u16, Ask)>,
}

/// A text that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) reply: Subject,
    pub(crate) since: Instant,
    pub(crate) answer: Answer,
}

impl Edge {
    /// Takes a message; its requests to the machine go into `out` with the number that
    /// [`Edge::told`] wants back.
    pub(crate) fn take(
        &mut self,
        subjects: &Subjects,
        partitions: u16,
        message: &Message,
        reply: Subject,
        since: Instant,
        out: &mut Vec<(u64, Request)>,
    ) -> Result<(), Fault> {
        if self.open.len() >= OPEN {
            let why = "too many requests are open; nothing was changed; try again later";
            return Err(Fault::new(catena_protocol::Code::TooBusy, why));
        }
        let Parsed { what, asks } = request::parse(subjects, partitions, message)?;
        let number = self.next;
        self.next += 1;
        self.open.insert(number, Open { reply, since, what });
        out.extend(
            asks.into_iter()
                .map(|(partition, ask)| (number, Request { id: number, partition, ask })),
        );
        Ok(())
    }

    /// Takes an answer of the machine. Returns a text once it is complete.
    pub(crate) fn told(&mut self, number: u64, tell: Tell) -> Option<Ready> {
        let mut open = self.open.remove(&number)?;
        let answer = match open.what {
            What::Read { key } => answer::read(&key, tell),
            What::Write { key } => answer::write(&key, tell),
            What::Scan(mut gathered) => match gathered.take(tell) {
                Some(answer) => answer,
                None => {
                    open.what = What::Scan(gathered);
                    self.open.insert(number, open);
                    return None;
                }
            },
        };
        Some(Ready { reply: open.reply, since: open.since, answer })
    }
}
