//! A small generator of numbers whose seed comes from outside (SplitMix64, S. Vigna). Spreads
//! elections in time; nothing safe depends on it.
//!
//! The seed 0 takes chance away: every number is 0. For those who go through all orders of events
//! themselves.

/// The generator.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `most`, which is not 0.
    pub(super) const fn below(&mut self, most: u64) -> u64 {
        if self.0 == 0 {
            return 0;
        }
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}
