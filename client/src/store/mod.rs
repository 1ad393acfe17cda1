//! The store: one key at a time, linearizable.
//!
//! ```text
//! caller --channel--> one task (router) --one message per node and turn--> storage nodes
//!        <--oneshot--                   <--answers in batches--
//! ```
//!
//! Promise: a write takes effect at most once, however often it is sent; every call ends, at the
//! latest at its timeout; an error says whether anything may have changed.

mod task;
mod update;

pub use update::{Entry, Updated};

use crate::causality::Causality;
use crate::clock::Clock;
use crate::{Error, ErrorKind};
use bytes::Bytes;
use catena_link::Link;
use catena_protocol::message::commit::{Commit, Decided, Outcome};
use catena_protocol::message::read::{At, Read, Record, Scan};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::{Change, Condition, Mutation, Write, Written};
use catena_protocol::{Blob, Fault, JobId, Key, RequestId, Timestamp, limit};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use task::Command;
use tokio::sync::{mpsc, oneshot, watch};

/// Requests that may wait in the channel of the task before callers wait.
const QUEUE: usize = 4_096;

/// The store of a cluster. Cheap to clone; all clones share one task, which ends when the last
/// of them is dropped.
///
/// ```no_run
/// # async fn example() -> Result<(), catena_client::Error> {
/// let client = catena_client::Client::connect("nats://127.0.0.1:4222").await?;
/// let store = client.store();
/// let written = store.write("greeting", "hello").await?;
/// let entry = store.read("greeting").await?;
/// assert_eq!((entry.version, entry.text()), (written, Some("hello")));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
    timeout: Duration,
}

#[derive(Debug)]
struct Shared {
    commands: mpsc::Sender<Command>,
    clock: Clock,
    known: OnceLock<u16>,
    partitions: watch::Receiver<Option<u16>>,
    causality: Causality,
}

impl Store {
    /// A store over an existing connection; starts its task.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] if the connection is closed for good.
    pub async fn open(link: &Link) -> Result<Self, Error> {
        Self::sharing(link, Causality::default()).await
    }

    pub(crate) async fn sharing(link: &Link, causality: Causality) -> Result<Self, Error> {
        let clock = Clock::start();
        let (commands, receiver) = mpsc::channel(QUEUE);
        let partitions = task::start(link.clone(), clock, receiver).await?;
        let known = OnceLock::new();
        let shared = Shared { commands, clock, known, partitions, causality };
        let timeout = Duration::from_millis(limit::ANSWER_MS);
        Ok(Self { shared: Arc::new(shared), timeout })
    }

