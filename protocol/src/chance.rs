//! A small generator of numbers whose seed comes from outside (SplitMix64, S. Vigna): spreads in
//! time what many would else do at once. Nothing safe depends on it.
//!
//! The seed 0 takes chance away: every number is 0. For those who go through all orders of events
//! themselves.

/// The generator.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Numbers that depend on `seed` only.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `most`, which is not 0.
    pub const fn below(&mut self, most: u64) -> u64 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_paper_and_none_without_a_seed() {
        let mut chance = Chance::new(1_234_567);
        let first = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!(first.map(|_| chance.below(u64::MAX)), first);
        assert_eq!(Chance::new(0).below(7), 0);
    }
}
