//! What a client does next.

use catena_history::Call;
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::time::Duration;

/// Keys are used for so long, then others take their slots: a judgement stays affordable and many
/// partitions get their turn.
const ROUND: Duration = Duration::from_secs(30);
/// Every so manieth slot holds integers.
const COUNTERS: usize = 4;
/// A client works on so many neighbouring slots: if their partitions are without a leader the
/// clients of other slots go on.
const OWN: usize = 3;

/// What to do.
pub(crate) enum Wish {
    /// An operation for the history.
    Call(Call),
    /// A read at the time so long ago.
    Past(Duration),
}

/// Chooses for one client.
pub(crate) struct Wishes {
    rng: StdRng,
    client: usize,
    slots: usize,
    next: u64,
    seen: BTreeMap<usize, Last>,
}

/// What was last seen of a slot.
struct Last {
    key: String,
    value: Option<String>,
    version: u64,
}

impl Wishes {
    pub(crate) const fn new(rng: StdRng, client: usize, slots: usize) -> Self {
        Self { rng, client, slots, next: 0, seen: BTreeMap::new() }
    }

    /// A slot and the key that has it at this time of the run.
    pub(crate) fn key(&mut self, now_us: u64) -> (usize, String) {
        let slot = (self.client + self.rng.random_range(0..OWN)) % self.slots;
        let round = u128::from(now_us) / ROUND.as_micros();
        (slot, format!("chaos:{round}:{slot}"))
    }

    /// What to do with that key.
    pub(crate) fn wish(&mut self, slot: usize, key: &str) -> Wish {
        let counts = slot % COUNTERS == COUNTERS - 1;
        self.next += 1;
        let value = format!("{}-{}", self.client, self.next);
        let last = self.seen.get(&slot).filter(|last| last.key == key);
        let (seen, version) = last.map_or((None, 0), |last| (last.value.clone(), last.version));
        let call = match self.rng.random_range(0..100) {
            0..30 => Call::Read,
            30..42 => {
                return Wish::Past(Duration::from_millis(self.rng.random_range(0..1_500)));
            }
            _ if counts => Call::Add { delta: 1 },
            42..48 => Call::Delete,
            48..70 => Call::Write { value },
            70..88 => Call::CompareAndSet { expected: seen, new: value },
            _ => Call::CompareVersion { expected: version, new: value },
        };
        Wish::Call(call)
    }

    /// Something was seen of a key.
    pub(crate) fn saw(&mut self, slot: usize, key: String, value: Option<String>, version: u64) {
        // A comparison with version 0 asks for no value, whatever version a delete left.
        let version = if value.is_some() { version } else { 0 };
        self.seen.insert(slot, Last { key, value, version });
    }
}
