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

/// A place in the one order of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Where what a transaction wrote is there.
    Effect(u64),
    /// What it has seen, where that may be an earlier place.
    Snapshot(u64),
}

/// An edge as a step from a place to the next.
#[derive(Clone, Copy)]
struct Step {
    to: Place,
    edge: Edge,
}

/// Steps by where they begin.
pub(super) struct Graph(BTreeMap<Place, Vec<Step>>);

impl Graph {
    /// A graph of transactions that all read where they take effect: every edge may follow every
    /// other.
    pub(super) fn new(edges: impl Iterator<Item = Edge>) -> Self {
        Self::with_snapshots(edges, |_| false)
    }

    /// A graph where some transactions may read at an earlier place than that where they take
    /// effect.
    ///
    /// Whoever wrote what such a one saw took effect before its snapshot, and so before whoever
    /// wrote what its snapshot lacks. But that it overwrote what somebody else saw says where it
    /// takes effect, and nothing about its snapshot. So an rw edge from it only follows an edge of
    /// another kind.
    pub(super) fn with_snapshots(
        edges: impl Iterator<Item = Edge>,
        is_early: impl Fn(u64) -> bool,
    ) -> Self {
        let mut steps: BTreeMap<Place, Vec<Step>> = BTreeMap::new();
        let mut add = |from, to, edge| steps.entry(from).or_default().push(Step { to, edge });
        let read = |of| if is_early(of) { Place::Snapshot(of) } else { Place::Effect(of) };
        for edge in edges {
            let (from, to) = (Place::Effect(edge.from), Place::Effect(edge.to));
            if edge.kind == Kind::Rw {
                add(read(edge.from), to, edge);
                continue;
            }
            add(from, to, edge);
            if is_early(edge.to) {
                add(from, read(edge.to), edge);
            }
        }
        Self(steps)
    }

    fn behind(&self, place: Place) -> &[Step] {
        self.0.get(&place).map_or(&[], Vec::as_slice)
    }

    /// A circle, as short as there is one through some place; none: there is none.
    pub(super) fn cycle(&self) -> Option<Vec<Edge>> {
        self.left().into_iter().find_map(|place| {
            let around = |step: &Step| {
                let mut path = self.way(step.to, place)?;
                path.insert(0, step.edge);
                Some(path)
            };
            self.behind(place).iter().filter_map(around).min_by_key(Vec::len).map(once_each)
        })
    }

    /// Edges among which are all circles; none: there is no circle. In a long history with few
    /// circles they are few.
    pub(super) fn knot(&self) -> BTreeSet<Edge> {
        let left = self.left();
        let from = self.0.iter().filter(|(from, _)| left.contains(from));
        let steps = from.flat_map(|(_, steps)| steps).filter(|step| left.contains(&step.to));
        steps.map(|step| step.edge).collect()
    }

    /// What is left of the places when again and again those are taken away that nobody, or that
    /// nothing, comes behind: those on circles, and those between circles.
    fn left(&self) -> BTreeSet<Place> {
        let steps =
            || self.0.iter().flat_map(|(from, steps)| steps.iter().map(|step| (*from, step.to)));
        let forward = peel(steps());
        let left = |(from, to): &(Place, Place)| forward.contains(from) && forward.contains(to);
        peel(steps().filter(left).map(|(from, to)| (to, from)))
    }

    /// The shortest way from what one transaction did to what another did.
    pub(super) fn path(&self, from: u64, to: u64) -> Option<Vec<Edge>> {
        self.way(Place::Effect(from), Place::Effect(to))
    }

    fn way(&self, from: Place, to: Place) -> Option<Vec<Edge>> {
        let mut came: BTreeMap<Place, Option<(Place, Edge)>> = BTreeMap::from([(from, None)]);
        let mut queue = VecDeque::from([from]);
        while let Some(place) = queue.pop_front() {
            if place == to {
                return Some(back(&came, to));
            }
            for step in self.behind(place) {
                if let Entry::Vacant(new) = came.entry(step.to) {
                    new.insert(Some((place, step.edge)));
                    queue.push_back(step.to);
                }
            }
        }
        None
    }
}

fn back(came: &BTreeMap<Place, Option<(Place, Edge)>>, to: Place) -> Vec<Edge> {
    let mut path = Vec::new();
    let mut place = to;
    while let Some(Some((before, edge))) = came.get(&place) {
        path.push(*edge);
        place = *before;
    }
    path.reverse();
    path
}

