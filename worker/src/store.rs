//! The store as operators see it: the client library's, with its errors turned into what lets a
//! job be run again.

use crate::operator::{Page, Store};
use catena_client::Store as Client;
use catena_protocol::message::read::{At, Read, Record, Scan};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::{Write, Written};
use catena_protocol::{Code, Fault, Key, key};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// The store behind a worker's operators.
#[derive(Clone)]
pub(crate) struct JobStore(pub(crate) Client);

impl JobStore {
    async fn ask(self, tag: String, ask: Ask) -> Result<Tell, Fault> {
        let partitions = self.0.partitions().await.map_err(Fault::from)?;
        self.0.ask(key::partition(&tag, partitions), ask).await.map_err(again)
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
        Tell::SnapshotTooOld { horizon } => Fault::new(
            Code::Conflict,
            format!("the job's snapshot is older than the store keeps (horizon {horizon})"),
        ),
        Tell::Fault(fault) => again(fault),
        other => Fault::new(Code::Internal, format!("unexpected answer of the store: {other:?}")),
    }
}

impl Store for JobStore {
    fn read(&self, key: Key, at: At) -> BoxFuture<'static, Result<Record, Fault>> {
        let (store, tag) = (self.clone(), key.to_string());
        async move {
            match store.ask(tag, Ask::Read(Read { key, at })).await? {
                Tell::Record(record) => Ok(record),
                other => Err(unexpected(other)),
            }
        }
        .boxed()
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'static, Result<Page, Fault>> {
        let (store, tag) = (self.clone(), scan.prefix.clone());
        async move {
            match store.ask(tag, Ask::Scan(scan)).await? {
                Tell::Records { found, next } => Ok(Page { found, next }),
                other => Err(unexpected(other)),
            }
        }
        .boxed()
    }

    fn write_now(&self, write: Write) -> BoxFuture<'static, Result<Written, Fault>> {
        let (store, tag) = (self.clone(), write.mutation.key.to_string());
        async move {
            match store.ask(tag, Ask::Write(write)).await? {
                Tell::Written(written) => Ok(written),
                other => Err(unexpected(other)),
            }
        }
        .boxed()
    }
}
