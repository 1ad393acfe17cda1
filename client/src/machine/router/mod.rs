//! Brings requests to the primary of their partition and their answers back.
//!
//! ```text
//! Input::Ask ------> Effect::Send ----> (a storage node, or whoever leads the partition)
//!                    Effect::Answer <-- Input::Told
//!                    Effect::Send   <-- Input::Told(NotPrimary), Input::Refused, silence
//! ```
//!
//! Promise: each `Ask` gets exactly one `Answer`, at the latest a tick after its deadline. What
//! is sent again is the same request, so that storage nodes recognise it. An error says whether
//! the store may have changed.
//!
//! The router keeps each request until it is answered; `Send` names it and
//! [`Router::request`] shows it, so that nothing is copied to be sent.

mod refusal;
mod reroute;
mod size;

use super::pace::Pace;
use super::route::{Routes, Target};
use super::slots::{Place, Slots};
use super::wheel::Wheel;
use catena_protocol::clock::Now;
use catena_protocol::message::heartbeat::Heartbeat;
use catena_protocol::message::store::{Ask, Request, Response, Tell};
use catena_protocol::{Code, Fault};
use refusal::{no_primary, silent, too_busy, undecided};

/// Limits and delays of a router.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most requests open at once; more are refused with 429. At most
    /// [`MOST`](crate::machine::slots::MOST).
    pub open: usize,
    /// Most bytes of keys and values in open requests; more are refused with 429.
    pub bytes: usize,
    /// Longest request in bytes, below the server's `max_payload`; longer ones are refused
    /// with 413.
    pub request_bytes: usize,
    /// A request that got no answer for so many milliseconds is sent again, then after twice as
    /// long, and so on up to `silence_most_ms`. Too small: primaries that are merely busy get
    /// everything twice.
    pub silence_ms: u64,
    /// See `silence_ms`.
    pub silence_most_ms: u64,
    /// A request that was turned away (no primary, not the primary) waits so many milliseconds,
    /// then twice as long, and so on up to `refused_most_ms`.
    pub refused_ms: u64,
    /// See `refused_ms`.
    pub refused_most_ms: u64,
    /// A partition that nobody has led for so many milliseconds has lost its majority: its
    /// requests are answered with 503 instead of waiting for their deadline. Too small: an
    /// ordinary election (1.5 s at most) becomes an error.
    pub vacant_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            open: 65_536,
            bytes: 256 * 1024 * 1024,
            request_bytes: 1024 * 1024 - catena_protocol::limit::MESSAGE_MARGIN,
            silence_ms: 250,
            silence_most_ms: 2_000,
            refused_ms: 20,
            refused_most_ms: 500,
            vacant_ms: 2_000,
        }
    }
}

/// What a router is told. `C` is the asker's own name for the request.
#[derive(Debug)]
pub enum Input<C> {
    /// Somebody wants to know or to change something.
    Ask {
        /// Comes back with the answer.
        caller: C,
        /// Whose primary is asked.
        partition: u16,
        /// What is asked.
        ask: Ask,
        /// When to give up, in monotonic microseconds.
        deadline_us: u64,
        /// Wait for a primary until then, even if there is none for longer than
        /// [`Settings::vacant_ms`].
        patient: bool,
    },
    /// A storage node answered.
    Told(Response),
    /// A service lives. Only storage nodes matter here.
    Alive(Heartbeat),
    /// Nobody listens where requests were sent; see [`Effect::Send`] for `turn`.
    Refused {
        /// Where.
        to: Target,
        /// In which turn they were sent.
        turn: u64,
    },
    /// The number of partitions, from `catena.cluster`.
    Partitions(u16),
    /// Time has passed: due when [`Router::next_deadline`] says so.
    Tick,
}

/// What a router wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<C> {
    /// Send this request.
    Send {
        /// Where.
        to: Target,
        /// Which: see [`Router::request`].
        id: u64,
        /// Counts the times that `handle` began with an empty list of
        /// effects. Everything for one target in one turn may go out as one message; if the
        /// server says that nobody listens there, [`Input::Refused`] names both.
        turn: u64,
    },
    /// The answer to an `Ask`. Never [`Tell::NotPrimary`], [`Tell::Deposed`],
    /// [`Tell::Behind`] nor [`Tell::Fault`], nor [`Decided::Busy`].
    ///
    /// [`Decided::Busy`]: catena_protocol::message::commit::Decided::Busy
    Answer {
        /// Whose.
        caller: C,
        /// What was told, or why nothing was.
        result: Result<Tell, Fault>,
    },
}

/// A request goes on at once to another node this often, then it waits first.
const REDIRECTS: u32 = 3;

/// Routes requests. Not shared: its owner calls it from one place.
#[derive(Debug)]
pub struct Router<C> {
    settings: Settings,
    open: Slots<Open<C>>,
    bytes: usize,
    routes: Routes,
    timers: Wheel<Place>,
    pace: Pace,
    turn: u64,
    redirected: u64,
}

