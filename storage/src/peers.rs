//! What goes to other storage nodes: gathered during a turn, sent in order.

use crate::intake::set_subject;
use async_nats::Subject;
use bytes::Bytes;
use catena_link::Link;
use catena_protocol::NodeId;
use catena_protocol::codec::encode;
use catena_protocol::message::gossip::{Digest, Letter, Line, Push, Sender};
use catena_protocol::placement::Member;
use std::collections::BTreeMap;

/// Messages to other storage nodes.
pub(crate) struct Peers {
    from: Sender,
    gossip: Subject,
    sets: Vec<Subject>,
    ready: Vec<(Subject, Bytes)>,
    lines: BTreeMap<NodeId, Vec<Line>>,
}

impl Peers {
    pub(crate) fn new(link: &Link, me: Member, boot: u64, sets: &[Vec<NodeId>]) -> Self {
        Self {
            from: Sender { member: me, boot, beat: 0 },
            gossip: link.subjects.gossip().into(),
            sets: sets.iter().map(|set| set_subject(link, set).into()).collect(),
            ready: Vec::new(),
            lines: BTreeMap::new(),
        }
    }

    /// Who this node is.
    pub(crate) const fn me(&self) -> &Member {
        &self.from.member
    }

    pub(crate) fn gossip(&mut self, digest: &Digest) {
        self.ready.push((self.gossip.clone(), encode(digest).into()));
    }

    pub(crate) fn push(&mut self, set: usize, push: &Push) {
        if let Some(subject) = self.sets.get(set) {
            self.ready.push((subject.clone(), encode(push).into()));
        }
    }

    /// Small lines for one node go together, large ones alone.
    pub(crate) fn send(&mut self, link: &Link, to: NodeId, line: Line) {
        if matches!(line, Line::Fetched(_) | Line::Piece(_)) {
            self.letter(link, &to, vec![line]);
        } else {
            self.lines.entry(to).or_default().push(line);
        }
    }

    fn letter(&mut self, link: &Link, to: &NodeId, lines: Vec<Line>) {
        let letter = Letter { from: self.from.clone(), lines };
        self.ready.push((link.subjects.peer(to).into(), encode(&letter).into()));
    }

    /// Hands everything to the connection. Waits while that is behind.
    pub(crate) async fn flush(&mut self, link: &Link) {
        for (to, lines) in std::mem::take(&mut self.lines) {
            self.letter(link, &to, lines);
        }
        for (subject, body) in self.ready.drain(..) {
            if let Err(error) = link.client.publish(subject, body).await {
                tracing::warn!(%error, "other storage nodes could not be told; they will ask");
            }
        }
    }
}
