//! Where requests go and where answers come from, as subjects.

use crate::machine::Target;
use async_nats::Subject;
use catena_link::Link;
use catena_protocol::NodeId;

pub(super) const CLUSTER: &str = "cluster";

/// Where answers come from, by the subject of the inbox at which they arrive:
/// `<inbox>.cluster`, `<inbox>.node.<id>.turn`, `<inbox>.primary.<partition>.turn` or
/// `<inbox>.replica.<partition>.turn`. Where the server itself answers, because nobody is there,
/// the number of the turn stands behind that.
pub(super) enum Place {
    Cluster,
    Target(Target, Option<u64>),
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
        let reply = reply(&self.inbox, to, 0);
        self.known.push(KnownPlace { to: to.clone(), subject: subject.into(), turn: 0, reply });
        self.known.len() - 1
    }

    pub(super) fn place(&self, subject: &Subject) -> Option<Place> {
        let rest = subject.strip_prefix(self.inbox.as_str())?.strip_prefix('.')?;
        if rest == CLUSTER {
            return Some(Place::Cluster);
        }
        let (target, turn) = rest.split_once(".turn")?;
        let turn = match turn.strip_prefix('.') {
            Some(turn) => Some(turn.parse().ok()?),
            None if turn.is_empty() => None,
            None => return None,
        };
        let to = match target.split_once('.')? {
            ("node", id) => Target::Node(NodeId::new(id).ok()?),
            ("primary", partition) => Target::Primary(partition.parse().ok()?),
            ("replica", partition) => Target::Replica(partition.parse().ok()?),
            _ => return None,
        };
        Some(Place::Target(to, turn))
    }
}

fn reply(inbox: &str, to: &Target, turn: u64) -> Subject {
    match to {
        Target::Node(node) => format!("{inbox}.node.{node}.turn.{turn}"),
        Target::Primary(partition) => format!("{inbox}.primary.{partition}.turn.{turn}"),
        Target::Replica(partition) => format!("{inbox}.replica.{partition}.turn.{turn}"),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use catena_protocol::subject::answers_to;

    #[test]
    fn an_answer_tells_where_it_comes_from() {
        let places = Places { inbox: "_INBOX.abc".into(), known: Vec::new() };
        for to in [Target::Node(NodeId::new("s1").unwrap()), Target::Primary(7), Target::Replica(9)]
        {
            let subject = reply(&places.inbox, &to, 5);
            assert!(matches!(places.place(&subject), Some(Place::Target(at, Some(5))) if at == to));
            let answers = Subject::from(answers_to(&subject));
            assert!(matches!(places.place(&answers), Some(Place::Target(at, None)) if at == to));
        }
        let foreign = ["_INBOX.abc", "_INBOX.abcd.node.x.turn", "_INBOX.abc.node.turn", "x"];
        for foreign in foreign.into_iter().chain(["_INBOX.abc.node.x.turns", "_INBOX.abc.node.x"]) {
            assert!(places.place(&Subject::from(foreign)).is_none(), "{foreign}");
        }
    }
}
