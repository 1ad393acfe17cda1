//! The books of the shop: what customers were told, beside what the store has.

use super::operators::{Sale, confirmed, revenue, stock};
use super::orders::{GOODS, Order, STOCK};
use crate::command::demo::check::{Check, count};
use crate::failure::Failure;
use catena_client::{Client, Error, ErrorKind, JobId, RunResult, Timestamp};
use std::collections::BTreeMap;

/// Steps of an order that is confirmed, refused for lack of goods, and refused as nonsense.
const STEPS: [u64; 3] = [4, 2, 1];
/// More orders than there are.
const MOST_ORDERS: usize = 100_000;

/// What customers were told, by the number of their order.
#[derive(Debug, Default)]
pub(super) struct Answers {
    told: BTreeMap<u32, Told>,
    /// Orders sent twice that were told two different things.
    contradictions: usize,
    /// Orders that were neither confirmed nor refused.
    unclear: Vec<Error>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Confirmed(JobId, Timestamp, Option<Sale>),
    Refused(Order),
}

impl Answers {
    pub(super) fn take(&mut self, order: Order, result: Result<RunResult, Error>) {
        let told = match result {
            Ok(result) => Told::Confirmed(result.job, result.version, result.json().ok()),
            Err(error) if error.kind() == ErrorKind::OperatorFailed => Told::Refused(order),
            Err(error) => return self.unclear.push(error),
        };
        let before = self.told.insert(order.number, told.clone());
        self.contradictions += usize::from(before.is_some_and(|before| before != told));
    }

    fn confirmed(&self) -> BTreeMap<u32, Option<Sale>> {
        let sale = |(number, told): (&u32, &Told)| match told {
            Told::Confirmed(_, _, sale) => Some((*number, *sale)),
            Told::Refused(_) => None,
        };
        self.told.iter().filter_map(sale).collect()
    }

    fn refused(&self) -> impl Iterator<Item = &Order> {
        self.told.values().filter_map(|told| match told {
            Told::Refused(order) => Some(order),
            Told::Confirmed(..) => None,
        })
    }

    /// Steps that the orders must at least have taken.
    pub(super) fn steps(&self) -> u64 {
        let [confirmed, sold_out, nonsense] = STEPS;
        let refused = |order: &Order| if order.is_sensible() { sold_out } else { nonsense };
        self.confirmed().len() as u64 * confirmed + self.refused().map(refused).sum::<u64>()
    }

    pub(super) fn summary(&self) -> String {
        let nonsense = self.refused().filter(|order| !order.is_sensible()).count();
        let sold_out = self.refused().count() - nonsense;
        let confirmed = self.confirmed().len();
        format!("{confirmed} confirmed, {sold_out} refused as sold out, {nonsense} as nonsense")
    }

    /// The first of the errors that nobody should have seen.
    pub(super) fn trouble(&self) -> Option<String> {
        self.unclear.first().map(ToString::to_string)
    }
}

/// What the store has.
#[derive(Clone, Debug)]
pub(super) struct Books {
    /// By item; a value that is no number is -1.
    left: Vec<i64>,
    revenue: i64,
    /// By number; none: a record that cannot be read.
    sales: BTreeMap<u32, Option<Sale>>,
}

impl Books {
    pub(super) async fn read(client: &Client, shop: &str) -> Result<Self, Failure> {
        let store = client.store();
        let mut left = Vec::with_capacity(GOODS.len());
        for item in 0..GOODS.len() {
            let entry = store.read(stock(shop, item)).await?;
            left.push(entry.text().and_then(|text| text.parse().ok()).unwrap_or(-1));
        }
        let entry = store.read(revenue(shop)).await?;
        let revenue = entry.text().and_then(|text| text.parse().ok()).unwrap_or(0);
        let prefix = confirmed(shop);
        let mut sales = BTreeMap::new();
        for (key, entry) in store.scan(&prefix, MOST_ORDERS).await? {
            let number = key.as_str().strip_prefix(&prefix).and_then(|text| text.parse().ok());
            let sale = entry.value.as_deref().and_then(|text| serde_json::from_slice(text).ok());
            sales.insert(number.unwrap_or(0), sale);
        }
        Ok(Self { left, revenue, sales })
    }

