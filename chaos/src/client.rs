//! One client: does one thing after the other, and writes down what it saw.

use crate::book::Book;
use crate::failure::Failure;
use crate::outcome;
use crate::wish::{Wish, Wishes};
use bytes::Bytes;
use catena_client::{Error, Store, Timestamp};
use catena_history::{Call, Malformed, Outcome, SnapshotRead};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// A client.
pub(crate) struct Client {
    number: u64,
    store: Store,
    wishes: Wishes,
    book: Arc<Book>,
    every: Duration,
}

impl Client {
    /// Client number `number`, which acts once per `every` if the answers come fast enough.
    pub(crate) fn new(
        number: usize,
        slots: usize,
        seed: u64,
        store: &Store,
        book: &Arc<Book>,
        every: Duration,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9));
        let timeout = Duration::from_millis(rng.random_range(2_000..4_500));
        Self {
            number: number as u64,
            store: store.with_timeout(timeout),
            wishes: Wishes::new(rng, number, slots),
            book: Arc::clone(book),
            every,
        }
    }

    /// Acts until `stop` says so; the last operation is seen to its end.
    pub(crate) async fn live(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Failure> {
        let mut pace = interval(self.every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let stopped = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => true,
                _ = pace.tick() => false,
            };
            if stopped {
                return Ok(());
            }
            match self.act().await {
                // What cannot be written down must not be done.
                Err(Malformed::Full(_)) => return Ok(()),
                acted => acted?,
            }
        }
    }

    async fn act(&mut self) -> Result<(), Malformed> {
        let (slot, key) = self.wishes.key(self.book.now_us());
        match self.wishes.wish(slot, &key) {
            Wish::Past(ago) => self.look_back(slot, key, ago).await,
            Wish::Call(call) => self.call(slot, key, call).await?,
        }
        Ok(())
    }

    async fn look_back(&self, slot: usize, key: String, ago: Duration) {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(wall.saturating_sub(ago).as_micros()).unwrap_or(u64::MAX);
        let read = match self.store.read_at(&key, Timestamp(at)).await {
            Ok(entry) => {
                let version = entry.version.0;
                Some(SnapshotRead { key, at, value: outcome::text(entry), version })
            }
            Err(error) => {
                self.note(&error);
                None
            }
        };
        self.book.snapshot(slot, read);
    }

    async fn call(&mut self, slot: usize, key: String, call: Call) -> Result<(), Malformed> {
        let ticket = self.book.invoke(self.number, &key, call.clone())?;
        let outcome = self.send(&key, &call).await.unwrap_or_else(|error| {
            self.note(&error);
            outcome::failed(&error)
        });
        self.book.complete(ticket, slot, name(&call), outcome.clone())?;
        match (outcome, written(call)) {
            (Outcome::Found { value, version } | Outcome::Differs { value, version }, _) => {
                self.wishes.saw(slot, key, value, version);
            }
            (Outcome::Done { version }, value) => self.wishes.saw(slot, key, value, version),
            _ => {}
        }
        Ok(())
    }

    async fn send(&self, key: &str, call: &Call) -> Result<Outcome, Error> {
        let store = &self.store;
        Ok(match call {
            Call::Read => outcome::found(store.read(key).await?),
            Call::Write { value } => outcome::done(store.write(key, value.clone()).await?),
            Call::Delete => outcome::done(store.delete(key).await?),
            Call::CompareAndSet { expected, new } => {
                let (expected, new) = (expected.as_deref().map(bytes), Some(bytes(new)));
                outcome::updated(store.update_if_value_is(key, expected, new).await?)
            }
            Call::CompareVersion { expected, new } => {
                let (expected, new) = (Timestamp(*expected), Some(bytes(new)));
                outcome::updated(store.update_if_version_is(key, expected, new).await?)
            }
            Call::Add { delta } => outcome::sum(store.add(key, *delta).await?),
        })
    }

    fn note(&self, error: &Error) {
        self.book.error(format!("{:?}", error.kind()), || error.to_string());
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// What is there after the call was done.
fn written(call: Call) -> Option<String> {
    match call {
        Call::Write { value } => Some(value),
        Call::CompareAndSet { new, .. } | Call::CompareVersion { new, .. } => Some(new),
        _ => None,
    }
}

const fn name(call: &Call) -> &'static str {
    match call {
        Call::Read => "read",
        Call::Write { .. } => "write",
        Call::Delete => "delete",
        Call::CompareAndSet { .. } => "update if value is",
        Call::CompareVersion { .. } => "update if version is",
        Call::Add { .. } => "add",
    }
}
