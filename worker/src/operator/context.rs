//! What an operator sees of the store and of its job.
//!
//! Promise: all reads are at the job's one snapshot plus its own writes (isolation `latest`
//! apart, where every operation takes effect at once); an operator that was declared pure cannot
//! read and one that was declared read-only cannot write; a call that is refused changes nothing;
//! once the step has ended, every call is refused, also from clones that outlived it.
//!
//! Deliberately unknown here: when the step ends and what becomes of its effects.

use super::Store;
use super::at_once::Written;
use super::payload;
use super::write_buffer::{Own, WriteBuffer};
use bytes::Bytes;
use catena_protocol::chain::{Effect, Isolation};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::read::At;
use catena_protocol::message::write::{Change, Condition};
use catena_protocol::{Blob, Code, Fault, JobId, Key, Name, Timestamp, limit};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a context is made of: the job, and how far it has come.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The job.
    pub job: JobId,
    /// The name of its chain.
    pub chain: Name,
    /// Which step of it.
    pub step: u8,
    /// What the step may do to the store.
    pub effect: Effect,
    /// What it sees of other jobs.
    pub isolation: Isolation,
    /// When all its reads are.
    pub snapshot: Timestamp,
    /// W3C trace context.
    pub trace: Option<String>,
    /// What earlier steps read and wrote.
    pub effects: Effects,
}

/// The view that one step has of the store and of its job. Cheap to clone.
///
/// Keys are 1 to 512 bytes of UTF-8 without control characters, values up to 256 KiB. Errors of
/// the methods have code 400 for wrong arguments and for what the operator was not declared to
/// do, 413 where a limit is exceeded, 422 where a value is not what the operation needs, 410 when
/// the step has ended, and whatever the store says (`Conflict`, `Unavailable`): pass these on, so
/// that the job is run again. A call that fails changes nothing.
#[derive(Clone)]
pub struct Context {
    pub(super) shared: Arc<Shared>,
    settings: Option<Arc<Value>>,
}

pub(super) struct Shared {
    pub(super) job: JobId,
    chain: Name,
    pub(super) step: u8,
    effect: Effect,
    isolation: Isolation,
    snapshot: Timestamp,
    trace: Option<String>,
    store: Arc<dyn Store>,
    /// None once the step has ended.
    buffer: Mutex<Option<WriteBuffer>>,
    /// Writes made at once so far.
    pub(super) written: Written,
}

impl Context {
    /// A context for one step.
    pub fn open(opening: Opening, store: Arc<dyn Store>) -> Self {
        let Opening { job, chain, step, effect, isolation, snapshot, trace, effects } = opening;
        let buffer = Mutex::new(Some(WriteBuffer::new(effects)));
        let written = Written::default();
        let shared =
            Shared { job, chain, step, effect, isolation, snapshot, trace, store, buffer, written };
        Self { shared: Arc::new(shared), settings: None }
    }

    /// Ends the step: takes out what the job has read and wants to write. All later calls, of all
    /// clones, are refused. None if the step had ended before.
    pub fn finish(&self) -> Option<Effects> {
        self.lock().take().map(WriteBuffer::into_effects)
    }

    /// The same context with the settings of the operator that runs in it.
    #[must_use]
    pub fn with_settings(mut self, settings: Arc<Value>) -> Self {
        self.settings = Some(settings);
        self
    }

    /// The job.
    pub fn job(&self) -> JobId {
        self.shared.job
    }

    /// The name of its chain; `inline` if the chain came with the request.
    pub fn chain(&self) -> &str {
        self.shared.chain.as_str()
    }

    /// Which step of the chain this is, from 0.
    pub fn step(&self) -> u8 {
        self.shared.step
    }

    /// What this step may do to the store.
    pub fn effect(&self) -> Effect {
        self.shared.effect
    }

    /// Whether writes take effect with the job's commit, and not at once.
    pub fn buffers(&self) -> bool {
        !self.at_once()
    }

    /// When the job's reads are.
    pub fn snapshot(&self) -> Timestamp {
        self.shared.snapshot
    }

    /// The W3C trace context that came with the job.
    pub fn traceparent(&self) -> Option<&str> {
        self.shared.trace.as_deref()
    }

    /// The settings of a native operator; `null` if there are none.
    pub fn settings(&self) -> &Value {
        self.settings.as_deref().unwrap_or(&Value::Null)
    }

