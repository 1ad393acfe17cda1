//! A machine with a process that dies, stands still, and begins anew.

use crate::clock::Clock;
use catena_protocol::NodeId;
use catena_protocol::clock::Now;

/// A machine, and the process that runs there, if any.
pub(crate) struct Post<P> {
    pub(crate) id: NodeId,
    pub(crate) clock: Clock,
    pub(crate) boots: u64,
    pub(crate) life: Option<Life<P>>,
    pub(crate) paused_until_us: u64,
}

/// A process.
pub(crate) struct Life<P> {
    /// Tells it from those before it.
    pub(crate) boot: u64,
    pub(crate) since_us: u64,
    /// The wake-up that counts.
    pub(crate) alarm: u64,
    /// It takes nothing new.
    pub(crate) draining: bool,
    pub(crate) at: P,
}

impl<P> Post<P> {
    pub(crate) const fn new(id: NodeId, clock: Clock) -> Self {
        Self { id, clock, boots: 0, life: None, paused_until_us: 0 }
    }

    /// A process begins.
    pub(crate) fn begin(&mut self, at_us: u64, at: P) {
        self.boots += 1;
        let boot = self.boots;
        self.life = Some(Life { boot, since_us: at_us, alarm: 0, draining: false, at });
    }

    /// The process ends, whatever it was about to do.
    pub(crate) fn end(&mut self) {
        self.life = None;
        self.paused_until_us = 0;
    }

    /// What time it is for the process.
    pub(crate) fn now(&self, at_us: u64) -> Now {
        let since_us = self.life.as_ref().map_or(at_us, |life| life.since_us);
        self.clock.now(at_us, since_us)
    }

    /// Sets the wake-up of the process anew, for `due` says when by its clock. Returns in real time
    /// when that is, of which process, and which wake-up then counts.
    pub(crate) fn set_alarm(
        &mut self,
        at_us: u64,
        due: impl Fn(&P) -> Option<u64>,
    ) -> Option<(u64, u64, u64)> {
        let life = self.life.as_mut()?;
        life.alarm += 1;
        let (boot, alarm, due_us) = (life.boot, life.alarm, due(&life.at)?);
        Some((self.at(at_us, due_us), boot, alarm))
    }

    /// Real time at which the process will see `mono_us`, and not before the next moment.
    pub(crate) fn at(&self, at_us: u64, mono_us: u64) -> u64 {
        let since_us = self.life.as_ref().map_or(at_us, |life| life.since_us);
        self.clock.at(at_us, since_us, mono_us).max(at_us + 1)
    }
}
