//! One partition, as one of its replicas sees it.

use super::ceiling::Ceiling;
use super::coordinate::Coordination;
use super::copy::{Copying, Pins};
use super::intent::Intents;
use super::ledger::Ledger;
use super::pending::Pending;
use super::read_marks::ReadMarks;
use super::resolve::Ends;
use super::role::{Following, Role};
use super::tail::Tail;
use super::turns::{Lines, Queued};
use super::voters::Voters;
use super::waiting::Held;
use crate::state::{Mark, OpenTxn, State, StateError, Stored};
use catena_protocol::message::gossip::Part;
use catena_protocol::message::prepare::Unsettled;
use catena_protocol::message::replicate::Position;
use catena_protocol::placement::Member;
use catena_protocol::{JobId, Key, NodeId, Timestamp};
use std::collections::BTreeMap;

/// One partition.
#[derive(Clone, Debug)]
pub(super) struct Partition<C> {
    pub(super) number: u16,
    /// Where its replicas should be; the first should lead.
    pub(super) places: Vec<NodeId>,
    /// Which replica set that is.
    pub(super) set: usize,
    /// The highest epoch that is known here.
    pub(super) epoch: u64,
    /// Who got this node's vote in that epoch.
    pub(super) voted: Option<Member>,
    pub(super) role: Role,
    /// When a primary was last heard of, in monotonic microseconds.
    pub(super) heard_us: u64,
    pub(super) tail: Tail,
    /// Up to this index the log here is durable.
    pub(super) synced: u64,
    /// Index of the last record that was found in the log at the start; 0: none was.
    pub(super) logged: u64,
    /// Up to this index the state may contain records behind what it is known to have got to.
    pub(super) ahead: u64,
    /// At the start: index of the last record if it was passed over.
    pub(super) stale: Option<u64>,
    /// What the state contains, once all that was handed out is applied.
    pub(super) mark: Mark,
    /// What the state contains by now.
    pub(super) applied: Mark,
    pub(super) ceiling: Ceiling,
    /// The records behind what the state contains.
    pub(super) pending: Pending,
    pub(super) voters: Voters,
    /// Nothing commits any more at or below this that is not committed here.
    pub(super) closed: Timestamp,
    pub(super) held: Held<C>,
    /// Index of the last record whose rows only the state has: it was copied from where they were
    /// already. 0: there is none.
    pub(super) patched: u64,
    /// Writes of transactions that are not decided yet.
    pub(super) intents: Intents,
    /// Committed transactions of jobs whose home this is, until everybody has heard of them.
    pub(super) unsettled: Ledger<Unsettled>,
    /// As a primary: jobs that are being decided about here.
    pub(super) coordinations: BTreeMap<JobId, Coordination<C>>,
    /// As a primary: jobs that lost on a record here, and those of this home that wait for theirs.
    pub(super) lines: Lines,
    pub(super) queued: BTreeMap<JobId, Queued<C>>,
    /// As a primary: the ends of transactions.
    pub(super) ends: Ends,
    /// As a primary: what was read.
    pub(super) marks: ReadMarks,
    /// A copy of the state is being taken over.
    pub(super) copying: Option<Copying>,
    /// Who takes a copy from here.
    pub(super) pins: Pins,
}

impl<C> Partition<C> {
    pub(super) fn new(
        number: u16,
        places: Vec<NodeId>,
        set: usize,
        voters: Voters,
        mark: Mark,
    ) -> Self {
        Self {
            number,
            places,
            set,
            epoch: mark.applied.epoch,
            voted: None,
            role: Role::Absent,
            heard_us: 0,
            tail: Tail::new(mark.applied, mark.hash),
            synced: mark.applied.index,
            logged: 0,
            ahead: mark.ahead.unwrap_or(0),
            stale: None,
            ceiling: Ceiling::new(mark.ceiling),
            pending: Pending::new(mark.applied.index),
            voters,
            closed: Timestamp::ZERO,
            held: Held::new(),
            patched: 0,
            intents: Intents::new(),
            unsettled: Ledger::new(),
            coordinations: BTreeMap::new(),
            lines: Lines::default(),
            queued: BTreeMap::new(),
            ends: Ends::default(),
            marks: ReadMarks::default(),
            copying: mark.copying.then(|| Copying::new(mark.floor, true)),
            pins: Pins::new(),
            applied: mark.clone(),
            mark,
        }
    }