/// The same circle without detours: one that comes by a transaction twice does so at its snapshot
/// and at its effect, and what leads to the first leads to the second as well.
fn once_each(mut circle: Vec<Edge>) -> Vec<Edge> {
    let twice = |circle: &[Edge]| {
        let mut seen = BTreeMap::new();
        let again = |(at, edge): (usize, &Edge)| Some((seen.insert(edge.from, at)?, at));
        circle.iter().enumerate().find_map(again)
    };
    while let Some((first, second)) = twice(&circle) {
        let between = circle.drain(first..second).collect::<Vec<_>>();
        // Of the two only the snapshot is left by an rw edge, and that way is the detour.
        if between[0].kind != Kind::Rw {
            circle = between;
        }
    }
    circle
}

/// What is left of the places when again and again those are taken away that no step leads to.
fn peel(steps: impl Iterator<Item = (Place, Place)>) -> BTreeSet<Place> {
    let mut behind: BTreeMap<Place, Vec<Place>> = BTreeMap::new();
    let mut before: BTreeMap<Place, usize> = BTreeMap::new();
    for (from, to) in steps {
        behind.entry(from).or_default().push(to);
        before.entry(from).or_default();
        *before.entry(to).or_default() += 1;
    }
    let mut free: Vec<Place> =
        before.iter().filter(|(_, count)| **count == 0).map(|(place, _)| *place).collect();
    while let Some(place) = free.pop() {
        before.remove(&place);
        for next in behind.get(&place).into_iter().flatten() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Transactions in the graphs that are tried.
    const MOST: u64 = 5;

    fn edge() -> impl Strategy<Value = Edge> {
        let kind = prop_oneof![Just(Kind::Ww), Just(Kind::Wr), Just(Kind::Rw), Just(Kind::Rw)];
        let ends = (0..MOST, 1..MOST).prop_map(|(from, by)| (from, (from + by) % MOST));
        (ends, kind).prop_map(|((from, to), kind)| Edge { from, to, kind })
    }

    /// Whether one edge may come right behind another in a circle that is forbidden.
    fn counts(early: &BTreeSet<u64>, before: Edge, edge: Edge) -> bool {
        before.to == edge.from
            && !(before.kind == Kind::Rw && edge.kind == Kind::Rw && early.contains(&edge.from))
    }

    fn is_forbidden(early: &BTreeSet<u64>, circle: &[Edge]) -> bool {
        let next = circle.iter().cycle().skip(1);
        circle.iter().zip(next).all(|(before, edge)| counts(early, *before, *edge))
    }

    /// Whether a path can be made a forbidden circle that comes by no transaction twice.
    fn closes(early: &BTreeSet<u64>, edges: &BTreeSet<Edge>, path: &mut Vec<Edge>) -> bool {
        if is_forbidden(early, path) {
            return true;
        }
        edges.iter().any(|edge| {
            let last = path[path.len() - 1];
            if !counts(early, last, *edge) || path.iter().any(|one| one.from == edge.from) {
                return false;
            }
            path.push(*edge);
            let closes = closes(early, edges, path);
            path.pop();
            closes
        })
    }

    proptest! {
        // So many, for a circle with a detour is rare.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

        /// What is found is what trying every circle finds.
        #[test]
        fn a_circle_is_found_if_there_is_one(
            edges in prop::collection::btree_set(edge(), 1..14),
            early in prop::collection::btree_set(0..MOST, 0..=5),
        ) {
            let graph = Graph::with_snapshots(edges.iter().copied(), |of| early.contains(&of));
            let there_is = edges.iter().any(|edge| closes(&early, &edges, &mut vec![*edge]));
            prop_assert_eq!(!graph.knot().is_empty(), there_is);
            let circle = graph.cycle();
            prop_assert_eq!(circle.is_some(), there_is);
            if let Some(circle) = circle {
                prop_assert!(is_forbidden(&early, &circle));
                let by: BTreeSet<u64> = circle.iter().map(|edge| edge.from).collect();
                prop_assert_eq!(by.len(), circle.len());
                prop_assert!(circle.iter().all(|edge| graph.knot().contains(edge)));
            }
        }
    }
}