    /// The settings of a native operator as a `T`; missing settings are read as `{}`.
    ///
    /// # Errors
    /// 400 with the setting that is wrong.
    pub fn settings_as<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        payload::settings(self.settings())
    }

    /// The value of `key`; none if there is none.
    ///
    /// # Errors
    /// See [`Context`].
    pub async fn read(&self, key: impl AsRef<str> + Send) -> Result<Option<Bytes>, Fault> {
        let key = to_key(key.as_ref())?;
        self.may(Effect::ReadOnly, "read")?;
        let stored = match self.ask(&key)? {
            Some(own) => return Ok(own.map(|value| value.0)),
            None => self.shared.store.read(key.clone(), self.at()).await?.value,
        };
        let own = self.buffer(|buffer| Ok(buffer.own(&key)))?;
        Ok(own.over(&key, stored)?.map(|value| value.0))
    }

    /// Replaces the value of `key`.
    ///
    /// # Errors
    /// See [`Context`].
    pub async fn write(
        &self,
        key: impl AsRef<str> + Send,
        value: impl Into<Bytes> + Send,
    ) -> Result<(), Fault> {
        self.change(key.as_ref(), Change::Put(Blob(value.into())), "write").await
    }

    /// Removes `key`; it is no error if there is none.
    ///
    /// # Errors
    /// See [`Context`].
    pub async fn delete(&self, key: impl AsRef<str> + Send) -> Result<(), Fault> {
        self.change(key.as_ref(), Change::Delete, "delete").await
    }

    /// Adds `delta` to the decimal integer in `key`; no value counts as 0. Jobs that only add to
    /// a key do not conflict with each other.
    ///
    /// # Errors
    /// See [`Context`]. Where this job did not write the key itself, a value that is not an integer is noticed only at the
    /// job's commit, which then fails.
    pub async fn add(&self, key: impl AsRef<str> + Send, delta: i64) -> Result<(), Fault> {
        self.change(key.as_ref(), Change::Add(delta), "add").await
    }

    /// Replaces the value of `key` by `new` if it is `expected`; none stands for no value. False:
    /// it is another one, and nothing was changed.
    ///
    /// # Errors
    /// See [`Context`].
    pub async fn update_if_value_is(
        &self,
        key: impl AsRef<str> + Send,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<bool, Fault> {
        let key = to_key(key.as_ref())?;
        self.may(Effect::Writing, "update")?;
        let change = match new {
            Some(value) => Change::Put(Blob(Bytes::copy_from_slice(value))),
            None => Change::Delete,
        };
        if self.at_once() {
            let expected = expected.map(|value| Blob(Bytes::copy_from_slice(value)));
            return self.write_now(key, change, Condition::ValueIs(expected)).await;
        }
        let stored = match self.ask(&key)? {
            Some(_) => None,
            None => self.shared.store.read(key.clone(), self.at()).await?.value,
        };
        // What the snapshot holds never changes, so comparing and writing under one lock is
        // atomic towards other clones of this context.
        self.buffer(|buffer| {
            let found = buffer.own(&key).over(&key, stored)?;
            let equal = found.as_ref().map(Blob::as_ref) == expected;
            if equal {
                buffer.change(&key, change)?;
            }
            Ok(equal)
        })
    }

    /// The value of `key` if the job itself decides it; otherwise the read is noted, and none.
    fn ask(&self, key: &Key) -> Result<Option<Option<Blob>>, Fault> {
        self.buffer(|buffer| match buffer.own(key) {
            Own::Value(value) => Ok(Some(value)),
            Own::Nothing | Own::Plus(_) => {
                if self.tracks_reads() {
                    buffer.note_read(key)?;
                }
                Ok(None)
            }
        })
    }

    async fn change(&self, key: &str, change: Change, verb: &str) -> Result<(), Fault> {
        let key = to_key(key)?;
        self.may(Effect::Writing, verb)?;
        if self.at_once() {
            self.write_now(key, change, Condition::Always).await.map(|_| ())
        } else {
            self.buffer(|buffer| buffer.change(&key, change))
        }
    }

    fn at_once(&self) -> bool {
        self.shared.isolation == Isolation::Latest
    }

    /// Only a serializable job must find at its commit that what it read still holds.
    pub(super) fn tracks_reads(&self) -> bool {
        self.shared.isolation == Isolation::Serializable
    }

    pub(super) fn at(&self) -> At {
        if self.at_once() { At::Latest } else { At::Snapshot(self.shared.snapshot) }
    }

    pub(super) fn may(&self, needed: Effect, verb: &str) -> Result<(), Fault> {
        let declared = self.shared.effect;
        if declared >= needed {
            return Ok(());
        }
        let declared = match declared {
            Effect::Pure => "pure",
            Effect::ReadOnly => "read-only",
            Effect::Writing => "writing",
        };
        Err(Fault::bad_request(format!(
            "this operator is declared {declared} and must not {verb}; nothing was changed"
        )))
    }

    pub(super) fn buffer<T>(
        &self,
        what: impl FnOnce(&mut WriteBuffer) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        match self.lock().as_mut() {
            Some(buffer) => what(buffer),
            None => Err(Fault::new(
                Code::Cancelled,
                "the step has ended and its context with it; nothing was changed",
            )),
        }
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.shared.store
    }

    fn lock(&self) -> MutexGuard<'_, Option<WriteBuffer>> {
        self.shared.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn to_key(text: &str) -> Result<Key, Fault> {
    Key::new(text).map_err(|error| {
        let code = if text.len() > limit::KEY_BYTES { Code::TooLarge } else { Code::BadRequest };
        Fault::new(code, format!("{error}; nothing was changed"))
    })
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shared { job, chain, step, .. } = &*self.shared;
        write!(f, "step {step} of job {job} of chain {chain}")
    }
}
