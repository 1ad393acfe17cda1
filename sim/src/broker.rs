//! The broker: who hears what, and when.
//!
//! Between two parties messages keep their order, like on one connection; everything else may
//! overtake. A party that is cut off keeps what it wants to send for the time when it is connected
//! again: such frames arrive late, all at once.
//!
//! What nodes send may arrive twice. What clients ask comes twice only when they ask twice: core
//! NATS delivers at most once, and "nothing was changed" is said of a request, not of its shadow.

use crate::plan::Network;
use crate::platform::Dispatch;
use catena_client::machine::Target;
use catena_protocol::message::gossip::{Digest, Letter, Push};
use catena_protocol::message::heartbeat::Heartbeat;
use catena_protocol::message::store::{Request, Response};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Who sends and receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Node(usize),
    Client(u64),
    Scheduler(usize),
    Worker(usize),
    /// The durable queue, which lives with the broker.
    Queue,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(number) => write!(f, "s{number}"),
            Self::Client(number) => write!(f, "c{number}"),
            Self::Scheduler(number) => write!(f, "d{number}"),
            Self::Worker(number) => write!(f, "w{number}"),
            Self::Queue => f.write_str("queue"),
        }
    }
}

/// Where answers go: a process, and no later one at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Inbox {
    pub(crate) of: Party,
    pub(crate) boot: u64,
}

impl Inbox {
    /// A client is never started again.
    pub(crate) const fn client(number: u64) -> Self {
        Self { of: Party::Client(number), boot: 0 }
    }
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Push(Push),
    Digest(Digest),
    Letter(Letter),
    Request {
        from: Inbox,
        request: Box<Request>,
    },
    Response {
        boot: u64,
        response: Box<Response>,
    },
    Heartbeat(Box<Heartbeat>),
    Nobody {
        boot: u64,
        to: Target,
        turn: u64,
    },
    /// Of jobs on their way through the platform.
    Dispatch(Box<Dispatch>),
}

/// The state of one party's connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// It does not hear.
    pub(crate) cut_in: bool,
    /// It is not heard; what it sends waits.
    pub(crate) cut_out: bool,
    /// Of a million messages so many are dropped before it takes them.
    pub(crate) overrun_ppm: u32,
    waiting: Vec<(Party, Message)>,
}

/// Most frames that a connection keeps while it is cut.
const WAITING: usize = 1_000;

/// The broker.
#[derive(Debug)]
pub(crate) struct Broker {
    network: Network,
    lines: BTreeMap<Party, Line>,
    last: BTreeMap<(Party, Party), u64>,
    /// From whom to whom nothing gets through, although both are connected: servers of the broker
    /// have lost each other.
    severed: BTreeSet<(Party, Party)>,
    pub(crate) healed: bool,
}

/// What becomes of a message.
pub(crate) enum Fate {
    Arrives(u64),
    ArrivesTwice(u64, u64),
    Lost,
    Waits,
}

impl Broker {
    pub(crate) fn new(network: Network) -> Self {
        Self {
            network,
            lines: BTreeMap::new(),
            last: BTreeMap::new(),
            severed: BTreeSet::new(),
            healed: false,
        }
    }

    pub(crate) fn line(&mut self, of: Party) -> &mut Line {
        self.lines.entry(of).or_default()
    }

    /// What becomes of a message that is sent now.
    pub(crate) fn send(
        &mut self,
        rng: &mut StdRng,
        now_us: u64,
        from: Party,
        to: Party,
        message: &Message,
    ) -> Fate {
        let line = self.lines.entry(from).or_default();
        if line.cut_out {
            if line.waiting.len() >= WAITING {
                return Fate::Lost;
            }
            line.waiting.push((to, message.clone()));
            return Fate::Waits;
        }
        self.carry(rng, now_us, from, to)
    }

    fn carry(&mut self, rng: &mut StdRng, now_us: u64, from: Party, to: Party) -> Fate {
        let receiver = self.lines.entry(to).or_default();
        let overrun = receiver.overrun_ppm > 0 && rng.random_ratio(receiver.overrun_ppm, 1_000_000);
        let lost = !self.healed && self.chance(rng, self.network.lost_ppm);
        let severed = self.severed.contains(&(from, to));
        if self.lines.get(&to).is_some_and(|line| line.cut_in) || overrun || lost || severed {
            return Fate::Lost;
        }
        let first = self.arrival(rng, now_us, from, to);
        let may_repeat = matches!((from, to), (Party::Node(_), _));
        if may_repeat && !self.healed && self.chance(rng, self.network.twice_ppm) {
            let second = first + rng.random_range(1..1_000_000);
            return Fate::ArrivesTwice(first, second);
        }
        Fate::Arrives(first)
    }

    fn chance(&self, rng: &mut StdRng, ppm: u32) -> bool {
        ppm > 0 && rng.random_ratio(ppm, 1_000_000)
    }

    fn arrival(&mut self, rng: &mut StdRng, now_us: u64, from: Party, to: Party) -> u64 {
        let (least, most) = self.network.latency_us;
        let mut takes = rng.random_range(least..most);
        if !self.healed && self.chance(rng, self.network.slow_ppm) {
            takes += rng.random_range(0..self.network.slow_us);
        }
        let last = self.last.entry((from, to)).or_default();
        *last = (now_us + takes).max(*last + 1);
        *last
    }

    /// A party is connected again: what it kept is sent now.
    pub(crate) fn reconnect(&mut self, of: Party) -> Vec<(Party, Message)> {
        let line = self.lines.entry(of).or_default();
        line.cut_in = false;
        line.cut_out = false;
        std::mem::take(&mut line.waiting)
    }

    /// Nothing gets through from one to the other.
    pub(crate) fn sever(&mut self, from: Party, to: Party) {
        self.severed.insert((from, to));
    }

    /// The servers of the broker have found each other again.
    pub(crate) fn join(&mut self) {
        self.severed.clear();
    }

    /// A process is gone, and what it kept with it.
    pub(crate) fn forget(&mut self, of: Party) {
        self.lines.entry(of).or_default().waiting.clear();
    }
}
