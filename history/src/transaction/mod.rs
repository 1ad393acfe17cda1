//! Whether transactions over lists have an order that explains what they saw.
//!
//! Each transaction reads some lists and appends elements, all of them different, to some. What
//! a read shows then tells whose appends came before, and which came after: that is a graph of
//! dependencies between transactions, and a cycle in it is an anomaly with a name (Adya 1999; the
//! way from lists to graphs is that of Elle, Kingsbury and Alvaro 2020).
//!
//! ```text
//! ww  one appended right behind the other            G0        a cycle of ww
//! wr  one read what the other appended last          G1c       of ww and wr
//! rw  one read a list to which the other appended    G-single  with one rw
//!     next                                           G2        with more
//! ```
//!
//! G2 is allowed if somewhere in the cycle two rw come one right behind the other, and the
//! transaction between them was promised a snapshot only (Fekete et al. 2005; Cerone and Gotsman
//! 2016). So is write skew; the long fork is not, where two readers see two writers in opposite
//! orders.
//!
//! Deliberately unknown here: time and versions. Two transactions without a dependency may have
//! happened in any order.

mod graph;
mod order;

use graph::{Edge, Graph, Kind};
use std::fmt;

/// What one transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its name.
    pub id: u64,
    /// The lists that it read, before its own appends, and what they held.
    pub reads: Vec<(String, Vec<u64>)>,
    /// What it appended to which list, in order.
    pub appends: Vec<(String, u64)>,
    /// How it ended.
    pub fate: Fate,
}

/// How a transaction ended, as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It took effect.
    Committed,
    /// It did not.
    Aborted,
    /// Nobody knows. Whoever sees what it appended does.
    Unknown,
}

/// What transactions were promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// There is a serial order.
    Serializable,
    /// Each reads one snapshot, and of two that write the same only one takes effect.
    Snapshot,
}

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phenomenon {
    /// Something was read that was never appended.
    Invented,
    /// The same element stands twice in a list, or in two lists.
    Doubled,
    /// Two reads of a list of which neither is the beginning of the other.
    Forked,
    /// What an aborted transaction appended was read.
    G1a,
    /// A list was read in the middle of a transaction's appends.
    G1b,
    /// Writes in a circle.
    G0,
    /// Information in a circle.
    G1c,
    /// A circle with one read of what was overwritten.
    GSingle,
    /// A circle with several, and what was promised does not allow it.
    G2,
}

/// An anomaly, and who took part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// What it is called.
    pub phenomenon: Phenomenon,
    /// For people.
    pub what: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.phenomenon, self.what)
    }
}

/// Whether there is an order that explains what the transactions saw, if all were promised the same.
///
/// # Errors
/// The first anomaly, the plainest kind first.
pub fn check_transactions(transactions: &[Transaction], level: Level) -> Result<(), Anomaly> {
    check_mixed(transactions, |_| level)
}

/// The same where each was promised something of its own: there is one order of all. Those that
/// were promised a serial order read everything before their place in it. Each of the others reads
/// everything before some place that is not behind its own, and nothing that it writes was written
/// between the two.
///
/// # Errors
/// The first anomaly, the plainest kind first.
pub fn check_mixed(
    transactions: &[Transaction],
    level: impl Fn(u64) -> Level,
) -> Result<(), Anomaly> {
    let orders = order::orders(transactions)?;
    let edges = order::edges(transactions, &orders);
    let graph = |edges| Graph::with_snapshots(edges, |id| level(id) == Level::Snapshot);
    // Every circle that anybody could complain about is in here.
    let knot: Vec<Edge> = graph(edges.into_iter()).knot().into_iter().collect();
    plain(&knot)?;
    match graph(knot.into_iter()).cycle() {
        Some(cycle) => Err(circle(Phenomenon::G2, &cycle)),
        None => Ok(()),
    }
}

/// Circles that are wrong whatever was promised.
fn plain(edges: &[Edge]) -> Result<(), Anomaly> {
    let graph = |counts: fn(&Edge) -> bool| Graph::new(edges.iter().copied().filter(counts));
    if let Some(cycle) = graph(|edge| edge.kind == Kind::Ww).cycle() {
        return Err(circle(Phenomenon::G0, &cycle));
    }
    let information = graph(|edge| edge.kind != Kind::Rw);
    if let Some(cycle) = information.cycle() {
        return Err(circle(Phenomenon::G1c, &cycle));
    }
    for edge in edges.iter().filter(|edge| edge.kind == Kind::Rw) {
        if let Some(mut path) = information.path(edge.to, edge.from) {
            path.insert(0, *edge);
            return Err(circle(Phenomenon::GSingle, &path));
        }
    }
    Ok(())
}

fn circle(phenomenon: Phenomenon, edges: &[Edge]) -> Anomaly {
    let steps = edges.iter().map(|edge| format!("{} -{:?}-> {}", edge.from, edge.kind, edge.to));
    Anomaly { phenomenon, what: steps.collect::<Vec<_>>().join(", ") }
}
