//! Takes down operations while they run. Bounded; what is not completed ends as unknown.

use crate::history::{History, Malformed};
use crate::operation::{Call, Operation, Outcome};

/// Takes down operations while they run.
#[derive(Debug)]
pub struct Recorder {
    operations: Vec<Operation>,
    open: Vec<bool>,
    limit: usize,
}

/// Names an operation that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(usize);

impl Recorder {
    /// One that takes at most `limit` operations.
    pub fn new(limit: usize) -> Self {
        Self { operations: Vec::new(), open: Vec::new(), limit }
    }

    /// An operation begins at `now` (microseconds). To be called before it is sent.
    ///
    /// # Errors
    /// [`Malformed::Full`]: the limit is reached; the operation must not be sent, or it would take
    /// effect without being in the history.
    pub fn invoke(
        &mut self,
        process: u64,
        key: &str,
        call: Call,
        now: u64,
    ) -> Result<Ticket, Malformed> {
        if self.operations.len() >= self.limit {
            return Err(Malformed::Full(self.limit));
        }
        let outcome = Outcome::Unknown;
        let key = key.to_owned();
        self.operations.push(Operation {
            process,
            key,
            call,
            invoked: now,
            returned: None,
            outcome,
        });
        self.open.push(true);
        Ok(Ticket(self.operations.len() - 1))
    }

    /// It ended at `now` (microseconds). To be called after the answer came.
    ///
    /// # Errors
    /// The ticket is not open, or the outcome does not belong to the call; nothing is recorded.
    pub fn complete(
        &mut self,
        ticket: Ticket,
        now: u64,
        outcome: Outcome,
    ) -> Result<(), Malformed> {
        let open = self.open.get_mut(ticket.0).filter(|open| **open).ok_or(Malformed::NotOpen)?;
        let begun = &mut self.operations[ticket.0];
        let operation = Operation { returned: Some(now), outcome, ..begun.clone() };
        if let Some(reason) = operation.defect() {
            return Err(Malformed::Operation { operation: Box::new(operation), reason });
        }
        *begun = operation;
        *open = false;
        Ok(())
    }

    /// What was taken down. What is still open may take effect at any time, or never.
    pub fn finish(self) -> History {
        History::sound(self.operations)
    }
}
