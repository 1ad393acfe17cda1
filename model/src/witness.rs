//! What was seen so far, and whether it may be.

use crate::fingerprint::relative;
use crate::host::{HOSTS, Seen, Turn};
use crate::property::{Broken, Property};
use catena_protocol::Timestamp;
use catena_protocol::message::replicate::{Decision, LogRecord, Position};
use catena_protocol::message::store::Tell;
use std::collections::BTreeMap;

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness {
    /// Who served in an epoch.
    serving: BTreeMap<u64, usize>,
    /// The log that counts.
    committed: Vec<Committed>,
    /// Highest snapshot at which somebody was answered.
    snapshot: Timestamp,
    /// What records hold that are in a log, or were.
    records: BTreeMap<Position, Facts>,
    /// Writes that were acknowledged, and in which epoch.
    acknowledged: Vec<(Position, u64)>,
}

#[derive(Clone, Debug)]
struct Committed {
    position: Position,
    hash: u64,
    /// The epoch of who was the first to know.
    by: u64,
}

#[derive(Clone, Copy, Debug)]
struct Facts {
    version: Timestamp,
    ceiling: Timestamp,
    /// The write that it is.
    write: Option<u8>,
}

impl From<&LogRecord> for Facts {
    fn from(record: &LogRecord) -> Self {
        let (ceiling, write) = match &record.decision {
            Decision::Ceiling(ceiling) => (*ceiling, None),
            Decision::Write { request, .. } => (Timestamp::ZERO, Some(request.0[0])),
            _ => (Timestamp::ZERO, None),
        };
        Self { version: record.version, ceiling, write }
    }
}

fn broken(property: Property, what: String) -> Result<(), Broken> {
    Err(Broken { property, what })
}

fn at(log: &[(Position, u64)], index: u64) -> Option<&(Position, u64)> {
    log.get(usize::try_from(index.checked_sub(1)?).ok()?)
}

fn leading(seen: [&Seen; HOSTS]) -> impl Iterator<Item = (usize, &Seen)> {
    seen.into_iter().enumerate().filter(|(_, seen)| seen.leads)
}

impl Witness {
    pub(crate) fn fingerprint(&self) -> u64 {
        relative(0, |out| write!(out, "{self:?}"))
    }

    /// Whether there is something new in what one host gave out.
    pub(crate) fn is_new(&self, turn: &Turn, seen: &Seen) -> bool {
        !turn.records.is_empty()
            || !turn.replies.is_empty()
            || seen.commit > self.committed.len() as u64
            || (seen.serves && !self.serving.contains_key(&seen.epoch))
    }

    /// Takes note of what one host gave out. Returns what is wrong with it.
    pub(crate) fn learn(&mut self, host: usize, turn: &Turn, seen: &Seen) -> Vec<Broken> {
        self.serves(host, seen);
        let found =
            [self.appended(&turn.records, seen), self.commits(seen), self.replied(turn, seen)];
        found.into_iter().filter_map(Result::err).collect()
    }

    /// Looks at all as they stand after a turn of one.
    pub(crate) fn judge(&self, host: usize, seen: [&Seen; HOSTS]) -> Vec<Broken> {
        let found = [
            self.same_primary(host, seen[host]),
            self.same_prefix(host, seen[host]),
            self.acknowledged_stay(seen),
            self.none_lost(seen),
            self.all_served(seen),
            self.none_electable_without(seen),
        ];
        found.into_iter().filter_map(Result::err).collect()
    }

    fn appended(&mut self, records: &[LogRecord], seen: &Seen) -> Result<(), Broken> {
        for record in records {
            let LogRecord { epoch, index, version, .. } = *record;
            let facts = Facts::from(record);
            self.records.entry(Position { epoch, index }).or_insert(facts);
            let earlier = self.committed.iter().filter(|c| c.position.epoch < epoch);
            let ceilings = earlier.filter_map(|c| self.records.get(&c.position));
            let ceiling = ceilings.map(|facts| facts.ceiling).max().unwrap_or_default();
            if seen.leads && seen.epoch == epoch && version != Timestamp::ZERO && version <= ceiling
            {
                let what = format!("epoch {epoch} gives out {version}, but {ceiling} was granted");
                return broken(Property::AboveCeilings, what);
            }
        }
        Ok(())
    }

    fn same_prefix(&self, host: usize, seen: &Seen) -> Result<(), Broken> {
        if let Some(why) = &seen.halted {
            return broken(Property::EqualPrefixes, format!("{host} halts: {why}"));
        }
        for (committed, here) in self.committed.iter().zip(&seen.log) {
            if here.0.index <= seen.commit && (committed.position, committed.hash) != *here {
                let what = format!("{host} committed {here:?}, before it was {committed:?}");
                return broken(Property::EqualPrefixes, what);
            }
        }
        Ok(())
    }

