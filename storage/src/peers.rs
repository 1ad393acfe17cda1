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
            for lines in letters(lines) {
                self.letter(link, &to, lines);
            }
        }
        for (subject, body) in self.ready.drain(..) {
            if let Err(error) = link.client.publish(subject, body).await {
                tracing::warn!(%error, "other storage nodes could not be told; they will ask");
            }
        }
    }
}

/// A letter holds about so many bytes at most, unless one line alone has more: half of what the
/// broker takes by default.
const LETTER_BYTES: usize = 512 * 1024;
/// What a line takes besides what jobs read and write, roughly.
const LINE_BYTES: usize = 128;

/// Lines put together into letters.
fn letters(lines: Vec<Line>) -> Vec<Vec<Line>> {
    let mut letters: Vec<Vec<Line>> = Vec::new();
    let mut room = 0;
    for line in lines {
        let bytes = bytes(&line);
        match letters.last_mut() {
            Some(last) if bytes <= room => last.push(line),
            _ => {
                letters.push(vec![line]);
                room = LETTER_BYTES;
            }
        }
        room = room.saturating_sub(bytes);
    }
    letters
}

fn bytes(line: &Line) -> usize {
    let Line::Prepare(prepare) = line else { return LINE_BYTES };
    let effects = &prepare.effects;
    let read = effects.reads.iter().chain(&effects.scans);
    LINE_BYTES + effects.write_bytes() + read.map(|key| key.as_str().len() + 4).sum::<usize>()
}
