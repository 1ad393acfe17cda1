//! What a job is for, and which records it is about.

use serde::{Deserialize, Serialize};

/// Accounts of the bank. Their keys have no tag: they lie in different partitions.
pub(crate) const ACCOUNTS: usize = 8;
/// What every account begins with.
pub(crate) const BALANCE: i64 = 100;
/// Kinds of goods in a shop.
pub(crate) const GOODS: usize = 4;
/// How many of each a shop begins with.
pub(crate) const STOCK: i64 = 60;
/// Lists of a round, in different partitions.
pub(crate) const LISTS: usize = 6;

/// A job on its way through its chain: the input of each step, and the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Its name.
    pub(crate) number: u64,
    pub(crate) aim: Aim,
    /// What it read, in order: which key, and the value; none for no value.
    #[serde(default)]
    pub(crate) found: Vec<(String, Option<String>)>,
}

/// What a job is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Aim {
    /// Moves money if there is enough: reads and replaces.
    Transfer { from: usize, to: usize, amount: i64 },
    /// The same by adding, without reading: an account may be overdrawn.
    Give { from: usize, to: usize, amount: i64 },
    /// Reads all accounts and writes nothing.
    Audit,
    /// Takes goods from the shelf of a shop, adds their price to its revenue.
    Order { shop: u64, item: usize, quantity: i64 },
    /// Reads lists of a round, then appends an element of its own to each of some.
    Append { round: u64, reads: Vec<usize>, appends: Vec<usize> },
}

impl Aim {
    /// The chain that does it.
    pub(crate) const fn chain(&self) -> &'static str {
        match self {
            Self::Transfer { .. } => "chaos-transfer",
            Self::Give { .. } => "chaos-give",
            Self::Audit => "chaos-audit",
            Self::Order { .. } => "chaos-order",
            Self::Append { .. } => "chaos-append",
        }
    }

    /// How it is called in reports.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Transfer { .. } => "transfer",
            Self::Give { .. } => "give",
            Self::Audit => "audit",
            Self::Order { .. } => "order",
            Self::Append { .. } => "append",
        }
    }

    /// Whether it leaves a trace in the store.
    pub(crate) const fn writes(&self) -> bool {
        !matches!(self, Self::Audit)
    }

    /// Routing key: where the outcome is kept. Orders of a shop lie all in one partition, so that
    /// they commit in one round; all other jobs have a home of their own.
    pub(crate) fn routing(&self) -> Option<String> {
        match self {
            Self::Order { shop, .. } => Some(tag(*shop)),
            _ => None,
        }
    }

    /// What it adds to which account.
    pub(crate) const fn moves(&self) -> Option<[(usize, i64); 2]> {
        match self {
            Self::Transfer { from, to, amount } | Self::Give { from, to, amount } => {
                Some([(*from, -*amount), (*to, *amount)])
            }
            _ => None,
        }
    }
}

impl Job {
    /// The record that it writes about itself: there if, and only if, it took effect.
    pub(crate) fn record(&self) -> String {
        match &self.aim {
            Aim::Order { shop, .. } => format!("{}{}", orders(*shop), self.number),
            _ => format!("chaos-job:{}", self.number),
        }
    }

    /// The element that it appends to the list at this place among its appends: no other job, and
    /// no other list, has it.
    pub(crate) const fn element(&self, place: usize) -> u64 {
        (self.number << 4) + place as u64
    }
}

pub(crate) fn account(number: usize) -> String {
    format!("chaos-account:{number}")
}

pub(crate) fn list(round: u64, number: usize) -> String {
    format!("chaos-list:{round}:{number}")
}

fn tag(shop: u64) -> String {
    format!("{{chaos-shop-{shop}}}")
}

pub(crate) fn stock(shop: u64, item: usize) -> String {
    format!("{}:stock:{item}", tag(shop))
}

pub(crate) fn revenue(shop: u64) -> String {
    format!("{}:revenue", tag(shop))
}

/// What the records of orders of a shop begin with.
pub(crate) fn orders(shop: u64) -> String {
    format!("{}:order:", tag(shop))
}

/// What an item costs.
pub(crate) const fn price(item: usize) -> i64 {
    3 + 2 * item as i64
}

/// The elements of a list.
pub(crate) fn elements(value: Option<&str>) -> Vec<u64> {
    // What is no number is an element that nobody appended.
    let element = |part: &str| part.parse().unwrap_or(u64::MAX);
    value.map(|text| text.split(',').map(element).collect()).unwrap_or_default()
}