    fn commits(&mut self, seen: &Seen) -> Result<(), Broken> {
        let mut late = None;
        let commit = usize::try_from(seen.commit).unwrap_or(usize::MAX);
        for (position, hash) in seen.log.iter().take(commit).skip(self.committed.len()) {
            let version = self.records.get(position).map_or(Timestamp::ZERO, |facts| facts.version);
            if version != Timestamp::ZERO && version <= self.snapshot {
                late = Some(version);
            }
            self.committed.push(Committed { position: *position, hash: *hash, by: seen.epoch });
        }
        match late {
            None => Ok(()),
            Some(version) => {
                let what = format!("{version} commits, but {} was read before", self.snapshot);
                broken(Property::AboveSnapshots, what)
            }
        }
    }

    fn replied(&mut self, turn: &Turn, seen: &Seen) -> Result<(), Broken> {
        for (caller, response) in &turn.replies {
            match &response.tell {
                Tell::Record(_) => self.snapshot = self.snapshot.max(Timestamp(*caller)),
                Tell::Written(_) => {
                    let write = u8::try_from(*caller).ok();
                    let of = |(_, facts): &(&Position, &Facts)| facts.write == write;
                    let here = |(position, _): &(&Position, &Facts)| {
                        at(&seen.log, position.index).is_some_and(|(at, _)| at == *position)
                    };
                    let Some((position, _)) = self.records.iter().filter(of).find(here) else {
                        let what = format!("write {caller} is acknowledged and in no log");
                        return broken(Property::AcknowledgedStays, what);
                    };
                    self.acknowledged.push((*position, seen.epoch));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn serves(&mut self, host: usize, seen: &Seen) {
        if seen.serves {
            self.serving.entry(seen.epoch).or_insert(host);
        }
    }

    fn same_primary(&self, host: usize, seen: &Seen) -> Result<(), Broken> {
        match self.serving.get(&seen.epoch) {
            Some(before) if seen.serves && *before != host => {
                let what = format!("{before} and {host} in epoch {}", seen.epoch);
                broken(Property::OnePrimary, what)
            }
            _ => Ok(()),
        }
    }

    fn acknowledged_stay(&self, seen: [&Seen; HOSTS]) -> Result<(), Broken> {
        for (host, seen) in leading(seen) {
            let has = |position: &Position| {
                at(&seen.log, position.index).is_some_and(|at| at.0 == *position)
            };
            let lost = |(position, by): &&(Position, u64)| *by <= seen.epoch && !has(position);
            if let Some((position, by)) = self.acknowledged.iter().find(lost) {
                let what =
                    format!("{host} leads epoch {} without {position:?} of {by}", seen.epoch);
                return broken(Property::AcknowledgedStays, what);
            }
        }
        Ok(())
    }

    fn none_lost(&self, seen: [&Seen; HOSTS]) -> Result<(), Broken> {
        for (host, seen) in leading(seen) {
            let has =
                |c: &Committed| at(&seen.log, c.position.index) == Some(&(c.position, c.hash));
            let lost = |c: &&Committed| c.by <= seen.epoch && !has(c);
            if let Some(committed) = self.committed.iter().find(lost) {
                let what = format!("{host} leads epoch {} without {committed:?}", seen.epoch);
                return broken(Property::NothingLost, what);
            }
        }
        Ok(())
    }

    fn all_served(&self, seen: [&Seen; HOSTS]) -> Result<(), Broken> {
        for (host, seen) in leading(seen).filter(|(_, seen)| seen.serves) {
            let unknown = |c: &&Committed| c.by < seen.epoch && c.position.index > seen.commit;
            if let Some(committed) = self.committed.iter().find(unknown) {
                let Seen { epoch, commit, .. } = seen;
                let what =
                    format!("{host} serves epoch {epoch}, commit {commit}, but {committed:?}");
                return broken(Property::ServesAll, what);
            }
        }
        Ok(())
    }

    /// Looks at what would be left if all lost power now.
    fn none_electable_without(&self, seen: [&Seen; HOSTS]) -> Result<(), Broken> {
        let last = |seen: &Seen| (seen.durable.last().map(|record| record.0), seen.durable.len());
        for (host, candidate) in seen.into_iter().enumerate() {
            let voters = seen.iter().filter(|voter| last(voter) <= last(candidate)).count();
            let has = |(index, committed): (usize, &Committed)| {
                candidate.durable.get(index).is_some_and(|at| at.0 == committed.position.epoch)
            };
            if voters > HOSTS / 2 && !self.committed.iter().enumerate().all(has) {
                let what = format!("{host} could be elected without some of {:?}", self.committed);
                return broken(Property::NothingVotedAway, what);
            }
        }
        Ok(())
    }
}
