//! What operators ask for and note while they are polled by hand: the store as the real context
//! sees it, a clock to wait for, and a record of what was read and written where it happened.

use crate::job::{Rows, Write};
use catena_protocol::Fault;
use catena_protocol::message::store::{Ask, Tell};
use catena_worker::operator::Asking;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, poll_fn};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// Something that an operator saw or did.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// A record as the store has it at the snapshot.
    Read(String, Option<String>),
    /// A shelf as the store has it at the snapshot.
    Found(String, Rows),
    /// What it wants to write.
    Wrote(String, Write),
    /// It does not see what an earlier step of its job wrote.
    Blind(String),
}

/// What an operator waits for.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// An answer of the store: of which partition's key, and what.
    Store(String, Box<Ask>),
    /// So many microseconds.
    Time(u64),
}

/// The desk of one step that runs.
#[derive(Clone, Default)]
pub(crate) struct Desk(Arc<Mutex<Papers>>);

#[derive(Default)]
struct Papers {
    next: u64,
    wishes: Vec<(u64, Wish)>,
    told: BTreeMap<u64, Result<Tell, Fault>>,
    facts: Vec<Fact>,
}

impl Desk {
    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, fact: Fact) {
        self.papers().facts.push(fact);
    }

    /// What was noted since the last time.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        std::mem::take(&mut self.papers().facts)
    }

    /// What is waited for since the last time, each with its number.
    pub(crate) fn wishes(&self) -> Vec<(u64, Wish)> {
        std::mem::take(&mut self.papers().wishes)
    }

    /// A wish is fulfilled, or not.
    pub(crate) fn tell(&self, number: u64, result: Result<Tell, Fault>) {
        self.papers().told.insert(number, result);
    }

    fn wish(&self, wish: Wish) -> impl Future<Output = Result<Tell, Fault>> + Send + use<> {
        let desk = self.clone();
        let number = {
            let mut papers = desk.papers();
            papers.next += 1;
            let number = papers.next;
            papers.wishes.push((number, wish));
            number
        };
        poll_fn(move |_| match desk.papers().told.remove(&number) {
            Some(result) => Poll::Ready(result),
            None => Poll::Pending,
        })
    }

    /// Waits.
    pub(crate) async fn sleep(&self, us: u64) {
        let _ = self.wish(Wish::Time(us)).await;
    }
}

impl Asking for Desk {
    fn ask(&self, tag: String, ask: Ask) -> BoxFuture<'static, Result<Tell, Fault>> {
        self.wish(Wish::Store(tag, Box::new(ask))).boxed()
    }
}
