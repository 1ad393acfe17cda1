//! Orders, the same ones for the same seed.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// Goods and their prices in cents.
pub(super) const GOODS: [(&str, i64); 16] = [
    ("teapot", 2_450),
    ("kettle", 3_900),
    ("lamp", 5_500),
    ("chair", 8_900),
    ("table", 24_900),
    ("globe", 6_600),
    ("clock", 4_750),
    ("atlas", 3_200),
    ("violin", 39_900),
    ("ladder", 7_300),
    ("basket", 1_250),
    ("mirror", 4_100),
    ("carpet", 18_500),
    ("candle", 450),
    ("hammock", 5_950),
    ("compass", 2_800),
];
/// How many of each there are at first.
pub(super) const STOCK: i64 = 60;
/// Most of one kind in an order.
pub(super) const MOST: i64 = 3;
const ORDERS: u32 = 1_500;
/// One order in so many is nonsense.
const NONSENSE: u32 = 50;
/// One order in so many is sent twice.
const REPEATED: usize = 10;

/// What a customer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) number: u32,
    /// Its place among [`GOODS`].
    pub(super) item: usize,
    pub(super) quantity: i64,
}

impl Order {
    /// Whether it can be fulfilled at all.
    pub(super) fn is_sensible(&self) -> bool {
        self.item < GOODS.len() && (1..=MOST).contains(&self.quantity)
    }

    /// What it costs, in cents.
    pub(super) fn total(&self) -> i64 {
        GOODS.get(self.item).map_or(0, |(_, price)| price * self.quantity)
    }
}

pub(super) fn generate(seed: u64) -> Vec<Order> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut order = |number| Order {
        number,
        item: random.random_range(0..GOODS.len()),
        quantity: if number % NONSENSE == 0 { 0 } else { random.random_range(1..=MOST) },
    };
    (1..=ORDERS).map(&mut order).collect()
}

/// The orders as they are sent: some again, by customers who did not wait.
pub(super) fn with_repeats(orders: &[Order]) -> Vec<Order> {
    let twice = |(at, order): (usize, &Order)| {
        let times = if at % REPEATED == 0 { 2 } else { 1 };
        std::iter::repeat_n(*order, times)
    };
    orders.iter().enumerate().flat_map(twice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_more_orders_than_goods() {
        let orders = generate(1);
        assert_eq!(orders, generate(1));
        assert_ne!(orders, generate(2));
        for item in 0..GOODS.len() {
            let wanted: i64 = orders.iter().filter(|o| o.item == item).map(|o| o.quantity).sum();
            assert!(wanted > STOCK, "{item}: {wanted}");
        }
        assert!(orders.iter().any(|order| !order.is_sensible()));
        assert_eq!(with_repeats(&orders).len(), 1_650);
    }
}
