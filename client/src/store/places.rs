//! Where requests go and where answers come from, as subjects.

use crate::machine::Target;
use crate::machine::router::TURNS;
use async_nats::Subject;
use catena_link::Link;
use catena_protocol::NodeId;

pub(super) const CLUSTER: &str = "cluster";

/// Where answers come from, by the subject of the inbox at which they arrive:
/// `<inbox>.cluster`, `<inbox>.<turn>.node.<id>`, `<inbox>.<turn>.primary.<partition>` or
/// `<inbox>.<turn>.replica.<partition>`.
pub(super) enum Place {
    Cluster,
    Target(Target, u64),
}

/// Subjects of the targets that are in use.
pub(super) struct Places {
    pub(super) inbox: String,
    pub(super) known: Vec<KnownPlace>,
}

pub(super) struct KnownPlace {
    to: Target,
    subject: Subject,
    turn: u64,
    reply: Subject,
}

/// Subjects are remembered for so many targets.
const PLACES: usize = 256;

impl Places {
    pub(super) fn subjects(&mut self, link: &Link, to: &Target, turn: u64) -> (&Subject, &Subject) {
        let at = match self.known.iter().position(|known| known.to == *to) {
            Some(at) => at,
            None => self.add(link, to),
        };
        let known = &mut self.known[at];
        if known.turn != turn {
            known.turn = turn;
            known.reply = reply(&self.inbox, to, turn);
        }
        (&known.subject, &known.reply)
    }

    fn add(&mut self, link: &Link, to: &Target) -> usize {
        if self.known.len() >= PLACES {
            self.known.clear();
        }
        let subject = match to {
            Target::Node(node) => link.subjects.node(node),
            Target::Primary(partition) => link.subjects.primary(*partition),
            Target::Replica(partition) => link.subjects.replica(*partition),
        };
        let reply = reply(&self.inbox, to, TURNS);
        self.known.push(KnownPlace { to: to.clone(), subject: subject.into(), turn: TURNS, reply });
        self.known.len() - 1
    }

    pub(super) fn place(&self, subject: &Subject) -> Option<Place> {
        let rest = subject.strip_prefix(self.inbox.as_str())?.strip_prefix('.')?;
        if rest == CLUSTER {
            return Some(Place::Cluster);
        }
        let (turn, rest) = rest.split_once('.')?;
        let to = match rest.split_once('.')? {
            ("node", id) => Target::Node(NodeId::new(id).ok()?),
            ("primary", partition) => Target::Primary(partition.parse().ok()?),
            ("replica", partition) => Target::Replica(partition.parse().ok()?),
            _ => return None,
        };
        Some(Place::Target(to, turn.parse().ok()?))
    }
}

fn reply(inbox: &str, to: &Target, turn: u64) -> Subject {
    match to {
        Target::Node(node) => format!("{inbox}.{turn}.node.{node}"),
        Target::Primary(partition) => format!("{inbox}.{turn}.primary.{partition}"),
        Target::Replica(partition) => format!("{inbox}.{turn}.replica.{partition}"),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_where_it_comes_from() {
        let places = Places { inbox: "_INBOX.abc".into(), known: Vec::new() };
        for to in [Target::Node(NodeId::new("s1").unwrap()), Target::Primary(7), Target::Replica(9)]
        {
            let subject = reply(&places.inbox, &to, 5);
            assert!(matches!(places.place(&subject), Some(Place::Target(at, 5)) if at == to));
        }
        for foreign in ["_INBOX.abc", "_INBOX.abcd.1.node.x", "_INBOX.abc.1.node", "x"] {
            assert!(places.place(&Subject::from(foreign)).is_none(), "{foreign}");
        }
    }
}
