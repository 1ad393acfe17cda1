//! The store: one key at a time, linearizable.
//!
//! ```text
//! caller --channel--> one task (router) --one message per node and turn--> storage nodes
//!        <--oneshot--                   <--answers in batches--
//! ```
//!
//! Promise: a write takes effect at most once, however often it is sent; every call ends, at the
//! latest at its timeout; an error says whether anything may have changed.

mod keys;
mod places;
mod scan;
mod task;
mod update;

pub use update::{Entry, Updated};

use crate::causality::Causality;
use crate::{Error, ErrorKind};
use catena_link::Clock;
use catena_link::Link;
use catena_protocol::message::commit::{Commit, Decided, Outcome};
use catena_protocol::message::read::Record;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Fault, JobId, Key, limit};
use std::sync::atomic::{AtomicU64, Ordering};
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
    patient: bool,
}

#[derive(Debug)]
struct Shared {
    commands: mpsc::Sender<Command>,
    clock: Clock,
    known: OnceLock<u16>,
    partitions: watch::Receiver<Option<u16>>,
    redirected: Arc<AtomicU64>,
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
        let redirected = Arc::default();
        let partitions =
            task::start(link.clone(), clock, receiver, Arc::clone(&redirected)).await?;
        let known = OnceLock::new();
        let shared = Shared { commands, clock, known, partitions, redirected, causality };
        let timeout = Duration::from_millis(limit::ANSWER_MS);
        Ok(Self { shared: Arc::new(shared), timeout, patient: false })
    }

    /// The same store, whose calls end after `timeout` instead of 4.5 s.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// The same store, whose calls wait for a primary until their timeout. Otherwise they end with
    /// [`ErrorKind::Unavailable`] when a partition has had none for 2 s, which is longer than an
    /// election takes: then a majority of its storage nodes is away.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self { patient: true, ..self.clone() }
    }

    /// How often a replica was asked for a read at a version that it did not have yet, so that
    /// the read went on to the primary: of all clones together, since the first was opened.
    pub fn redirected(&self) -> u64 {
        self.shared.redirected.load(Ordering::Relaxed)
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
    /// [`Tell::Fault`], and a commit never with [`Decided::Busy`]: it is asked again.
    ///
    /// # Errors
    /// What the storage node refused, or no primary in time.
    pub async fn ask(&self, partition: u16, ask: Ask) -> Result<Tell, Fault> {
        Ok(self.tell(partition, ask).await?)
    }

    /// Asks the home of a job about it, as [`Store::ask`] does.
    ///
    /// # Errors
    /// As of [`Store::ask`].
    pub async fn ask_home(&self, job: JobId, ask: Ask) -> Result<Tell, Fault> {
        let home = self.home_of(job).await?;
        self.ask(home, ask).await
    }

    async fn tell(&self, partition: u16, ask: Ask) -> Result<Tell, Error> {
        self.ask_by(partition, ask, self.shared.clock.after(self.timeout)).await
    }

    async fn ask_by(&self, partition: u16, ask: Ask, deadline_us: u64) -> Result<Tell, Error> {
        let (caller, answer) = oneshot::channel();
        let command = Command { caller, partition, ask, deadline_us, patient: self.patient };
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

    fn entry(&self, record: Record) -> Entry {
        self.shared.causality.saw(record.version);
        Entry { version: record.version, value: record.value.map(|blob| blob.0) }
    }
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
