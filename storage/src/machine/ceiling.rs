//! The ceiling of a partition: how far into the future its time may be used.
//!
//! No version above the ceiling is given out and no snapshot above it is served before a higher
//! ceiling is in the log. Whoever takes over starts its clock at the highest ceiling that it
//! finds there, so it never gives out a version that somebody has already read beyond. The
//! record is written ahead of need, with what is appended anyway.

use super::{Bug, Node};
use catena_protocol::Timestamp;
use catena_protocol::clock::Now;
use catena_protocol::message::replicate::Decision;
use std::collections::VecDeque;

/// How far ahead a new ceiling lies.
const AHEAD_MS: u64 = 250;
/// A ceiling that is nearer than this is renewed.
const RENEW_MS: u64 = 125;

/// The ceiling of one partition.
#[derive(Clone, Debug)]
pub(super) struct Ceiling {
    /// Committed.
    granted: Timestamp,
    /// On their way, lowest first, with their indexes.
    asked: VecDeque<(Timestamp, u64)>,
}

impl Ceiling {
    pub(super) const fn new(granted: Timestamp) -> Self {
        Self { granted, asked: VecDeque::new() }
    }

    fn highest(&self) -> Timestamp {
        self.asked.back().map_or(self.granted, |(ceiling, _)| *ceiling)
    }

    /// The index that must be committed before `at` lies under the ceiling.
    fn wait_for(&self, at: Timestamp) -> Option<u64> {
        if at <= self.granted {
            return None;
        }
        self.asked.iter().find(|(ceiling, _)| *ceiling >= at).map(|(_, index)| *index)
    }

    pub(super) const fn granted(&self) -> Timestamp {
        self.granted
    }

    pub(super) fn ask(&mut self, ceiling: Timestamp, index: u64) {
        self.asked.push_back((ceiling, index));
    }

    /// A new primary begins: what is on its way in the log lies below what its clock has reached.
    pub(super) fn restart(&mut self, granted: Timestamp) {
        *self = Self::new(granted);
    }

    /// What is on its way may never get there.
    pub(super) fn forget_asked(&mut self) {
        self.asked.clear();
    }

    pub(super) fn grant(&mut self, ceiling: Timestamp) {
        self.granted = self.granted.max(ceiling);
        while self.asked.front().is_some_and(|(asked, _)| *asked <= self.granted) {
            self.asked.pop_front();
        }
    }
}

impl<C> Node<C> {
    /// Makes sure that a ceiling at or above `at` is in the log or about to be. Returns the index
    /// that must be committed first.
    pub(super) fn raise_ceiling(&mut self, now: Now, partition: u16, at: Timestamp) -> Option<u64> {
        if self.has(Bug::ServeAboveCeiling) {
            return None;
        }
        let ceiling = &self.partitions[usize::from(partition)].ceiling;
        if at.plus_ms(RENEW_MS) > ceiling.highest() {
            let new = self.clock.read(now.wall_us).max(at).plus_ms(AHEAD_MS);
            self.append(partition, Timestamp::ZERO, Decision::Ceiling(new), Vec::new());
        }
        self.partitions[usize::from(partition)].ceiling.wait_for(at)
    }
}
