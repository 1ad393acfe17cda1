//! How long to wait before asking again: growing, and never in step with other clients.

/// Delays between tries. Chance comes from the seed alone.
#[derive(Clone, Debug)]
pub struct Pace {
    state: u64,
}

impl Pace {
    /// Delays that depend on `seed` only.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The delay in microseconds before try `tries` (counted from 0): `first_ms`, doubled for
    /// each try before up to `most_ms`, and up to a quarter more or less.
    pub fn delay_us(&mut self, first_ms: u64, most_ms: u64, tries: u32) -> u64 {
        let doubled = first_ms.saturating_mul(1 << tries.min(20)).min(most_ms);
        let us = doubled.saturating_mul(1000);
        us - us / 4 + self.next() % (us / 2 + 1)
    }

    /// The generator is SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
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
