//! One call of a chain, with what can be said about it.

use super::pointers::find_inline;
use super::result::RunResult;
use super::task::{Job, Told};
use crate::client::Client;
use crate::machine::submit::Good;
use crate::{Error, ErrorKind};
use bytes::Bytes;
use catena_protocol::chain::routing_key;
use catena_protocol::message::submit::Submit;
use catena_protocol::subject::INLINE;
use catena_protocol::{Blob, JobId, Name, Timestamp, limit, partition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

/// How much longer than the job's own deadline a caller waits for the answer.
const GRACE: Duration = Duration::from_millis(500);

/// What a call makes of the result: [`Raw`], [`Json`] or [`Cbor`].
pub trait Decoding: Send {
    /// What the caller gets.
    type Output: Send;
    /// Makes it.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if the result is something else.
    fn decode(result: RunResult) -> Result<Self::Output, Error>;
}

/// The result as it is, with job and version.
#[derive(Clone, Copy, Debug)]
pub struct Raw;

/// The result read as JSON.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(PhantomData<fn() -> T>);

/// The result read as CBOR.
#[derive(Clone, Copy, Debug)]
pub struct Cbor<T>(PhantomData<fn() -> T>);

impl Decoding for Raw {
    type Output = RunResult;
    fn decode(result: RunResult) -> Result<RunResult, Error> {
        Ok(result)
    }
}

impl<T: DeserializeOwned + Send> Decoding for Json<T> {
    type Output = T;
    fn decode(result: RunResult) -> Result<T, Error> {
        result.json()
    }
}

impl<T: DeserializeOwned + Send> Decoding for Cbor<T> {
    type Output = T;
    fn decode(result: RunResult) -> Result<T, Error> {
        result.cbor()
    }
}

/// A job that is about to be run: add what is to be said about it, then `.await` it. Nothing is
/// sent before.
///
/// When the future is dropped the caller is not told the result; the job goes on.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Run<'a, D = Raw> {
    client: &'a Client,
    chain: String,
    inline: bool,
    input: Result<Bytes, Error>,
    routing_key: Option<String>,
    idempotency_key: Option<String>,
    timeout: Option<Duration>,
    after: Timestamp,
    trace: Option<String>,
    explain: bool,
    decoding: PhantomData<D>,
}

