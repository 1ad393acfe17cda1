//! **submit**: jobs on the durable queue, and what becomes of them.

use crate::ask::ask;
use crate::client::Client;
use crate::job::{JobState, JobStatus};
use crate::run::RunResult;
use crate::{Error, ErrorKind};
use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use catena_protocol::message::submit::Queued;
use catena_protocol::subject::{INLINE, JobVerb};
use catena_protocol::{JobId, Name, RequestId, Timestamp, edge, limit};
use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;

/// A job for the durable queue: add what is to be said about it, then `.await` it.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Submit<'a> {
    client: &'a Client,
    chain: String,
    inline: bool,
    input: Bytes,
    routing_key: Option<String>,
    idempotency_key: Option<String>,
    timeout: Option<Duration>,
    after: Timestamp,
    trace: Option<String>,
}

impl<'a> Submit<'a> {
    pub(crate) fn new(client: &'a Client, chain: String, inline: bool, input: Bytes) -> Self {
        Self {
            client,
            chain,
            inline,
            input,
            routing_key: None,
            idempotency_key: None,
            timeout: None,
            after: Timestamp::ZERO,
            trace: None,
        }
    }

    /// Routing key: see [`Run::key`](crate::Run::key).
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.routing_key = Some(key.into());
        self
    }

    /// Names this job: submitted again under the same key within a day it is the same job.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// When the job ends in any case. Default: the chain's own deadline.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The job sees everything up to this version, and what this client has seen.
    pub fn after(mut self, version: Timestamp) -> Self {
        self.after = self.after.max(version);
        self
    }

    /// W3C trace context (`traceparent`), passed on unchanged to every step.
    pub fn trace(mut self, traceparent: impl Into<String>) -> Self {
        self.trace = Some(traceparent.into());
        self
    }

    async fn go(self) -> Result<JobId, Error> {
        let chain = if self.inline { Name::new(INLINE)? } else { Name::new(&self.chain)? };
        let link = self.client.link();
        let subject = link.subjects.submit(chain.as_str());
        let headers = self.headers()?;
        let deadline = Instant::now() + Duration::from_millis(limit::ANSWER_MS);
        let answer = ask(link, &subject, &headers, &self.input, deadline).await?;
        let queued: Queued = serde_json::from_slice(&answer.payload).map_err(|error| {
            Error::new(
                ErrorKind::Internal,
                format!("the scheduler's answer cannot be read: {error}; the job was queued"),
            )
        })?;
        Ok(queued.job)
    }

    /// Without an idempotency key the submission gets a name, so that asking again because of a
    /// lost answer does not queue it twice.
    fn headers(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        let mut add = |name: &'static str, value: String| {
            let value: HeaderValue = value.parse().map_err(|_| {
                Error::bad_request(format!("`{name}` must not contain line breaks"))
            })?;
            headers.insert(name, value);
            Ok::<(), Error>(())
        };
        match &self.idempotency_key {
            Some(key) => add(edge::IDEMPOTENCY_KEY, key.clone())?,
            None => add(edge::REQUEST, RequestId(rand::random()).to_string())?,
        }
        if let Some(key) = &self.routing_key {
            add(edge::ROUTING_KEY, key.clone())?;
        }
        if let Some(timeout) = self.timeout {
            add(edge::TIMEOUT, format!("{}ms", timeout.as_millis()))?;
        }
        let after = self.after.max(self.client.causality().token());
        if after > Timestamp::ZERO {
            add(edge::AFTER, after.to_string())?;
        }
        if let Some(trace) = &self.trace {
            add(edge::TRACE, trace.clone())?;
        }
        if self.inline {
            add(edge::CHAIN, self.chain.clone())?;
        }
        Ok(headers)
    }
}

impl<'a> IntoFuture for Submit<'a> {
    type Output = Result<JobId, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.go())
    }
}

/// Questions are put in these intervals, growing from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Longer than any job is known.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 86_400);

/// Asks once where a job stands.
pub(crate) async fn status(client: &Client, job: JobId) -> Result<JobStatus, Error> {
    let deadline = Instant::now() + Duration::from_millis(limit::ANSWER_MS);
    status_by(client, job, deadline).await
}

async fn status_by(client: &Client, job: JobId, deadline: Instant) -> Result<JobStatus, Error> {
    let subject = client.link().subjects.job(&job.to_string(), JobVerb::Status);
    let answer = ask(client.link(), &subject, &HeaderMap::new(), &Bytes::new(), deadline).await;
    let answer = answer.map_err(|error| error.of_job(job))?;
    let status: JobStatus = serde_json::from_slice(&answer.payload).map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            format!("the status of job {job} cannot be read: {error}; nothing was changed"),
        )
        .of_job(job)
    })?;
    // Who was told that a job has committed must see what it wrote.
    client.causality().saw(Timestamp(status.version.unwrap_or(0)));
    Ok(status)
}

/// Waits until a job has ended. A job that nobody knows (yet) is waited for too.
pub(crate) async fn wait(
    client: &Client,
    job: JobId,
    timeout: Duration,
) -> Result<RunResult, Error> {
    let deadline = Instant::now() + timeout.min(LONGEST_WAIT);
    let mut pause = FIRST_PAUSE;
    loop {
        let stands = match status_by(client, job, deadline).await {
            Ok(status) if status.state.is_final() => return result(client, job, deadline).await,
            Ok(status) => Ok(status.state),
            Err(error) if may_change(&error) => Err(error),
            Err(error) => return Err(error),
        };
        if Instant::now() + pause >= deadline {
            return Err(stands.map_or_else(|error| error, |state| still(job, state)));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether the same question may be answered later: the job is not known yet, or its home is
/// away.
fn may_change(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unavailable)
}

async fn result(client: &Client, job: JobId, deadline: Instant) -> Result<RunResult, Error> {
    let subject = client.link().subjects.job(&job.to_string(), JobVerb::Result);
    let answer = ask(client.link(), &subject, &HeaderMap::new(), &Bytes::new(), deadline).await;
    let answer = answer.map_err(|error| error.of_job(job))?;
    let version = answer.headers.as_ref().and_then(|headers| headers.get(edge::VERSION));
    let version = version.and_then(|version| version.as_str().parse().ok()).unwrap_or(0);
    let version = Timestamp(version);
    client.causality().saw(version);
    let bytes = answer.payload;
    Ok(RunResult { job, version, bytes, explained: None, found_key: None, sent_twice: false })
}

fn still(job: JobId, state: JobState) -> Error {
    let word = if state == JobState::Queued { "queued" } else { "running" };
    Error::new(
        ErrorKind::Deadline,
        format!("job {job} is still {word}; it goes on; wait for it again"),
    )
    .of_job(job)
}