    /// The newest version of a record before `before`, committed or not: what a later record in
    /// the log builds upon.
    pub(super) fn head<S: State>(
        &self,
        key: &Key,
        state: &S,
    ) -> Result<Option<Stored>, StateError> {
        self.newest(self.pending.head(key), key, Timestamp::MAX, state)
    }

    /// The newest committed version of a record at or before `at`.
    pub(super) fn committed<S: State>(
        &self,
        key: &Key,
        at: Timestamp,
        state: &S,
    ) -> Result<Option<Stored>, StateError> {
        self.newest(self.pending.committed(key, at), key, at, state)
    }

    /// What is pending is newer than what the state has, unless the log here lacks rows that a
    /// copied state has.
    pub(super) fn newest<S: State>(
        &self,
        pending: Option<Stored>,
        key: &Key,
        at: Timestamp,
        state: &S,
    ) -> Result<Option<Stored>, StateError> {
        let patchy = self.pending.first_index().is_some_and(|first| first <= self.patched);
        if pending.is_some() && !patchy {
            return Ok(pending);
        }
        let applied = state.newest(self.number, key, at)?;
        Ok(applied.into_iter().chain(pending).max_by_key(|stored| stored.version))
    }

    /// The end of its log, as elections compare it. A replica that takes over a copy of the state
    /// stands for what it will have: a majority has that without it.
    pub(super) fn last(&self) -> Position {
        match &self.copying {
            Some(copying) => copying.floor.max(self.tail.last()),
            None => self.tail.last(),
        }
    }

    /// Who leads, as far as is known.
    pub(super) const fn primary(&self) -> Option<&Member> {
        match &self.role {
            Role::Follower(Following { primary, .. }) => primary.as_ref(),
            Role::Absent | Role::Candidate(_) | Role::Primary(_) | Role::Halted(_) => None,
        }
    }

    pub(super) fn part(&self, me: &Member) -> Part {
        match &self.role {
            Role::Primary(_) => Part::Primary,
            Role::Halted(_) => Part::Halted,
            _ if self.copying.is_some() => Part::Copying,
            _ if self.voters.now().contains(me) => Part::Voter,
            _ => Part::Learner,
        }
    }

    /// Whether its primary has records that are not here.
    pub(super) const fn lacks(&self) -> bool {
        match &self.role {
            Role::Follower(following) => following.matched < following.target,
            _ => false,
        }
    }

    /// Whether the state was taken over from elsewhere up to where it stands, so that the log need
    /// not reach there.
    pub(super) const fn is_copied(&self) -> bool {
        self.mark.applied.index <= self.mark.floor.index
    }

    /// What the state knows of transactions that have not ended; the log goes on from there.
    pub(super) fn load_txns<S: State>(&mut self, state: &S) -> Result<(), StateError> {
        self.intents = Intents::new();
        self.unsettled = Ledger::new();
        for open in state.open_txns(self.number)? {
            match open {
                OpenTxn::Intent(intent) => self.intents.log(self.mark.applied.index, intent),
                OpenTxn::Unsettled(unsettled) => {
                    self.unsettled.begin(unsettled.txn, self.mark.applied.index, unsettled);
                }
            }
        }
        Ok(())
    }

    /// Nothing of transactions behind `index` of the log counts.
    pub(super) fn truncate_txns(&mut self, index: u64) {
        self.intents.truncate(index);
        self.unsettled.truncate(index);
    }

    pub(super) const fn leads(&self) -> bool {
        matches!(self.role, Role::Primary(_))
    }

    /// Whether it leads and answers.
    pub(super) const fn serves(&self) -> bool {
        match &self.role {
            Role::Primary(leading) => self.pending.committed_index() >= leading.began,
            _ => false,
        }
    }

    /// When something is to be done without being asked.
    pub(super) const fn due_us(&self) -> Option<u64> {
        match &self.role {
            Role::Follower(following) => Some(following.due_us),
            Role::Candidate(campaign) => Some(campaign.due_us),
            Role::Absent | Role::Primary(_) | Role::Halted(_) => None,
        }
    }

    /// The chained hash up to `index`, if it is still known.
    pub(super) fn hash_at(&self, index: u64) -> Option<u64> {
        if index == self.mark.applied.index {
            return Some(self.mark.hash);
        }
        self.tail.hash_at(index)
    }
}
