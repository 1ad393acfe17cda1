//! What can be seen of a node from outside: for status, and for those who check its rules.

use super::Node;
use super::role::Role;
use catena_protocol::Timestamp;
use catena_protocol::message::gossip::Part;
use catena_protocol::message::replicate::Position;
use catena_protocol::placement::Member;

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Of which partition.
    pub partition: u16,
    /// What it is.
    pub part: Part,
    /// The highest epoch that it knows.
    pub epoch: u64,
    /// Whether it leads and answers.
    pub serves: bool,
    /// Whether it has stopped because it differs from its primary.
    pub halted: bool,
    /// Who leads, as far as it knows.
    pub primary: Option<Member>,
    /// The end of its log.
    pub last: Position,
    /// Up to this index it knows the log to be committed.
    pub commit: u64,
    /// The chained hash up to there; none: not known at the moment.
    pub hash: Option<u64>,
    /// It answers reads at snapshots up to here.
    pub closed: Timestamp,
    /// Transactions that have not ended: intents, and what not everybody has heard of.
    pub open_txns: usize,
    /// Who has a vote.
    pub voters: Vec<Member>,
    /// Whether that is committed, as far as it knows.
    pub voters_settled: bool,
}

impl<C> Node<C> {
    /// The replicas that this node has.
    pub fn views(&self) -> impl Iterator<Item = View> + '_ {
        let here = self.partitions.iter().filter(|p| !matches!(p.role, Role::Absent));
        here.map(|partition| {
            let commit = partition.pending.committed_index();
            let copying = partition.copying.is_some();
            View {
                partition: partition.number,
                part: partition.part(&self.settings.me),
                epoch: partition.epoch,
                serves: partition.serves(),
                halted: matches!(partition.role, Role::Halted(_)),
                primary: match &partition.role {
                    Role::Primary(_) => Some(self.settings.me.clone()),
                    _ => partition.primary().cloned(),
                },
                last: partition.tail.last(),
                commit,
                hash: partition.hash_at(commit).filter(|_| !copying),
                closed: partition.closed,
                open_txns: partition.intents.len() + partition.unsettled.len(),
                voters: partition.voters.now().to_vec(),
                voters_settled: !partition.voters.is_changing(commit),
            }
        })
    }

    /// The end of a partition's log as far as it is kept here: each record with the chained hash of
    /// the log up to it.
    pub fn log(&self, partition: u16) -> impl Iterator<Item = (Position, u64)> + '_ {
        let partition = self.partitions.get(usize::from(partition));
        partition.into_iter().flat_map(|partition| partition.tail.positions())
    }

    /// Why a replica has stopped, if it has.
    pub fn halted(&self, partition: u16) -> Option<&str> {
        match &self.partitions.get(usize::from(partition))?.role {
            Role::Halted(why) => Some(why),
            _ => None,
        }
    }
}