impl<'a, D> Run<'a, D> {
    pub(crate) fn new(
        client: &'a Client,
        chain: String,
        inline: bool,
        input: Result<Bytes, Error>,
    ) -> Self {
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
            explain: false,
            decoding: PhantomData,
        }
    }

    /// Routing key: the job's outcome is kept in the partition of this key, so that a job that
    /// writes only keys of one partition commits in one round. Give the key, or the tag in
    /// braces, that the chain writes. Without it, and without an idempotency key, it is what the
    /// chain's own `key` finds in the input; the first job of a chain that has one is sent twice
    /// for that.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.routing_key = Some(key.into());
        self
    }

    /// Names this job: run again under the same key (and chain, and routing key) within ten
    /// minutes it has its effects once, and everybody gets the first result. Its home is that of
    /// the routing key, else of this key; the chain's own `key` is not looked at.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// When the job ends in any case. Default: the chain's own deadline; the caller then waits
    /// up to 60 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The job sees everything up to this version. What this client itself has seen is always
    /// included; this is for versions that came another way.
    pub fn after(mut self, version: Timestamp) -> Self {
        self.after = self.after.max(version);
        self
    }

    /// W3C trace context (`traceparent`), passed on unchanged to every step.
    pub fn trace(mut self, traceparent: impl Into<String>) -> Self {
        self.trace = Some(traceparent.into());
        self
    }

    /// Asks what the job takes: attempts, partitions, rounds, questions between storage nodes. See
    /// [`RunResult::explained`].
    pub const fn explain(mut self) -> Self {
        self.explain = true;
        self
    }

    /// The job that this call stands for, where `found` is what the chain's `key` finds.
    fn job(&self, partitions: u16, found: Option<&str>) -> JobId {
        let routing = self.routing_key.as_deref();
        match self.idempotency_key.as_deref() {
            Some(key) => {
                let home = partition(routing.unwrap_or(key), partitions);
                JobId::keyed(home, &self.chain, routing, key)
            }
            None => {
                let home = match routing.or(found) {
                    Some(key) => partition(key, partitions),
                    None => rand::random_range(0..partitions.max(1)),
                };
                JobId::random(home, catena_link::wall_us(), rand::random())
            }
        }
    }

    /// What is wrong is said before anybody is asked.
    fn check_input(&self) -> Result<(), Error> {
        let bytes = self.input.as_ref().map_err(Error::clone)?.len();
        if bytes <= limit::PAYLOAD_BYTES {
            return Ok(());
        }
        let most = limit::PAYLOAD_BYTES;
        Err(Error::new(
            ErrorKind::TooLarge,
            format!("the input has {bytes} bytes; at most {most} are allowed; nothing was sent"),
        ))
    }

    async fn go(self) -> Result<RunResult, Error> {
        let chain = Name::new(if self.inline { INLINE } else { &self.chain })?;
        self.check_input()?;
        let input = self.input.clone()?;
        let partitions = self.client.store().partitions().await?;
        let wait = self.timeout.unwrap_or(Duration::from_millis(limit::DEADLINE_MS));
        let deadline_us = self.client.deadline_us(wait.saturating_add(GRACE));
        let may_move = self.leaves_home_open();
        let mut found = self.find_key(&chain, &input).filter(|_| may_move);
        let mut submit = self.submit(self.job(partitions, found.as_deref()), &input, may_move);
        let mut sent_twice = false;
        loop {
            let job = submit.job;
            let told = self.client.run_job(Job { chain: chain.clone(), submit }, deadline_us).await;
            match told.map_err(|error| error.of_job(job))? {
                Told::Answer(Ok(Good { version, result, explained })) => {
                    self.client.causality().saw(version);
                    let (bytes, found_key) = (result.0, found);
                    return Ok(RunResult { job, version, bytes, explained, found_key, sent_twice });
                }
                Told::Answer(Err(fault)) => return Err(Error::from(fault).of_job(job)),
                Told::Elsewhere(pointer) => {
                    found = routing_key(&input, &pointer);
                    self.client.pointers().learn(&chain, pointer);
                    sent_twice = true;
                    // Schedulers that know different definitions are not asked by turns.
                    submit = self.submit(self.job(partitions, found.as_deref()), &input, false);
                }
            }
        }
    }

    /// Whether any home will do. With an idempotency key none will: a home that hung on what is
    /// known of the chain at the moment would make two jobs of one key.
    const fn leaves_home_open(&self) -> bool {
        self.routing_key.is_none() && self.idempotency_key.is_none()
    }

    /// What the chain's `key` finds in the input, as far as it is known.
    fn find_key(&self, chain: &Name, input: &[u8]) -> Option<String> {
        match self.inline {
            true => find_inline(&self.chain, input),
            false => self.client.pointers().find(chain, input),
        }
    }

    fn submit(&self, job: JobId, input: &Bytes, may_move: bool) -> Submit {
        let in_ms = |timeout: Duration| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Submit {
            job,
            input: Blob(input.clone()),
            timeout_ms: self.timeout.map_or(0, |timeout| in_ms(timeout).max(1)),
            after: self.after.max(self.client.causality().token()),
            keyed: self.idempotency_key.is_some(),
            trace: self.trace.clone(),
            inline: self.inline.then(|| self.chain.clone()),
            explain: self.explain,
            may_move,
        }
    }
}

impl<'a, D: Decoding + 'a> IntoFuture for Run<'a, D> {
    type Output = Result<D::Output, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let run: Run<'a, Raw> = self.into_raw();
        Box::pin(async move { D::decode(run.go().await?) })
    }
}

impl<'a, D> Run<'a, D> {
    fn into_raw(self) -> Run<'a, Raw> {
        Run {
            client: self.client,
            chain: self.chain,
            inline: self.inline,
            input: self.input,
            routing_key: self.routing_key,
            idempotency_key: self.idempotency_key,
            timeout: self.timeout,
            after: self.after,
            trace: self.trace,
            explain: self.explain,
            decoding: PhantomData,
        }
    }
}

/// Encodes an input as JSON.
pub(crate) fn json(input: &impl Serialize) -> Result<Bytes, Error> {
    serde_json::to_vec(input).map(Bytes::from).map_err(cannot_encode)
}

/// Encodes an input as CBOR.
pub(crate) fn cbor(input: &impl Serialize) -> Result<Bytes, Error> {
    let mut bytes = Vec::new();
    ciborium::into_writer(input, &mut bytes).map_err(cannot_encode)?;
    Ok(bytes.into())
}

fn cannot_encode(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Encode, format!("the input cannot be encoded: {error}; nothing was sent"))
}
