//! A store that is asked by message: [`Store`] for everything that can pass a request on.
//!
//! Promise: answers that let a job be run again say so by their code, whoever passed the request.
//!
//! Deliberately unknown here: who is asked, how often, and how messages get there.

use super::store::{Page, Store};
use catena_protocol::message::read::{At, Read, Record, Scan};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::{Write, Written};
use catena_protocol::{Code, Fault, Key};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// Passes requests on to the store, and its answers back.
pub trait Asking: Send + Sync + 'static {
    /// Asks the primary of the partition to which `tag`, a key or what all keys of a scan begin with, belongs.
    fn ask(&self, tag: String, ask: Ask) -> BoxFuture<'static, Result<Tell, Fault>>;
}

impl<A: Asking> Store for A {
    fn read(&self, key: Key, at: At) -> BoxFuture<'static, Result<Record, Fault>> {
        answer(self.ask(key.to_string(), Ask::Read(Read { key, at })), |tell| match tell {
            Tell::Record(record) => Ok(record),
            other => Err(other),
        })
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'static, Result<Page, Fault>> {
        answer(self.ask(scan.prefix.clone(), Ask::Scan(scan)), |tell| match tell {
            Tell::Records { found, next } => Ok(Page { found, next }),
            other => Err(other),
        })
    }

    fn write_now(&self, write: Write) -> BoxFuture<'static, Result<Written, Fault>> {
        answer(self.ask(write.mutation.key.to_string(), Ask::Write(write)), |tell| match tell {
            Tell::Written(written) => Ok(written),
            other => Err(other),
        })
    }
}

fn answer<T: Send + 'static>(
    told: BoxFuture<'static, Result<Tell, Fault>>,
    expected: fn(Tell) -> Result<T, Tell>,
) -> BoxFuture<'static, Result<T, Fault>> {
    async move { expected(told.await.map_err(again)?).map_err(unexpected) }.boxed()
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
        Tell::SnapshotTooOld { horizon } => Fault::new(
            Code::Conflict,
            format!("the job's snapshot is older than the store keeps (horizon {horizon})"),
        ),
        Tell::Fault(fault) => again(fault),
        other => Fault::new(Code::Internal, format!("unexpected answer of the store: {other:?}")),
    }
}
