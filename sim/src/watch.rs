//! The invariants, checked after every step of every node.

use catena_protocol::clock::Now;
use catena_protocol::message::gossip::{Acked, Mark};
use catena_protocol::message::store::Tell;
use catena_protocol::message::write::Written;
use catena_protocol::placement::Member;
use catena_protocol::{Key, Timestamp};
use catena_storage::machine::{Entry, View};
use catena_storage::state::{Changes, Content};
use std::collections::BTreeMap;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Who served in an epoch of a partition.
    led: BTreeMap<(u16, u64), Member>,
    /// The chained hash of each committed index.
    committed: BTreeMap<(u16, u64), u64>,
    /// The highest closed timestamp of each partition, and the commit index that it came with.
    closed: BTreeMap<u16, (Timestamp, u64)>,
    /// The same of each process, which never falls.
    of: BTreeMap<(usize, u64, u16), (Timestamp, u64, u64)>,
    /// What each version of a record held.
    rows: BTreeMap<(u16, Key, Timestamp), Content>,
}

/// A rule that does not hold, and what was seen.
type Broken = (&'static str, String);

const PRIMARY: &str = "1: at most one primary per partition and epoch serves; epochs only grow";
const PREFIX: &str = "2: committed prefixes are equal; nothing committed is truncated";
const CLOSED: &str = "3: closed timestamps only grow, and nothing commits at or below one";
const DURABLE: &str = "2: what is acknowledged is on disk";
const CLOCK: &str = "3: a version is told only when the clock has reached it";
const BOUNDS: &str = "8: every queue has a limit";

impl Watch {
    /// Looks at one replica after a step of its node.
    pub(crate) fn look(
        &mut self,
        host: usize,
        boot: u64,
        me: &Member,
        view: &View,
    ) -> Result<(), Broken> {
        let number = view.partition;
        if view.serves {
            let led = self.led.entry((number, view.epoch)).or_insert_with(|| me.clone());
            if led != me {
                let what = format!(
                    "partition {number}, epoch {}: {} and {}",
                    view.epoch, led.node, me.node
                );
                return Err((PRIMARY, what));
            }
        }
        if let Some(hash) = view.hash
            && *self.committed.entry((number, view.commit)).or_insert(hash) != hash
        {
            let what = format!("partition {number}, record {}, on {}", view.commit, me.node);
            return Err((PREFIX, what));
        }
        let before = self.of.entry((host, boot, number)).or_default();
        let (closed, commit, epoch) = *before;
        if view.commit < commit {
            let what = format!("partition {number} on {}: {commit}, then {}", me.node, view.commit);
            return Err((PREFIX, what));
        }
        if view.epoch < epoch {
            let what =
                format!("partition {number} on {}: epoch {epoch}, then {}", me.node, view.epoch);
            return Err((PRIMARY, what));
        }
        if view.closed < closed && !view.halted {
            let what = format!("partition {number} on {}: {closed}, then {}", me.node, view.closed);
            return Err((CLOSED, what));
        }
        *before = (view.closed, view.commit, view.epoch);
        let highest = self.closed.entry(number).or_default();
        if view.closed > highest.0 {
            *highest = (view.closed, view.commit);
        }
        Ok(())
    }

    /// Looks at what a node is about to apply that has forgotten what was before `horizon`.
    pub(crate) fn apply(
        &mut self,
        changes: &[Changes],
        before: &BTreeMap<u16, Mark>,
        horizon: Timestamp,
    ) -> Result<(), Broken> {
        let copies = |changes: &Changes| {
            changes.clear.is_some() || changes.marks.iter().any(|(_, mark)| mark.copying)
        };
        if changes.iter().any(copies) {
            return Ok(());
        }
        let updates = changes.iter().flat_map(|changes| &changes.updates);
        let rows = updates.flat_map(|(number, update)| {
            update.rows.iter().map(|(key, content)| (*number, update.version, key, content))
        });
        for (number, version, key, content) in rows {
            let (closed, commit) = self.closed.get(&number).copied().unwrap_or_default();
            let from = before.get(&number).map_or(0, |mark| mark.applied.index);
            if from >= commit && version <= closed {
                let what = format!(
                    "partition {number}: `{}` committed at {version} behind record {from}, but \
                     {closed} was closed at record {commit}",
                    key
                );
                return Err((CLOSED, what));
            }
            let place = (number, key.clone(), version);
            let known = self.rows.entry(place).or_insert_with(|| content.clone());
            if known != content {
                let what = format!("`{}` at {version}: {known:?} and {content:?}", key);
                if !self.is_deleted(number, key, version, horizon) {
                    return Err((PREFIX, what));
                }
            }
        }
        Ok(())
    }

    /// Whether a record was deleted behind `version` but not behind `horizon`: nobody can read any
    /// more what was before, and a node that forgot it may make something else of it.
    fn is_deleted(&self, number: u16, key: &Key, version: Timestamp, horizon: Timestamp) -> bool {
        let from = (number, key.clone(), Timestamp(version.0 + 1));
        let until = (number, key.clone(), horizon);
        version < horizon
            && self.rows.range(from..=until).any(|(_, content)| *content == Content::Deleted)
    }

    /// Looks at an answer that a node is about to give at `now`. Who reads at a snapshot knows its
    /// time already; everybody else must not learn of a version that is yet to come.
    pub(crate) fn told(now: Now, wants_the_past: bool, tell: &Tell) -> Result<(), Broken> {
        let version = match tell {
            Tell::Record(record) if !wants_the_past => record.version,
            Tell::Written(Written::Done { version, .. } | Written::Differs { version, .. }) => {
                *version
            }
            _ => Timestamp::ZERO,
        };
        if version.0 > now.wall_us {
            return Err((CLOCK, format!("{version} was told at {}", now.wall_us)));
        }
        Ok(())
    }

    /// Looks at what a node is about to acknowledge while these entries are on their way to its
    /// disk. What its state contains does not need them: a copy may have overtaken them.
    pub(crate) fn acknowledged<'a>(
        acked: &Acked,
        contained: u64,
        on_their_way: impl Iterator<Item = &'a Entry>,
    ) -> Result<(), Broken> {
        for entry in on_their_way {
            if let Entry::Record { partition, index, .. } = entry
                && *partition == acked.partition
                && (contained + 1..=acked.index).contains(index)
            {
                let what = format!(
                    "partition {partition}: record {index} is on its way, {} is acknowledged",
                    acked.index
                );
                return Err((DURABLE, what));
            }
        }
        Ok(())
    }

    pub(crate) fn bounds(what: &str, number: usize, most: usize) -> Result<(), Broken> {
        if number > most {
            return Err((BOUNDS, format!("{number} {what}, {most} are allowed")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use catena_protocol::message::gossip::Part;
    use catena_protocol::message::read::Record;
    use catena_protocol::message::replicate::Position;
    use catena_protocol::{DiskId, NodeId};
    use catena_storage::state::Update;
    use std::sync::Arc;

    fn member(name: &str) -> Member {
        Member { node: NodeId::new(name).unwrap(), disk: DiskId([1; 16]) }
    }

    fn view() -> View {
        View {
            partition: 0,
            part: Part::Primary,
            epoch: 3,
            serves: true,
            halted: false,
            primary: None,
            last: Position { epoch: 3, index: 9 },
            commit: 8,
            hash: Some(77),
            closed: Timestamp(500),
            open_txns: 0,
            voters: Vec::new(),
            voters_settled: true,
        }
    }

    fn row(version: u64, value: &[u8]) -> Changes {
        holds(version, Content::Value(catena_protocol::Blob::from(value.to_vec())))
    }

    fn holds(version: u64, content: Content) -> Changes {
        let rows = vec![(Key::new("a").unwrap(), content)];
        let update = Update { version: Timestamp(version), rows, ..Update::default() };
        Changes { updates: vec![(0, Arc::new(update))], ..Changes::default() }
    }

    /// What is seen at a second look, after a good first one at `s0`.
    fn second(host: usize, boot: u64, name: &str, view: &View) -> Option<&'static str> {
        let mut watch = Watch::default();
        watch.look(0, 1, &member("s0"), &self::view()).unwrap();
        watch.look(host, boot, &member(name), view).err().map(|(rule, _)| rule)
    }

    #[test]
    fn two_primaries_of_one_epoch_are_seen() {
        assert_eq!(second(1, 1, "s1", &view()), Some(PRIMARY));
        assert_eq!(second(1, 1, "s1", &View { serves: false, ..view() }), None);
        assert_eq!(second(1, 1, "s1", &View { epoch: 4, ..view() }), None);
    }

    #[test]
    fn an_acknowledgement_of_what_is_on_its_way_is_seen() {
        let bytes = catena_protocol::codec::Raw(b"x".to_vec().into());
        let entry = Entry::Record { partition: 0, index: 9, bytes };
        let told = |partition, index, contained| {
            let acked = Acked { partition, epoch: 3, index };
            Watch::acknowledged(&acked, contained, [&entry].into_iter()).err().map(|(rule, _)| rule)
        };
        assert_eq!((told(0, 9, 8), told(0, 10, 8)), (Some(DURABLE), Some(DURABLE)));
        assert_eq!((told(0, 8, 8), told(1, 9, 8), told(0, 9, 9)), (None, None, None));
    }

    #[test]
    fn a_node_that_falls_back_is_seen() {
        assert_eq!(second(0, 1, "s0", &View { epoch: 2, ..view() }), Some(PRIMARY));
        let shorter = View { commit: 7, hash: None, ..view() };
        assert_eq!(second(0, 1, "s0", &shorter), Some(PREFIX));
        assert_eq!(second(0, 1, "s0", &View { closed: Timestamp(499), ..view() }), Some(CLOSED));
        // After a restart it may know less.
        assert_eq!(second(0, 2, "s0", &shorter), None);
    }

    #[test]
    fn different_logs_are_seen() {
        let follower = View { serves: false, ..view() };
        assert_eq!(second(1, 1, "s1", &View { hash: Some(78), ..follower.clone() }), Some(PREFIX));
        assert_eq!(second(1, 1, "s1", &follower), None);
    }

    #[test]
    fn a_commit_below_what_is_closed_is_seen() {
        let mut watch = Watch::default();
        watch.look(0, 1, &member("s0"), &view()).unwrap();
        let applied = Position { epoch: 3, index: 8 };
        let before = BTreeMap::from([(0, Mark { applied, ..Mark::default() })]);
        let none = Timestamp::ZERO;
        assert_eq!(watch.apply(&[row(500, b"x")], &before, none).unwrap_err().0, CLOSED);
        watch.apply(&[row(501, b"x")], &before, none).unwrap();
        assert_eq!(watch.apply(&[row(501, b"y")], &before, none).unwrap_err().0, PREFIX);
    }

    #[test]
    fn what_differs_is_passed_over_only_before_a_deletion_that_may_be_forgotten() {
        let mut watch = Watch::default();
        let none = BTreeMap::new();
        for changes in [row(501, b"x"), holds(503, Content::Deleted), row(505, b"x")] {
            watch.apply(&[changes], &none, Timestamp::ZERO).unwrap();
        }
        let mut differs = |version, horizon| {
            watch.apply(&[row(version, b"y")], &none, Timestamp(horizon)).is_err()
        };
        assert!(differs(501, 0) && differs(501, 502), "the deletion has to be kept");
        assert!(!differs(501, 503) && !differs(501, 600));
        assert!(differs(503, 600) && differs(505, 600), "nothing is deleted behind it");
    }

    #[test]
    fn a_version_that_is_yet_to_come_is_seen() {
        let now = Now { wall_us: 500, mono_us: 0 };
        let record =
            |version| Tell::Record(Record { version: Timestamp(version), ..Record::default() });
        assert_eq!(Watch::told(now, false, &record(501)).unwrap_err().0, CLOCK);
        Watch::told(now, false, &record(500)).unwrap();
        Watch::told(now, true, &record(501)).unwrap();
        let written = Tell::Written(Written::Done { version: Timestamp(501), value: None });
        assert_eq!(Watch::told(now, false, &written).unwrap_err().0, CLOCK);
    }

    #[test]
    fn a_queue_above_its_limit_is_seen() {
        assert_eq!(Watch::bounds("wait", 11, 10).unwrap_err().0, BOUNDS);
        Watch::bounds("wait", 10, 10).unwrap();
    }
}