    /// The same store, whose calls end after `timeout` instead of 4.5 s.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), timeout }
    }

    /// The record of `key`, with everything that was acknowledged before.
    ///
    /// # Errors
    /// A key that is not one, no primary in time.
    pub async fn read(&self, key: impl AsRef<str>) -> Result<Entry, Error> {
        self.read_when(key.as_ref(), At::Latest).await
    }

    /// The record of `key` as it was at `version`.
    ///
    /// # Errors
    /// As for `read`; [`ErrorKind::NotFound`] if versions that old are no longer kept.
    pub async fn read_at(&self, key: impl AsRef<str>, version: Timestamp) -> Result<Entry, Error> {
        self.read_when(key.as_ref(), At::Snapshot(version)).await
    }

    async fn read_when(&self, key: &str, at: At) -> Result<Entry, Error> {
        let key = Key::new(key)?;
        let partition = self.partition_of(&key).await?;
        match self.tell(partition, Ask::Read(Read { key, at })).await? {
            Tell::Record(record) => Ok(self.entry(record)),
            other => Err(unexpected(other)),
        }
    }

    /// Sets `key` to `value`; returns the version that this wrote.
    ///
    /// # Errors
    /// A key or value beyond its limit, no primary in time (then the message says whether the
    /// write may have happened).
    pub async fn write(
        &self,
        key: impl AsRef<str>,
        value: impl Into<Bytes>,
    ) -> Result<Timestamp, Error> {
        let change = Change::Put(Blob(value.into()));
        self.change(key.as_ref(), change, Condition::Always).await?.done()
    }

    /// Removes `key`; returns the version that this wrote. It is no error if there was nothing.
    ///
    /// # Errors
    /// As for `write`.
    pub async fn delete(&self, key: impl AsRef<str>) -> Result<Timestamp, Error> {
        self.change(key.as_ref(), Change::Delete, Condition::Always).await?.done()
    }

    /// Sets `key` to `value` if it holds `expected` (`None`: nothing). With `None` as the new
    /// value it is removed. Never half: [`Updated::Differs`] changed nothing.
    ///
    /// ```no_run
    /// # async fn example(store: catena_client::Store) -> Result<(), catena_client::Error> {
    /// use catena_client::Updated;
    /// match store.update_if_value_is("seat:12a", None, Some("ada".into())).await? {
    ///     Updated::Done(version) => println!("taken at {version}"),
    ///     Updated::Differs(found) => println!("already taken by {:?}", found.text()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for `write`.
    pub async fn update_if_value_is(
        &self,
        key: impl AsRef<str>,
        expected: Option<Bytes>,
        value: Option<Bytes>,
    ) -> Result<Updated, Error> {
        let condition = Condition::ValueIs(expected.map(Blob));
        self.change(key.as_ref(), put_or_delete(value), condition).await
    }

    /// Sets `key` to `value` if its version is `expected` ([`Timestamp::ZERO`]: nothing is
    /// there).
    ///
    /// # Errors
    /// As for `write`.
    pub async fn update_if_version_is(
        &self,
        key: impl AsRef<str>,
        expected: Timestamp,
        value: Option<Bytes>,
    ) -> Result<Updated, Error> {
        let condition = Condition::VersionIs(expected);
        self.change(key.as_ref(), put_or_delete(value), condition).await
    }

    /// Adds `delta` to the integer that `key` holds (nothing counts as 0); returns the sum.
    /// Concurrent adds never conflict.
    ///
    /// # Errors
    /// As for `write`; [`ErrorKind::OperatorFailed`] if the value is no integer or the sum does
    /// not fit 64 bits.
    pub async fn add(&self, key: impl AsRef<str>, delta: i64) -> Result<i64, Error> {
        let written = self.written(key.as_ref(), Change::Add(delta), Condition::Always).await?;
        match written {
            Written::Done { value: Some(value), .. } => Ok(value),
            other => Err(Error::new(
                ErrorKind::Internal,
                format!("the store answered an `add` with {other:?}; the add has happened"),
            )),
        }
    }

    /// The records whose keys begin with `prefix`, in key order, at most `most` of them.
    ///
    /// A prefix with a whole tag in braces, as in `{user42}:`, is one consistent read of one
    /// partition. Any other prefix asks every partition, one after the other: each part is
    /// consistent in itself.
    ///
    /// # Errors
    /// As for `read`; the whole scan has the time of one call.
    pub async fn scan(
        &self,
        prefix: impl AsRef<str>,
        most: usize,
    ) -> Result<Vec<(Key, Entry)>, Error> {
        let prefix = prefix.as_ref();
        let deadline_us = self.shared.clock.after(self.timeout);
        let partitions = self.partitions().await?;
        if catena_protocol::key::tag(prefix) != prefix {
            let partition = catena_protocol::partition(prefix, partitions);
            return self.scan_partition(partition, prefix, most, deadline_us).await;
        }
        let mut all = Vec::new();
        for partition in 0..partitions {
            all.extend(self.scan_partition(partition, prefix, most, deadline_us).await?);
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.truncate(most);
        Ok(all)
    }

    async fn scan_partition(
        &self,
        partition: u16,
        prefix: &str,
        most: usize,
        deadline_us: u64,
    ) -> Result<Vec<(Key, Entry)>, Error> {
        let mut all = Vec::new();
        let mut after = None;
        while all.len() < most {
            let limit = u32::try_from(most - all.len()).unwrap_or(u32::MAX);
            let limit = limit.min(limit::SCAN_RECORDS);
            let scan = Scan { prefix: prefix.to_owned(), at: At::Latest, after, limit };
            match self.ask_by(partition, Ask::Scan(scan), deadline_us).await? {
                Tell::Records { found, next } => {
                    all.extend(found.into_iter().map(|f| (f.key, self.entry(f.record))));
                    after = next;
                }
                other => return Err(unexpected(other)),
            }
            if after.is_none() {
                break;
            }
        }
        Ok(all)
    }

    /// Ends a job: its writes become visible with its outcome, or it is told whose attempt was
    /// faster. For those who run jobs.
    ///
    /// # Errors
    /// No primary in time.
    pub async fn commit(&self, commit: Commit) -> Result<Decided, Error> {
        let home = self.home_of(commit.job).await?;
        match self.tell(home, Ask::Commit(commit)).await? {
            Tell::Decided(decided) => Ok(decided),
            other => Err(unexpected(other)),
        }
    }

    /// The outcome of a job; none: it has none, or none yet, or none any more.
    ///
    /// # Errors
    /// No primary in time.
    pub async fn outcome(&self, job: JobId) -> Result<Option<Outcome>, Error> {
        let home = self.home_of(job).await?;
        match self.tell(home, Ask::Outcome(job)).await? {
            Tell::Outcome(outcome) => Ok(outcome),
            other => Err(unexpected(other)),
        }
    }

    /// Asks the primary of a partition anything. Never answered with [`Tell::NotPrimary`] nor
    /// [`Tell::Fault`].
    ///
    /// # Errors
    /// What the storage node refused, or no primary in time.
    pub async fn ask(&self, partition: u16, ask: Ask) -> Result<Tell, Fault> {
        Ok(self.tell(partition, ask).await?)
    }

    async fn tell(&self, partition: u16, ask: Ask) -> Result<Tell, Error> {
        self.ask_by(partition, ask, self.shared.clock.after(self.timeout)).await
    }

    async fn ask_by(&self, partition: u16, ask: Ask, deadline_us: u64) -> Result<Tell, Error> {
        let (caller, answer) = oneshot::channel();
        let command = Command { caller, partition, ask, deadline_us };
        if let Err(refused) = self.shared.commands.try_send(command) {
            self.enqueue(refused, deadline_us).await?;
        }
        Ok(answer.await.map_err(|_| Error::closed())??)
    }

    /// The task is behind: waits for room, but not beyond the deadline.
    async fn enqueue(
        &self,
        refused: mpsc::error::TrySendError<Command>,
        deadline_us: u64,
    ) -> Result<(), Error> {
        let mpsc::error::TrySendError::Full(command) = refused else {
            return Err(Error::closed());
        };
        let deadline = self.shared.clock.at(deadline_us);
        match tokio::time::timeout_at(deadline, self.shared.commands.send(command)).await {
            Ok(sent) => sent.map_err(|_| Error::closed()),
            Err(_) => Err(Error::new(
                ErrorKind::TooBusy,
                "too many store requests wait here; nothing was changed; try again later",
            )),
        }
    }

    /// Number of partitions of the cluster; waits for a storage node if none has told it yet.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if none does in time.
    pub async fn partitions(&self) -> Result<u16, Error> {
        if let Some(known) = self.shared.known.get() {
            return Ok(*known);
        }
        let mut partitions = self.shared.partitions.clone();
        let told = tokio::time::timeout(self.timeout, partitions.wait_for(Option::is_some)).await;
        match told {
            Ok(Ok(told)) => told.map(|told| *self.shared.known.get_or_init(|| told)),
            Ok(Err(_)) => return Err(Error::closed()),
            Err(_) => None,
        }
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                "no storage node answers; nothing was changed; start one with `catena storage`",
            )
        })
    }

    async fn partition_of(&self, key: &Key) -> Result<u16, Error> {
        Ok(key.partition(self.partitions().await?))
    }

    async fn home_of(&self, job: JobId) -> Result<u16, Error> {
        Ok(job.home() % self.partitions().await?.max(1))
    }

    async fn change(
        &self,
        key: &str,
        change: Change,
        condition: Condition,
    ) -> Result<Updated, Error> {
        Ok(match self.written(key, change, condition).await? {
            Written::Done { version, .. } => Updated::Done(version),
            Written::Differs { version, value } => {
                Updated::Differs(self.entry(Record { version, value }))
            }
        })
    }

    async fn written(
        &self,
        key: &str,
        change: Change,
        condition: Condition,
    ) -> Result<Written, Error> {
        let key = Key::new(key)?;
        if let Change::Put(value) = &change
            && value.len() > limit::VALUE_BYTES
        {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the value of `{key}` has {} bytes; at most {} are allowed; nothing was sent",
                    value.len(),
                    limit::VALUE_BYTES
                ),
            ));
        }
        let partition = self.partition_of(&key).await?;
        let request = RequestId(rand::random());
        let write = Write { request, mutation: Mutation { key, change }, condition };
        match self.tell(partition, Ask::Write(write)).await? {
            Tell::Written(written) => {
                if let Written::Done { version, .. } = &written {
                    self.shared.causality.saw(*version);
                }
                Ok(written)
            }
            other => Err(unexpected(other)),
        }
    }

    fn entry(&self, record: Record) -> Entry {
        self.shared.causality.saw(record.version);
        Entry { version: record.version, value: record.value.map(|blob| blob.0) }
    }
}

fn put_or_delete(value: Option<Bytes>) -> Change {
    value.map_or(Change::Delete, |value| Change::Put(Blob(value)))
}

fn unexpected(tell: Tell) -> Error {
    match tell {
        Tell::SnapshotTooOld { horizon } => Error::new(
            ErrorKind::NotFound,
            format!("versions before {horizon} are no longer kept; read at a later one"),
        ),
        other => Error::new(
            ErrorKind::Internal,
            format!("the store gave an answer of another kind: {other:?}"),
        ),
    }
}
