//! Which operations of the floor are acknowledged: those that enough replicas answered.

use std::time::Instant;

/// The lanes of a measurement, each with one operation under way.
#[derive(Debug)]
pub(crate) struct Quorum {
    needed: usize,
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    turn: u64,
    answers: usize,
    sent: Instant,
}

impl Quorum {
    /// `lanes` lanes whose operations need so many answers.
    pub(crate) fn new(lanes: usize, needed: usize) -> Self {
        let lane = || Lane { turn: 0, answers: 0, sent: Instant::now() };
        Self { needed, lanes: (0..lanes).map(|_| lane()).collect() }
    }

    /// The lane's next operation begins; its number.
    pub(crate) fn begin(&mut self, lane: usize, now: Instant) -> u64 {
        let lanes = self.lanes.len() as u64;
        let state = &mut self.lanes[lane];
        *state = Lane { turn: state.turn + 1, answers: 0, sent: now };
        state.turn * lanes + lane as u64
    }

    /// One replica answered. If that was the one that was needed: the lane, and when its operation
    /// began. Answers to earlier operations come late and change nothing.
    pub(crate) fn answered(&mut self, number: u64) -> Option<(usize, Instant)> {
        let lanes = self.lanes.len() as u64;
        let lane = (number % lanes) as usize;
        let state = &mut self.lanes[lane];
        if state.turn != number / lanes {
            return None;
        }
        state.answers += 1;
        (state.answers == self.needed).then_some((lane, state.sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_three_acknowledge_and_the_third_changes_nothing() {
        let mut quorum = Quorum::new(2, 2);
        let (zero, one) = (quorum.begin(0, Instant::now()), quorum.begin(1, Instant::now()));
        assert_eq!(quorum.answered(zero), None);
        assert_eq!(quorum.answered(one), None);
        assert_eq!(quorum.answered(one).map(|(lane, _)| lane), Some(1));
        assert_eq!(quorum.answered(zero).map(|(lane, _)| lane), Some(0));

        let next = quorum.begin(0, Instant::now());
        assert_eq!(quorum.answered(zero), None, "the third, late");
        assert_eq!(quorum.answered(next), None, "the late one did not count");
        assert_eq!(quorum.answered(next).map(|(lane, _)| lane), Some(0));
        assert_eq!(quorum.answered(next), None, "the third, in time");
    }
}
