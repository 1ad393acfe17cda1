//! What a context asks of the store. Whatever can pass requests on to the
//! store is one ([`Asking`](super::Asking)), as the worker's store client.
//!
//! Unknown here: partitions, retries, transport. A fault returned here goes to the operator as it
//! is; so `Conflict` for a snapshot that is too old and `Unavailable` for a primary that is away
//! let the job be run again.

use catena_protocol::message::read::{At, Found, Record, Scan};
use catena_protocol::message::write::{Write, Written};
use catena_protocol::{Fault, Key};
use futures_util::future::BoxFuture;

/// Part of the answer to a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Records in key order.
    pub found: Vec<Found>,
    /// Where to go on: behind this key; none: this was all.
    pub next: Option<Key>,
}

/// The store, as far as operators need it.
pub trait Store: Send + Sync + 'static {
    /// The record of `key`.
    fn read(&self, key: Key, at: At) -> BoxFuture<'static, Result<Record, Fault>>;

    /// Records by prefix; all keys with this prefix have the same tag.
    fn scan(&self, scan: Scan) -> BoxFuture<'static, Result<Page, Fault>>;

    /// A write that takes effect at once; only for chains of isolation `latest`.
    fn write_now(&self, write: Write) -> BoxFuture<'static, Result<Written, Fault>>;
}
