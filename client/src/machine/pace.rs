//! How long to wait before asking again: growing, and never in step with other clients.

use catena_protocol::chance::Chance;

/// Delays between tries. Chance comes from the seed alone.
#[derive(Clone, Debug)]
pub struct Pace {
    chance: Chance,
}

impl Pace {
    /// Delays that depend on `seed` only.
    pub const fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed) }
    }

    /// The delay in microseconds before try `tries` (counted from 0): `first_ms`, doubled for
    /// each try before up to `most_ms`, and up to a quarter more or less.
    pub fn delay_us(&mut self, first_ms: u64, most_ms: u64, tries: u32) -> u64 {
        let doubled = first_ms.saturating_mul(1 << tries.min(20)).min(most_ms);
        let us = doubled.saturating_mul(1000);
        us - us / 4 + self.chance.below(us / 2 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_their_limit_and_differ() {
        let mut pace = Pace::new(7);
        for (tries, middle) in [(0, 100_000), (1, 200_000), (2, 400_000), (60, 1_000_000)] {
            let delays: Vec<u64> = (0..50).map(|_| pace.delay_us(100, 1000, tries)).collect();
            let (least, most) = (middle - middle / 4, middle + middle / 4);
            assert!(delays.iter().all(|delay| (least..=most).contains(delay)), "{delays:?}");
            assert!(delays.iter().any(|delay| *delay != delays[0]));
        }
    }
}