    /// Everything that must be so, whoever was faster.
    pub(super) fn compare(&self, orders: &[Order], answers: &Answers) -> Vec<Check> {
        let told = answers.confirmed();
        let in_both = told
            .iter()
            .filter(|(number, sale)| sale.is_some() && self.sales.get(number) == Some(sale));
        let revenue = told.values().flatten().map(|sale| sale.order.total()).sum();
        let nonsense = orders.iter().filter(|order| !order.is_sensible()).count();
        let mut checks = vec![
            Check::new("orders answered", count(orders.len()), count(answers.told.len())),
            Check::none("orders neither confirmed nor refused", answers.unclear.len()),
            Check::none("orders sent twice and told two things", answers.contradictions),
            Check::new("confirmed orders in the books", count(told.len()), count(self.sales.len())),
            Check::new(
                "of these as the customer was told",
                count(told.len()),
                count(in_both.count()),
            ),
            Check::new("revenue in cents", revenue, self.revenue),
            Check::new("nonsense refused", count(nonsense), count(nonsense_refused(answers))),
        ];
        checks.extend(self.shelves(answers));
        checks
    }

    fn shelves(&self, answers: &Answers) -> [Check; 3] {
        let mut sold = vec![0; GOODS.len()];
        for sale in self.sales.values().flatten() {
            if let Some(sold) = sold.get_mut(sale.order.item) {
                *sold += sale.order.quantity;
            }
        }
        let there = STOCK * count(GOODS.len());
        let oversold = sold.iter().zip(&self.left);
        let oversold = oversold.filter(|(sold, left)| **left < 0 || **sold + **left != STOCK);
        // Shelves only get emptier: whoever was refused must find too little there now.
        let enough = |order: &&Order| {
            let left = self.left.get(order.item).copied().unwrap_or(0);
            order.is_sensible() && left >= order.quantity
        };
        [
            Check::new("goods, sold and left", there, sold.iter().chain(&self.left).sum()),
            Check::none("goods oversold or lost", oversold.count()),
            Check::none("orders refused without need", answers.refused().filter(enough).count()),
        ]
    }
}

fn nonsense_refused(answers: &Answers) -> usize {
    answers.refused().filter(|order| !order.is_sensible()).count()
}

#[cfg(test)]
mod tests {
    use super::super::orders::generate;
    use super::*;

    /// A shop that works: first come, first served.
    fn good() -> (Vec<Order>, Answers, Books) {
        let orders = generate(7);
        let mut answers = Answers::default();
        let mut books =
            Books { left: vec![STOCK; GOODS.len()], revenue: 0, sales: BTreeMap::new() };
        for order in &orders {
            let told = if order.is_sensible() && books.left[order.item] >= order.quantity {
                let sale = Sale { order: *order, total: order.total() };
                books.left[order.item] -= order.quantity;
                books.revenue += sale.total;
                books.sales.insert(order.number, Some(sale));
                Told::Confirmed(JobId([0; 16]), Timestamp(1), Some(sale))
            } else {
                Told::Refused(*order)
            };
            answers.told.insert(order.number, told);
        }
        (orders, answers, books)
    }

    fn failed(orders: &[Order], answers: &Answers, books: &Books) -> Vec<String> {
        let checks = books.compare(orders, answers).into_iter();
        checks.filter(|check| !check.ok).map(|check| check.what).collect()
    }

    #[test]
    fn a_shop_that_works_passes() {
        let (orders, answers, books) = good();
        assert_eq!(failed(&orders, &answers, &books), [""; 0]);
    }

    #[test]
    fn each_way_to_cheat_is_seen() {
        let (orders, answers, books) = good();
        let (&first, &sale) = books.sales.iter().next().unwrap();
        let sale = sale.unwrap();
        type Cheat = (&'static str, fn(&mut Books, u32, Sale));
        let cheats: [Cheat; 6] = [
            ("goods oversold or lost", |books, _, sale| books.left[sale.order.item] -= 1),
            ("goods, sold and left", |books, _, sale| books.left[sale.order.item] += 1),
            ("revenue in cents", |books, _, sale| books.revenue += sale.total),
            ("confirmed orders in the books", |books, first, _| {
                books.sales.remove(&first);
            }),
            ("of these as the customer was told", |books, first, sale| {
                books.sales.insert(first, Some(Sale { total: 0, ..sale }));
            }),
            ("orders refused without need", |books, _, _| books.left = vec![STOCK; GOODS.len()]),
        ];
        for (what, cheat) in cheats {
            let mut cheated = books.clone();
            cheat(&mut cheated, first, sale);
            let failed = failed(&orders, &answers, &cheated);
            assert!(failed.contains(&what.to_owned()), "{what}: {failed:?}");
        }
    }

    #[test]
    fn lost_and_contradicting_answers_are_seen() {
        let (orders, mut answers, books) = good();
        let (&number, told) = answers.told.iter().next().unwrap();
        let told = told.clone();
        answers.told.remove(&number);
        assert!(failed(&orders, &answers, &books).contains(&"orders answered".to_owned()));
        answers.told.insert(number, told);
        answers.contradictions = 1;
        assert_eq!(failed(&orders, &answers, &books), ["orders sent twice and told two things"]);
    }
}
