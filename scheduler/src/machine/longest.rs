//! The longest deadline of jobs that were begun here and may not have ended: storage nodes keep old
//! versions for it. That of a chain's definition is known without this; a caller may ask for another,
//! and a chain may come with its request.
//!
//! A job that begins makes all before it unimportant whose deadlines are not longer. Deadlines count
//! as whole seconds, so that few are left.

use std::collections::VecDeque;

/// Deadlines of jobs, longest and oldest first, and when these have ended, in monotonic
/// milliseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Longest {
    begun: VecDeque<(u64, u64)>,
}

impl Longest {
    /// A job begins that ends after `deadline_ms` at the latest.
    pub(super) fn begins(&mut self, now_ms: u64, deadline_ms: u64) {
        let deadline_ms = deadline_ms.div_ceil(1_000).saturating_mul(1_000);
        self.forget(now_ms);
        while self.begun.back().is_some_and(|(before_ms, _)| *before_ms <= deadline_ms) {
            self.begun.pop_back();
        }
        self.begun.push_back((deadline_ms, now_ms.saturating_add(deadline_ms)));
    }

    /// What it is, in milliseconds; 0: there is no such job.
    pub(super) fn at(&mut self, now_ms: u64) -> u64 {
        self.forget(now_ms);
        self.begun.front().map_or(0, |(deadline_ms, _)| *deadline_ms)
    }

    fn forget(&mut self, now_ms: u64) {
        while self.begun.front().is_some_and(|(_, until_ms)| *until_ms < now_ms) {
            self.begun.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_counts_until_its_job_has_ended_and_no_longer() {
        let mut longest = Longest::default();
        assert_eq!(longest.at(0), 0);
        longest.begins(0, 60_000);
        longest.begins(10_000, 600_000);
        for now_ms in (20_000..2_000_000).step_by(500) {
            longest.begins(now_ms, 4_500);
            let expected = if now_ms <= 610_000 { 600_000 } else { 5_000 };
            assert_eq!(longest.at(now_ms), expected, "at {now_ms}");
        }
        assert_eq!(longest.at(2_010_000), 0);
        assert!(longest.begun.is_empty());
    }
}
