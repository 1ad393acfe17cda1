//! Operators of cases `contention` and `by-hand`: one that reads a record, one that writes one.

use bytes::Bytes;
use catena_protocol::chain::Effect;
use catena_protocol::message::heartbeat::Offer;
use catena_protocol::{Fault, JobId, Name};
use catena_worker::operator::{Configured, Context, Factory, Operator, Registry, Running};
use futures_util::FutureExt;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Reads the record that the first bytes of the input name; passes the input on.
pub(crate) const LOOK: &str = "bench-look";
/// Writes the input to the record that the bytes behind these name; passes the input on.
pub(crate) const LEAVE: &str = "bench-leave";
/// Bytes of each of the two keys that an input begins with.
pub(crate) const KEY_BYTES: usize = 8;

/// How often each job was tried: as often as it looked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts(Arc<Mutex<HashMap<JobId, u32>>>);

impl Attempts {
    fn count(&self, job: JobId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(job).or_default() += 1;
    }

    /// Mean and most of all jobs since it was last asked.
    pub(crate) fn take(&self) -> (f64, u32) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: u64 = counts.values().map(|count| u64::from(*count)).sum();
        let most = counts.values().copied().max().unwrap_or(0);
        let mean = all as f64 / counts.len().max(1) as f64;
        counts.clear();
        (mean, most)
    }
}

/// What the workers of these cases can run.
///
/// # Errors
/// None, as the names are free.
pub(crate) fn registry(attempts: &Attempts) -> Result<Registry, Fault> {
    let step = |name, does| Step { name, does, attempts: attempts.clone() };
    Registry::built_in().with(step(LOOK, Does::Look))?.with(step(LEAVE, Does::Leave))
}

/// An input of so many bytes that names a record to read and one to write.
pub(crate) fn input(read: &str, write: &str, payload: usize) -> Bytes {
    let mut input = format!("{read}{write}").into_bytes();
    input.resize(payload.max(input.len()), b'x');
    input.into()
}

/// The key that stands at a place of an input; none: there is none.
pub(crate) fn key(input: &[u8], place: usize) -> Option<&str> {
    let bytes = input.get(place * KEY_BYTES..(place + 1) * KEY_BYTES)?;
    std::str::from_utf8(bytes).ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Look,
    Leave,
}

#[derive(Clone)]
struct Step {
    name: &'static str,
    does: Does,
    attempts: Attempts,
}

impl Factory for Step {
    fn offer(&self) -> Offer {
        Offer {
            #[allow(clippy::expect_used, reason = "a constant that is a name")]
            name: Name::new(self.name).expect("a name"),
            effect: self.effect(),
            help: "reads or writes a record; for benchmarks".to_owned(),
            // Like a built-in one it never blocks.
            native: false,
        }
    }

    fn configure(&self, _settings: &Value) -> Result<Configured, Fault> {
        Ok(Configured { operator: Arc::new(self.clone()), effect: self.effect() })
    }
}

impl Step {
    const fn effect(&self) -> Effect {
        match self.does {
            Does::Look => Effect::ReadOnly,
            Does::Leave => Effect::Writing,
        }
    }

    async fn act(&self, context: Context, input: Bytes) -> Result<Bytes, Fault> {
        let key = |place| key(&input, place).ok_or_else(|| Fault::bad_request("there is no key"));
        match self.does {
            Does::Look => {
                self.attempts.count(context.job());
                context.read(key(0)?).await?;
            }
            Does::Leave => context.write(key(1)?, input.clone()).await?,
        }
        Ok(input)
    }
}

impl Operator for Step {
    fn run(self: Arc<Self>, context: Context, input: Bytes) -> Running {
        async move { self.act(context, input).await }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_names_both_records() {
        let both = input("k0000001", "k0000002", 20);
        assert_eq!((key(&both, 0), key(&both, 1)), (Some("k0000001"), Some("k0000002")));
        assert_eq!(both.len(), 20);
        assert_eq!(key(&both[..12], 1), None);
    }

    #[test]
    fn attempts_are_counted_by_job_and_from_one_question_to_the_next() {
        let attempts = Attempts::default();
        for job in [1, 1, 1, 2] {
            attempts.count(JobId([job; 16]));
        }
        assert_eq!(attempts.take(), (2.0, 3));
        assert_eq!(attempts.take(), (0.0, 0));
    }
}
