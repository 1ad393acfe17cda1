//! In which order elements came into each list, and what that says about transactions.

use super::graph::{Edge, Kind};
use super::{Anomaly, Fate, Phenomenon, Transaction};
use std::collections::{BTreeMap, BTreeSet};

/// The elements of each list, in order, as far as somebody has seen them.
pub(super) type Orders<'a> = BTreeMap<&'a str, &'a [u64]>;

/// Who appended an element, where, and whether it was its last there.
struct Append<'a> {
    by: &'a Transaction,
    list: &'a str,
    is_last: bool,
}

fn found(phenomenon: Phenomenon, what: String) -> Anomaly {
    Anomaly { phenomenon, what }
}

/// The order of the elements of each list; or what is wrong with the lists as such.
pub(super) fn orders(transactions: &[Transaction]) -> Result<Orders<'_>, Anomaly> {
    let appends = appends(transactions);
    let mut orders = Orders::new();
    for reader in transactions.iter().filter(|one| one.fate != Fate::Aborted) {
        for (list, elements) in &reader.reads {
            look(reader, list, elements, &appends)?;
            let longest = orders.entry(list.as_str()).or_insert(elements);
            let shared = longest.len().min(elements.len());
            if longest[..shared] != elements[..shared] {
                let what = format!("`{list}` was read as {longest:?} and as {elements:?}");
                return Err(found(Phenomenon::Forked, what));
            }
            if elements.len() > longest.len() {
                *longest = elements;
            }
        }
    }
    Ok(orders)
}

fn appends(transactions: &[Transaction]) -> BTreeMap<u64, Append<'_>> {
    let mut appends = BTreeMap::new();
    for by in transactions {
        for (at, (list, element)) in by.appends.iter().enumerate() {
            let is_last = by.appends[at + 1..].iter().all(|(other, _)| other != list);
            appends.insert(*element, Append { by, list, is_last });
        }
    }
    appends
}

/// What one read shows by itself.
fn look(
    reader: &Transaction,
    list: &str,
    elements: &[u64],
    appends: &BTreeMap<u64, Append<'_>>,
) -> Result<(), Anomaly> {
    let mut seen = BTreeSet::new();
    for element in elements {
        let Some(append) = appends.get(element) else {
            let what = format!("{} read {element} in `{list}`, which nobody appended", reader.id);
            return Err(found(Phenomenon::Invented, what));
        };
        if append.list != list || !seen.insert(element) {
            let what = format!("{} read {element} twice, or in `{list}` too", reader.id);
            return Err(found(Phenomenon::Doubled, what));
        }
        if append.by.fate == Fate::Aborted {
            let what = format!("{} read {element} of {} in `{list}`", reader.id, append.by.id);
            return Err(found(Phenomenon::G1a, what));
        }
    }
    match elements.last().and_then(|element| appends.get(element)) {
        Some(last) if !last.is_last && last.by.id != reader.id => {
            let what = format!("{} read `{list}` in the middle of {}", reader.id, last.by.id);
            Err(found(Phenomenon::G1b, what))
        }
        _ => Ok(()),
    }
}

/// Who came before whom.
pub(super) fn edges(transactions: &[Transaction], orders: &Orders<'_>) -> Vec<Edge> {
    let appends = appends(transactions);
    let writer = |element: &u64| appends.get(element).map(|append| append.by.id);
    let mut edges = BTreeSet::new();
    let mut add = |from: Option<u64>, to: Option<u64>, kind| {
        if let Some((from, to)) = from.zip(to)
            && from != to
        {
            edges.insert(Edge { from, to, kind });
        }
    };
    for elements in orders.values() {
        for pair in elements.windows(2) {
            add(writer(&pair[0]), writer(&pair[1]), Kind::Ww);
        }
    }
    // Whoever appended is known to have come behind everything that anybody saw before it; what
    // nobody has seen yet came behind all that was seen.
    for reader in transactions.iter().filter(|one| one.fate == Fate::Committed) {
        for (list, elements) in &reader.reads {
            add(elements.last().and_then(writer), Some(reader.id), Kind::Wr);
            let order = orders.get(list.as_str()).copied().unwrap_or_default();
            let next = order[elements.len()..].iter().find(|e| writer(e) != Some(reader.id));
            add(Some(reader.id), next.and_then(writer), Kind::Rw);
        }
    }
    edges.into_iter().collect()
}
