//! Results in the order of their numbers, or as they come.

use std::collections::BTreeMap;

/// Holds results back until the earlier ones are there. Numbers begin with 1.
#[derive(Debug)]
pub(super) struct Order<T> {
    ordered: bool,
    most: usize,
    next: u64,
    held: BTreeMap<u64, T>,
}

impl<T> Order<T> {
    pub(super) const fn new(ordered: bool, most: usize) -> Self {
        Self { ordered, most, next: 1, held: BTreeMap::new() }
    }

    /// Whether the result of one more job can be held beside those of `open` others.
    pub(super) fn has_room(&self, open: usize) -> bool {
        self.held.len() + open < self.most
    }

    pub(super) fn put(&mut self, number: u64, result: T) {
        self.held.insert(number, result);
    }

    /// The next result, if it is its turn.
    pub(super) fn next(&mut self) -> Option<(u64, T)> {
        let first = self.held.first_entry()?;
        if self.ordered && *first.key() != self.next {
            return None;
        }
        self.next += 1;
        Some(first.remove_entry())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_wait_for_earlier_ones() {
        let mut order = Order::new(true, 3);
        order.put(2, 'b');
        assert_eq!(order.next(), None);
        assert!(order.has_room(1) && !order.has_room(2));
        order.put(1, 'a');
        assert_eq!((order.next(), order.next()), (Some((1, 'a')), Some((2, 'b'))));
        assert_eq!(order.next(), None);
    }

    #[test]
    fn without_order_nothing_waits() {
        let mut order = Order::new(false, 3);
        order.put(2, 'b');
        assert_eq!(order.next(), Some((2, 'b')));
    }
}
