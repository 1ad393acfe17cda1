//! Who depends on whom, and whether in a circle.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How one transaction depends on another that came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Ww,
    Wr,
    Rw,
}

/// `from` came before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) kind: Kind,
}

/// Edges by where they begin.
pub(super) struct Graph(BTreeMap<u64, Vec<Edge>>);

impl Graph {
    pub(super) fn new(edges: impl Iterator<Item = Edge>) -> Self {
        let mut from: BTreeMap<u64, Vec<Edge>> = BTreeMap::new();
        for edge in edges {
            from.entry(edge.from).or_default().push(edge);
        }
        Self(from)
    }

    fn behind(&self, node: u64) -> &[Edge] {
        self.0.get(&node).map_or(&[], Vec::as_slice)
    }

    /// A circle, as short as there is one through some node; none: there is none.
    pub(super) fn cycle(&self) -> Option<Vec<Edge>> {
        let node = *self.in_circles().first()?;
        let around = |edge: &Edge| {
            let mut path = self.path(edge.to, node)?;
            path.insert(0, *edge);
            Some(path)
        };
        self.behind(node).iter().filter_map(around).min_by_key(Vec::len)
    }

    /// Nodes that lie on circles: what is left when again and again those are taken away that
    /// nobody, or that nothing, comes behind.
    fn in_circles(&self) -> BTreeSet<u64> {
        let edges = || self.0.values().flatten();
        let forward = peel(edges().map(|edge| (edge.from, edge.to)));
        let left = |edge: &&Edge| forward.contains(&edge.from) && forward.contains(&edge.to);
        peel(edges().filter(left).map(|edge| (edge.to, edge.from)))
            .into_iter()
            .filter(|node| {
                self.behind(*node).iter().any(|edge| self.path(edge.to, *node).is_some())
            })
            .take(1)
            .collect()
    }

    /// The shortest way from one to another.
    pub(super) fn path(&self, from: u64, to: u64) -> Option<Vec<Edge>> {
        let mut came: BTreeMap<u64, Option<Edge>> = BTreeMap::from([(from, None)]);
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            if node == to {
                return Some(way(&came, to));
            }
            for edge in self.behind(node) {
                if let Entry::Vacant(new) = came.entry(edge.to) {
                    new.insert(Some(*edge));
                    queue.push_back(edge.to);
                }
            }
        }
        None
    }
}

fn way(came: &BTreeMap<u64, Option<Edge>>, to: u64) -> Vec<Edge> {
    let mut path = Vec::new();
    let mut node = to;
    while let Some(Some(edge)) = came.get(&node) {
        path.push(*edge);
        node = edge.from;
    }
    path.reverse();
    path
}

/// What is left of the nodes when again and again those are taken away that no edge leads to.
fn peel(edges: impl Iterator<Item = (u64, u64)>) -> BTreeSet<u64> {
    let mut behind: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut before: BTreeMap<u64, usize> = BTreeMap::new();
    for (from, to) in edges {
        behind.entry(from).or_default().push(to);
        before.entry(from).or_default();
        *before.entry(to).or_default() += 1;
    }
    let mut free: Vec<u64> =
        before.iter().filter(|(_, count)| **count == 0).map(|(node, _)| *node).collect();
    while let Some(node) = free.pop() {
        before.remove(&node);
        for next in behind.get(&node).into_iter().flatten() {
            if let Some(count) = before.get_mut(next) {
                *count -= 1;
                if *count == 0 {
                    free.push(*next);
                }
            }
        }
    }
    before.into_keys().collect()
}
