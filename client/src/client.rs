//! The client of a cluster.

use crate::causality::Causality;
use crate::chains::Chains;
use crate::job::JobStatus;
use crate::run::{self, Cbor, Command, Job, Json, Pointers, Run, RunResult, Told};
use crate::store::Store;
use crate::submit::{self, Submit};
use crate::{Error, ErrorKind, Options};
use bytes::Bytes;
use catena_link::Clock;
use catena_link::Link;
use catena_protocol::{JobId, Timestamp, limit};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait in the channel of the task before callers wait.
const QUEUE: usize = 4_096;

/// A connection to a cluster: runs chains, uses the store. Cheap to clone; all clones share one
/// connection and what they have seen: a job never sees less than what any of them saw before.
///
/// ```no_run
/// # async fn example() -> Result<(), catena_client::Error> {
/// use catena_client::Client;
///
/// let client = Client::connect("nats://127.0.0.1:4222").await?;
/// let result = client.run("shout", "hello").await?;
/// println!("{} ({})", result.text()?, result.job);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    link: Link,
    clock: Clock,
    jobs: mpsc::Sender<Command>,
    store: Store,
    causality: Causality,
    pointers: Pointers,
}

impl Client {
    /// Connects to a server (or several, separated by commas), or with [`Options`].
    ///
    /// # Errors
    /// [`ErrorKind::Connect`](crate::ErrorKind::Connect) with where and why.
    pub async fn connect(options: impl Into<Options>) -> Result<Self, Error> {
        let options = options.into();
        let name = options.name();
        let wait = options.waits();
        let settings = options.into_settings()?;
        Self::over(catena_link::connect(settings, &name, wait).await?).await
    }

    /// A client over a connection that there is already.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) if it is closed for good.
    pub async fn over(link: Link) -> Result<Self, Error> {
        let clock = Clock::start();
        let causality = Causality::default();
        let (jobs, commands) = mpsc::channel(QUEUE);
        run::start(link.clone(), clock, commands).await?;
        let store = Store::sharing(&link, causality.clone()).await?;
        let pointers = Pointers::default();
        Ok(Self { inner: Arc::new(Inner { link, clock, jobs, store, causality, pointers }) })
    }

