//! What a caller wants to be done next.

use super::aim::{ACCOUNTS, Aim, GOODS, LISTS};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::index::sample;
use std::time::Duration;

/// Lists and shops are used for so long, then others: lists stay short, and shelves are full again.
const ROUND: Duration = Duration::from_secs(20);

/// An aim, at this time of the run. Accounts and goods are few, so that jobs meet.
pub(super) fn wish(rng: &mut StdRng, now_us: u64) -> Aim {
    let round = u64::try_from(u128::from(now_us) / ROUND.as_micros()).unwrap_or(u64::MAX);
    match rng.random_range(0..100) {
        0..20 => {
            let (from, to, amount) = between(rng);
            Aim::Transfer { from, to, amount }
        }
        20..30 => {
            let (from, to, amount) = between(rng);
            Aim::Give { from, to, amount }
        }
        30..40 => Aim::Audit,
        40..65 => {
            let (item, quantity) = (rng.random_range(0..GOODS), rng.random_range(1..4));
            Aim::Order { shop: round, item, quantity }
        }
        _ => {
            let reads = some(rng, 1, 3);
            Aim::Append { round, reads, appends: some(rng, 0, 2) }
        }
    }
}

fn between(rng: &mut StdRng) -> (usize, usize, i64) {
    let both = sample(rng, ACCOUNTS, 2);
    (both.index(0), both.index(1), rng.random_range(1..30))
}

/// Some lists, all different.
fn some(rng: &mut StdRng, least: usize, most: usize) -> Vec<usize> {
    let count = rng.random_range(least..=most);
    sample(rng, LISTS, count).into_vec()
}
