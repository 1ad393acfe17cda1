//! Which record a job rewrites: some are wanted more often than others.

use crate::failure::Failure;
use rand::Rng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;

/// Records that jobs choose among.
const KEYS: usize = 1_000;

/// How uneven the choice is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Skew {
    /// The record at rank `r` is wanted in proportion to `1 / r^s`: with 0 all are alike.
    Zipf(f64),
    /// All want the same record.
    OneKey,
}

impl Skew {
    pub(super) const ALL: [Self; 4] =
        [Self::Zipf(0.0), Self::Zipf(0.9), Self::Zipf(1.2), Self::OneKey];

    /// How it is called in reports.
    pub(super) fn name(self) -> String {
        match self {
            Self::Zipf(s) => format!("zipf {s}"),
            Self::OneKey => "one key".to_owned(),
        }
    }
}

/// Chooses.
pub(super) struct Keys {
    ranks: WeightedIndex<f64>,
}

impl Keys {
    /// # Errors
    /// None: the weights are numbers above 0.
    pub(super) fn new(skew: Skew) -> Result<Self, Failure> {
        let weights: Vec<f64> = match skew {
            Skew::Zipf(s) => (1..=KEYS).map(|rank| (rank as f64).powf(-s)).collect(),
            Skew::OneKey => vec![1.0],
        };
        Ok(Self { ranks: WeightedIndex::new(weights).map_err(Failure::new)? })
    }

    /// A key, of eight bytes.
    pub(super) fn choose(&self, rng: &mut impl Rng) -> String {
        format!("c{:07}", self.ranks.sample(rng))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::collections::BTreeMap;

    /// How often the most wanted key is chosen, and how many different ones are.
    fn chosen(skew: Skew) -> (usize, usize) {
        let (keys, mut rng) = (Keys::new(skew).unwrap(), StdRng::seed_from_u64(1));
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..100_000 {
            *counts.entry(keys.choose(&mut rng)).or_default() += 1;
        }
        (counts.values().copied().max().unwrap(), counts.len())
    }

    #[test]
    fn the_first_rank_gets_what_zipf_says() {
        // 1 / sum of r^-s over 1,000 ranks: 0.001, 0.0950, 0.2306.
        for (skew, expected) in
            [(Skew::Zipf(0.0), 100), (Skew::Zipf(0.9), 9_500), (Skew::Zipf(1.2), 23_060)]
        {
            let (most, _) = chosen(skew);
            let near = expected * 9 / 10..expected * 11 / 10 + 60;
            assert!(near.contains(&most), "{skew:?}: {most}");
        }
        assert_eq!(chosen(Skew::Zipf(0.0)).1, KEYS);
        assert_eq!(chosen(Skew::OneKey), (100_000, 1));
    }
}
