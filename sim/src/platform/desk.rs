//! What operators ask for and note while they are polled by hand: the store as the real context
//! sees it, a clock to wait for, and a record of what was read and written where it happened.

use crate::job::{Rows, Write};
use catena_protocol::message::read::{At, Read, Record, Scan};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::{Write as WriteNow, Written};
use catena_protocol::{Code, Fault, Key};
use catena_worker::operator::{Page, Store};
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

/// A store that is too busy or too slow is no failure of the operator.
fn again(fault: Fault) -> Fault {
    match fault.code {
        Code::TooBusy | Code::Deadline => Fault::new(Code::Unavailable, fault.message),
        _ => fault,
    }
}

fn unexpected(tell: Tell) -> Fault {
    match tell {
        Tell::SnapshotTooOld { horizon } => {
            Fault::new(Code::Conflict, format!("the snapshot is too old (horizon {horizon})"))
        }
        Tell::Fault(fault) => again(fault),
        other => Fault::new(Code::Internal, format!("unexpected answer of the store: {other:?}")),
    }
}

impl Store for Desk {
    fn read(&self, key: Key, at: At) -> BoxFuture<'static, Result<Record, Fault>> {
        let wish = Wish::Store(key.to_string(), Box::new(Ask::Read(Read { key, at })));
        let told = self.wish(wish);
        async move {
            match told.await.map_err(again)? {
                Tell::Record(record) => Ok(record),
                other => Err(unexpected(other)),
            }
        }
        .boxed()
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'static, Result<Page, Fault>> {
        let told = self.wish(Wish::Store(scan.prefix.clone(), Box::new(Ask::Scan(scan))));
        async move {
            match told.await.map_err(again)? {
                Tell::Records { found, next } => Ok(Page { found, next }),
                other => Err(unexpected(other)),
            }
        }
        .boxed()
    }

    fn write_now(&self, write: WriteNow) -> BoxFuture<'static, Result<Written, Fault>> {
        let key = write.mutation.key.to_string();
        let told = self.wish(Wish::Store(key, Box::new(Ask::Write(write))));
        async move {
            match told.await.map_err(again)? {
                Tell::Written(written) => Ok(written),
                other => Err(unexpected(other)),
            }
        }
        .boxed()
    }
}