#[derive(Debug)]
struct Open<C> {
    request: Request,
    caller: C,
    size: usize,
    deadline_us: u64,
    patient: bool,
    sent_us: u64,
    due_us: u64,
    /// Where the last try went, unless it was turned away.
    waits_for: Option<(Target, u64)>,
    /// How often it was sent without an answer.
    silences: u32,
    /// How often it was turned away.
    refusals: u32,
    /// Another attempt of the same job was being decided about when it was last asked.
    busy: bool,
}

impl<C> Open<C> {
    fn new(caller: C, request: Request, deadline_us: u64, patient: bool) -> Self {
        Self {
            size: size::bytes(&request.ask),
            request,
            caller,
            deadline_us,
            patient,
            sent_us: 0,
            due_us: 0,
            waits_for: None,
            silences: 0,
            refusals: 0,
            busy: false,
        }
    }

    /// Whether an earlier try may have arrived although nobody answered it.
    const fn may_have_arrived(&self) -> bool {
        self.silences > 0
    }

    /// Whoever listens as primary was asked: around an election that may be several, and one that
    /// turns the request away says nothing about the others.
    const fn count_others(&mut self) {
        if matches!(self.waits_for, Some((Target::Primary(_), _))) {
            self.silences += 1;
        }
    }
}

impl<C> Router<C> {
    /// A router that knows nothing yet. `seed` should differ between processes.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            open: Slots::new(settings.open),
            settings,
            bytes: 0,
            routes: Routes::default(),
            timers: Wheel::default(),
            pace: Pace::new(seed),
            turn: 0,
            redirected: 0,
        }
    }

    /// Takes one input; pushes what follows from it. Drain `out` before the next turn.
    pub fn handle(&mut self, now: Now, input: Input<C>, out: &mut Vec<Effect<C>>) {
        if out.is_empty() {
            self.turn += 1;
        }
        match input {
            Input::Ask { caller, partition, ask, deadline_us, patient } => {
                let request = Request { id: 0, partition, ask };
                let open = Open::new(caller, request, deadline_us, patient);
                self.ask(now, open, out);
            }
            Input::Told(response) => self.told(now, response, out),
            Input::Alive(heartbeat) => self.alive(now, &heartbeat, out),
            Input::Refused { to, turn } => self.refused(now, &to, turn, out),
            Input::Partitions(partitions) => self.routes.learn(partitions),
            Input::Tick => self.tick(now, out),
        }
    }

    /// When to send [`Input::Tick`], in monotonic microseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next_us()
    }

    /// The open request that [`Effect::Send`] named; none: it has been answered since.
    pub fn request(&self, id: u64) -> Option<&Request> {
        let (place, _) = self.open.find(id)?;
        self.open.get(place).map(|open| &open.request)
    }

    /// Number of partitions of the cluster, once known.
    pub const fn partitions(&self) -> Option<u16> {
        self.routes.partitions()
    }

    /// Requests without an answer.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Reads that a replica could not answer and that went on to the primary.
    pub const fn redirected(&self) -> u64 {
        self.redirected
    }

    /// Whether another request would be refused.
    pub fn is_full(&self) -> bool {
        self.open.is_full()
    }

    fn ask(&mut self, now: Now, open: Open<C>, out: &mut Vec<Effect<C>>) {
        let size = open.size;
        if let Some(fault) = self.admit(now, size, open.deadline_us) {
            out.push(Effect::Answer { caller: open.caller, result: Err(fault) });
            return;
        }
        match self.open.insert(open) {
            Ok(place) => {
                self.bytes += size;
                self.send(now, place, out);
            }
            Err(open) => {
                let result = Err(too_busy(&self.settings));
                out.push(Effect::Answer { caller: open.caller, result });
            }
        }
    }

    fn admit(&self, now: Now, size: usize, deadline_us: u64) -> Option<Fault> {
        if size > self.settings.request_bytes {
            let most = self.settings.request_bytes;
            return Some(Fault::new(
                Code::TooLarge,
                format!(
                    "the request has {size} bytes; at most {most} are allowed; nothing was changed"
                ),
            ));
        }
        if now.mono_us >= deadline_us {
            return Some(Fault::new(
                Code::Deadline,
                "the time was up before the store was asked; nothing was changed",
            ));
        }
        let full = self.open.is_full() || self.bytes + size > self.settings.bytes;
        full.then(|| too_busy(&self.settings))
    }

    fn send(&mut self, now: Now, place: Place, out: &mut Vec<Effect<C>>) {
        let id = self.open.number(place);
        let Some(open) = self.open.get(place) else { return };
        let to = self.target(open);
        self.send_to(now, place, id, to, out);
    }

    /// Where a request goes next: to where its partition is led, as far as known. After a silence
    /// the known leader is not trusted: whoever listens as primary gets it. A read at a snapshot
    /// then goes to any replica, too, and also where nobody is known to lead.
    fn target(&self, open: &Open<C>) -> Target {
        let partition = open.request.partition;
        let past = size::at_snapshot(&open.request.ask);
        let silent = open.waits_for.is_some();
        let replica = if silent {
            open.silences.is_multiple_of(2)
        } else {
            !open.refusals.is_multiple_of(2) && self.routes.leader(partition).is_none()
        };
        match () {
            () if past && replica => Target::Replica(partition),
            () if silent => Target::Primary(partition),
            () => self.routes.target(partition),
        }
    }

    fn send_to(&mut self, now: Now, place: Place, id: u64, to: Target, out: &mut Vec<Effect<C>>) {
        let Some(open) = self.open.get_mut(place) else { return };
        if open.waits_for.is_some() {
            open.silences += 1;
        }
        open.request.id = id;
        open.busy = false;
        open.waits_for = Some((to.clone(), self.turn));
        let delay = self.pace.delay_us(
            self.settings.silence_ms,
            self.settings.silence_most_ms,
            open.silences,
        );
        open.sent_us = now.mono_us;
        self.set_due(now, place, delay);
        out.push(Effect::Send { to, id, turn: self.turn });
    }

    /// Not sent, or not heard: tried again later.
    fn wait(&mut self, now: Now, place: Place) {
        let Some(open) = self.open.get_mut(place) else { return };
        open.waits_for = None;
        let (first, most) = (self.settings.refused_ms, self.settings.refused_most_ms);
        let delay = self.pace.delay_us(first, most, open.refusals.saturating_sub(1));
        self.set_due(now, place, delay);
    }

    /// Looks at a request again after a delay; earlier when its partition will have been vacant
    /// for too long, or the deadline comes.
    fn set_due(&mut self, now: Now, place: Place, delay_us: u64) {
        let vacant_us = self.settings.vacant_ms * 1000;
        let Some(open) = self.open.get_mut(place) else { return };
        let mut due_us = now.mono_us + delay_us;
        if let Some(since_us) = self.routes.vacant_us(open.request.partition)
            && since_us + vacant_us > now.mono_us
        {
            due_us = due_us.min(since_us + vacant_us);
        }
        open.due_us = due_us.min(open.deadline_us);
        let due_us = open.due_us;
        self.set_timer(due_us, place);
    }

    /// Timers of finished requests stay until they fire; when they are many they are dropped.
    fn set_timer(&mut self, due_us: u64, place: Place) {
        if self.timers.len() > 4 * self.settings.open + 1024 {
            self.timers.clear();
            for (place, open) in self.open.iter_mut() {
                self.timers.set(open.due_us, place);
            }
        }
        self.timers.set(due_us, place);
    }

    fn tick(&mut self, now: Now, out: &mut Vec<Effect<C>>) {
        while let Some(due) = self.timers.take_due(now.mono_us) {
            for place in due {
                match self.open.get(place) {
                    Some(open) if open.due_us > now.mono_us => {}
                    Some(open) if open.deadline_us <= now.mono_us => {
                        let fault = self.too_late(open);
                        self.answer(place, Err(fault), out);
                    }
                    // Who was turned away is asked once more: somebody may lead by now.
                    Some(open) => match open.waits_for.clone() {
                        Some((asked, _)) if self.is_vacant(now, open, &asked) => {
                            let fault = no_primary(open);
                            self.answer(place, Err(fault), out);
                        }
                        _ => self.send(now, place, out),
                    },
                    None => {}
                }
            }
        }
    }

    /// Whether a request came to where its partition should be led, or to a replica if that is
    /// enough, and nobody has led there for longer than an election takes.
    fn is_vacant(&self, now: Now, open: &Open<C>, asked: &Target) -> bool {
        let last_resort = match asked {
            Target::Node(_) => false,
            Target::Primary(_) => !size::at_snapshot(&open.request.ask),
            Target::Replica(_) => true,
        };
        let long_us = self.settings.vacant_ms * 1000;
        let since_us = self.routes.vacant_us(open.request.partition);
        !open.patient
            && last_resort
            && since_us.is_some_and(|since_us| since_us + long_us <= now.mono_us)
    }

    fn too_late(&self, open: &Open<C>) -> Fault {
        if open.busy {
            return undecided(open);
        }
        let vacant = self.routes.vacant_us(open.request.partition).is_some();
        if open.waits_for.is_none() && (vacant || !open.may_have_arrived()) {
            return no_primary(open);
        }
        silent(open)
    }

    fn answer(&mut self, place: Place, result: Result<Tell, Fault>, out: &mut Vec<Effect<C>>) {
        if let Some(open) = self.open.remove(place) {
            self.bytes -= open.size;
            out.push(Effect::Answer { caller: open.caller, result });
        }
    }
}
