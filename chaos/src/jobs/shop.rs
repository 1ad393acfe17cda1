//! The shops: nothing is sold twice, nobody is refused without need, and the books are equal.

use super::aim::{Aim, GOODS, Job, STOCK, price};
use super::ledger::{Entry, Told};
use super::once::Fate;
use std::collections::{BTreeMap, BTreeSet};

/// What a shop holds at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    /// By item; none: nobody has ever taken any.
    pub(super) left: [Option<String>; GOODS],
    pub(super) revenue: Option<String>,
    /// The numbers of the orders that it has records of.
    pub(super) orders: BTreeSet<u64>,
}

/// What the committed orders of a shop come to.
#[derive(Default)]
struct Sold {
    items: [i64; GOODS],
    revenue: i64,
    orders: BTreeSet<u64>,
}

/// The shops that jobs were about.
pub(super) fn shops(entries: &[Entry]) -> BTreeSet<u64> {
    entries.iter().filter_map(|entry| order(&entry.job).map(|(shop, ..)| shop)).collect()
}

fn order(job: &Job) -> Option<(u64, usize, i64)> {
    match job.aim {
        Aim::Order { shop, item, quantity } => Some((shop, item, quantity)),
        _ => None,
    }
}

/// What is wrong.
pub(super) fn judge(
    entries: &[Entry],
    fates: &[Fate],
    books: &BTreeMap<u64, Books>,
) -> Vec<String> {
    let mut sold: BTreeMap<u64, Sold> = BTreeMap::new();
    for (entry, fate) in entries.iter().zip(fates) {
        if let (Some((shop, item, quantity)), Fate::Committed(..)) = (order(&entry.job), fate) {
            let sold = sold.entry(shop).or_default();
            sold.items[item] += quantity;
            sold.revenue += price(item) * quantity;
            sold.orders.insert(entry.job.number);
        }
    }
    let nothing = Sold::default();
    let equal =
        |(shop, books): (&u64, &Books)| compare(*shop, books, sold.get(shop).unwrap_or(&nothing));
    let mut wrong: Vec<String> = books.iter().flat_map(equal).collect();
    wrong.extend(entries.iter().filter_map(|entry| without_need(entry, books)));
    wrong
}

fn compare(shop: u64, books: &Books, sold: &Sold) -> Vec<String> {
    let mut wrong = Vec::new();
    for item in 0..GOODS {
        let (left, sold) = (left(books, item), sold.items[item]);
        if left.is_none_or(|left| left < 0 || left + sold != STOCK) {
            let what = format!("shop {shop} sold {sold} of item {item}");
            wrong.push(format!("{what} and has {left:?} of {STOCK} left"));
        }
    }
    let revenue = books.revenue.as_ref().map_or(Some(0), |text| text.parse().ok());
    if revenue != Some(sold.revenue) {
        let what = format!("shop {shop} took {revenue:?}");
        wrong.push(format!("{what}, its orders come to {}", sold.revenue));
    }
    if books.orders != sold.orders {
        let differ: Vec<&u64> = books.orders.symmetric_difference(&sold.orders).collect();
        wrong.push(format!("shop {shop} has other orders in its books than were sold: {differ:?}"));
    }
    wrong
}

fn left(books: &Books, item: usize) -> Option<i64> {
    books.left[item].as_ref().map_or(Some(STOCK), |text| text.parse().ok())
}

/// Shelves only get emptier: whoever was refused must find too little there at the end.
fn without_need(entry: &Entry, books: &BTreeMap<u64, Books>) -> Option<String> {
    let (shop, item, quantity) = order(&entry.job)?;
    let Told::Refused(why) = &entry.told else { return None };
    let left = left(books.get(&shop)?, item)?;
    (why.contains("sold out") && left >= quantity)
        .then(|| format!("{entry:?} was refused, and there are {left} left"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, quantity: i64, told: Told) -> Entry {
        let job = Job { number, aim: Aim::Order { shop: 1, item: 2, quantity }, found: Vec::new() };
        Entry { job, id: None, connection: 0, asked_us: 0, told_us: 0, told }
    }

    /// Everything was sold in one order; another one came too late.
    fn run() -> (Vec<Entry>, Vec<Fate>, Books) {
        let late = Told::Refused("sold out: 0 left".to_owned());
        let entries = vec![entry(0, STOCK, Told::Unknown(String::new())), entry(1, 2, late)];
        let fates = vec![Fate::Committed(1, entries[0].job.clone()), Fate::Aborted];
        let mut books = Books { orders: BTreeSet::from([0]), ..Books::default() };
        books.left[2] = Some("0".to_owned());
        books.revenue = Some((price(2) * STOCK).to_string());
        (entries, fates, books)
    }

    fn wrong(change: impl FnOnce(&mut Vec<Entry>, &mut Vec<Fate>, &mut Books)) -> usize {
        let (mut entries, mut fates, mut books) = run();
        change(&mut entries, &mut fates, &mut books);
        judge(&entries, &fates, &BTreeMap::from([(1, books)])).len()
    }

    #[test]
    fn right_books_are_right() {
        assert_eq!(wrong(|_, _, _| {}), 0);
    }

    #[test]
    fn each_wrong_is_seen() {
        assert_eq!(wrong(|_, _, books| books.left[2] = Some("1".to_owned())), 1);
        assert_eq!(wrong(|_, _, books| books.left[0] = Some("59".to_owned())), 1);
        assert_eq!(wrong(|_, _, books| books.revenue = None), 1);
        assert_eq!(wrong(|_, _, books| books.orders.clear()), 1);
        // Both orders were taken: sold twice.
        let both = |entries: &mut Vec<Entry>, fates: &mut Vec<Fate>, _: &mut Books| {
            fates[1] = Fate::Committed(2, entries[1].job.clone());
        };
        assert_eq!(wrong(both), 3);
        // There were goods: nothing was sold, and somebody was refused.
        let without_need = |_: &mut Vec<Entry>, fates: &mut Vec<Fate>, books: &mut Books| {
            fates[0] = Fate::Aborted;
            *books = Books::default();
        };
        assert_eq!(wrong(without_need), 1);
    }
}