    /// Runs a chain and waits for its result.
    ///
    /// ```no_run
    /// # async fn example(client: catena_client::Client) -> Result<(), catena_client::Error> {
    /// use std::time::Duration;
    /// let receipt = client
    ///     .run("order", r#"{"item":"book","customer":"ada"}"#)
    ///     .key("{ada}")
    ///     .idempotency_key("order-4711")
    ///     .timeout(Duration::from_secs(5))
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The call's, by [`ErrorKind`](crate::ErrorKind): unknown chain, failed operator, too
    /// busy, deadline, and so on.
    pub fn run(&self, chain: impl Into<String>, input: impl Into<Bytes>) -> Run<'_> {
        Run::new(self, chain.into(), false, Ok(input.into()))
    }

    /// Runs a chain with an input as JSON; its result is read as JSON.
    ///
    /// ```no_run
    /// # async fn example(client: catena_client::Client) -> Result<(), catena_client::Error> {
    /// use std::collections::BTreeMap;
    /// let words = ["to", "be", "or", "not", "to", "be"];
    /// let counts = client.run_json::<BTreeMap<String, u64>>("count", &words).await?;
    /// assert_eq!(counts["be"], 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for `run`; also if input or result do not fit.
    pub fn run_json<T: DeserializeOwned + Send>(
        &self,
        chain: impl Into<String>,
        input: &impl Serialize,
    ) -> Run<'_, Json<T>> {
        Run::new(self, chain.into(), false, run::json(input))
    }

    /// Runs a chain with an input as CBOR; its result is read as CBOR.
    ///
    /// # Errors
    /// As for `run_json`.
    pub fn run_cbor<T: DeserializeOwned + Send>(
        &self,
        chain: impl Into<String>,
        input: &impl Serialize,
    ) -> Run<'_, Cbor<T>> {
        Run::new(self, chain.into(), false, run::cbor(input))
    }

    /// Runs a chain that needs no definition: operators separated by commas, or the JSON of a
    /// definition.
    ///
    /// ```no_run
    /// # async fn example(client: catena_client::Client) -> Result<(), catena_client::Error> {
    /// let result = client.run_inline("trim,uppercase", "  hello ").await?;
    /// assert_eq!(result.text()?, "HELLO");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for `run`.
    pub fn run_inline(&self, steps: impl Into<String>, input: impl Into<Bytes>) -> Run<'_> {
        Run::new(self, steps.into(), true, Ok(input.into()))
    }

    /// Puts a job on the durable queue; returns as soon as it is safe there. From then on it
    /// survives every process, and ends with exactly one outcome.
    ///
    /// ```no_run
    /// # async fn example(client: catena_client::Client) -> Result<(), catena_client::Error> {
    /// let job = client.submit("report", "2026-03").await?;
    /// let report = client.wait(job).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for `run`; a full queue is `TooBusy`.
    pub fn submit(&self, chain: impl Into<String>, input: impl Into<Bytes>) -> Submit<'_> {
        Submit::new(self, chain.into(), false, input.into())
    }

    /// Puts a job with a chain of its own on the durable queue; see
    /// [`run_inline`](Self::run_inline).
    ///
    /// # Errors
    /// As for `submit`.
    pub fn submit_inline(&self, steps: impl Into<String>, input: impl Into<Bytes>) -> Submit<'_> {
        Submit::new(self, steps.into(), true, input.into())
    }

    /// Waits up to 60 s until a job has ended; returns its result.
    ///
    /// # Errors
    /// How it ended if it has no result; `Deadline` if it still runs; `NotFound` if nobody
    /// knows it.
    pub async fn wait(&self, job: JobId) -> Result<RunResult, Error> {
        self.wait_for(job, Duration::from_millis(limit::DEADLINE_MS)).await
    }

    /// Waits up to `timeout` until a job has ended; returns its result.
    ///
    /// # Errors
    /// As for `wait`.
    pub async fn wait_for(&self, job: JobId, timeout: Duration) -> Result<RunResult, Error> {
        submit::wait(self, job, timeout).await
    }

    /// Where a job stands.
    ///
    /// # Errors
    /// `NotFound` if nobody knows it (any more).
    pub async fn status(&self, job: JobId) -> Result<JobStatus, Error> {
        submit::status(self, job).await
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The definitions of chains.
    pub fn chains(&self) -> Chains<'_> {
        Chains::new(self)
    }

    /// The highest version that this client has seen: what a job of another client must be
    /// given with `.after()` to see at least as much.
    pub fn seen(&self) -> Timestamp {
        self.inner.causality.token()
    }

    /// Takes note of a version that came another way: whatever this client asks for from now on
    /// is at least as new. Waits until the clock of this machine has reached it.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`] if it lies further ahead than clocks may differ (0.5 s): then it
    /// is no version of this cluster, or a clock is wrong.
    pub async fn catch_up(&self, version: Timestamp) -> Result<(), Error> {
        let ahead_us = version.0.saturating_sub(catena_link::wall_us());
        if ahead_us > limit::CLOCK_OFFSET_US {
            return Err(Error::bad_request(format_args!(
                "version {version} is {ahead_us} us ahead of this machine's clock; at most {} are \
                 allowed",
                limit::CLOCK_OFFSET_US
            )));
        }
        tokio::time::sleep(Duration::from_micros(ahead_us)).await;
        self.inner.causality.saw(version);
        Ok(())
    }

    /// The connection to NATS beneath.
    pub fn link(&self) -> &Link {
        &self.inner.link
    }

    pub(crate) fn causality(&self) -> &Causality {
        &self.inner.causality
    }

    /// Takes no more jobs, waits until those under way are answered, and sends what is left.
    /// Jobs of other clones end with `Closed` from now on; the store can still be used.
    ///
    /// Without it nothing is lost either, once the answers have come: the connection ends with
    /// the last clone.
    pub async fn close(self) {
        let (closed, answered) = oneshot::channel();
        if self.inner.jobs.send(Command::Close(closed)).await.is_ok() {
            let _ = answered.await;
        }
        let _ = self.inner.link.client.flush().await;
    }

    pub(crate) fn pointers(&self) -> &Pointers {
        &self.inner.pointers
    }

    /// When a wait that begins now is over, for [`run_job`](Self::run_job).
    pub(crate) fn deadline_us(&self, wait: Duration) -> u64 {
        self.inner.clock.after(wait)
    }

    pub(crate) async fn run_job(&self, job: Job, deadline_us: u64) -> Result<Told, Error> {
        let (caller, answer) = oneshot::channel();
        let command = Command::Run { caller, job, deadline_us };
        if let Err(refused) = self.inner.jobs.try_send(command) {
            self.enqueue(refused, deadline_us).await?;
        }
        answer.await.map_err(|_| Error::closed())
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
        let deadline = self.inner.clock.at(deadline_us);
        match tokio::time::timeout_at(deadline, self.inner.jobs.send(command)).await {
            Ok(sent) => sent.map_err(|_| Error::closed()),
            Err(_) => Err(Error::new(
                ErrorKind::TooBusy,
                "too many jobs wait in this client; this one was not sent; try again later",
            )),
        }
    }
}
