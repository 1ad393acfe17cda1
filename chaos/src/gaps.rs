//! How long nothing was answered after a fault.

use std::time::Duration;

/// The longest times without an answer between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gap {
    /// About anything.
    pub(crate) any: Duration,
    /// About the key that waited longest.
    pub(crate) one: Duration,
}

/// The gaps between `from` and `to` (microseconds), where `answers` are in order: when, and about
/// which of `slots` keys.
pub(crate) fn between(answers: &[(u64, usize)], slots: usize, from: u64, to: u64) -> Gap {
    let begin = answers.partition_point(|(at, _)| *at < from);
    let end = answers.partition_point(|(at, _)| *at <= to).max(begin);
    let mut last = vec![from; slots];
    let mut longest = vec![0; slots];
    let (mut last_any, mut any) = (from, 0);
    for (at, slot) in &answers[begin..end] {
        any = any.max(at - last_any);
        longest[*slot] = longest[*slot].max(at - last[*slot]);
        (last_any, last[*slot]) = (*at, *at);
    }
    any = any.max(to.saturating_sub(last_any));
    let ends = longest.iter().zip(&last).map(|(gap, last)| (*gap).max(to.saturating_sub(*last)));
    let one = ends.max().unwrap_or(0);
    Gap { any: Duration::from_micros(any), one: Duration::from_micros(one) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_counts_also_before_the_first_and_after_the_last_answer() {
        let answers = [(50, 0), (110, 0), (130, 1), (190, 0), (260, 0)];
        let us = Duration::from_micros;
        assert_eq!(between(&answers, 2, 100, 200), Gap { any: us(60), one: us(80) });
        assert_eq!(between(&answers, 2, 115, 180), Gap { any: us(50), one: us(65) });
        assert_eq!(between(&answers, 1, 300, 350), Gap { any: us(50), one: us(50) });
        assert_eq!(between(&[], 2, 10, 30), Gap { any: us(20), one: us(20) });
    }
}
