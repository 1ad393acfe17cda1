//! What can go wrong, by name.

use catena_protocol::subject::Role;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Storage nodes get SIGKILL and start again with their data.
    Kill,
    /// Storage nodes get SIGSTOP, later SIGCONT: they wake up and do not know what they missed.
    Stop,
    /// A node gets SIGTERM, must end well, and starts again.
    Term,
    /// Nothing gets to or from nodes.
    Cut,
    /// Nothing gets to nodes, but they are heard.
    Deaf,
    /// Nothing gets out of nodes, but they hear.
    Mute,
    /// A node's connection is closed.
    Reset,
    /// What goes to and from a node takes longer.
    Slow,
    /// The NATS server gets SIGKILL and starts again.
    NatsKill,
    /// The NATS server gets SIGSTOP, later SIGCONT.
    NatsStop,
    /// A node's disk is full: it must end by itself. It starts again when there is room.
    DiskFull,
    /// A sync of a node fails: it must end by itself. It starts again on a disk that works.
    SyncFails,
    /// A node's disk is gone: it starts again with an empty one.
    Wipe,
    /// Workers get SIGKILL and start again.
    WorkerKill,
    /// Workers get SIGSTOP, later SIGCONT: they go on with jobs that others run by then.
    WorkerStop,
    /// Nothing gets to or from workers.
    WorkerCut,
    /// Schedulers get SIGKILL and start again.
    SchedulerKill,
    /// Schedulers get SIGSTOP, later SIGCONT.
    SchedulerStop,
    /// Nothing gets to or from schedulers.
    SchedulerCut,
    /// All services get SIGKILL at once and start again.
    KillAll,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Kill,
        Self::Stop,
        Self::Term,
        Self::Cut,
        Self::Deaf,
        Self::Mute,
        Self::Reset,
        Self::Slow,
        Self::NatsKill,
        Self::NatsStop,
        Self::DiskFull,
        Self::SyncFails,
        Self::Wipe,
        Self::WorkerKill,
        Self::WorkerStop,
        Self::WorkerCut,
        Self::SchedulerKill,
        Self::SchedulerStop,
        Self::SchedulerCut,
        Self::KillAll,
    ];

    /// Its name, as options and reports have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Term => "term",
            Self::Cut => "cut",
            Self::Deaf => "deaf",
            Self::Mute => "mute",
            Self::Reset => "reset",
            Self::Slow => "slow",
            Self::NatsKill => "nats-kill",
            Self::NatsStop => "nats-stop",
            Self::DiskFull => "disk-full",
            Self::SyncFails => "sync-fails",
            Self::Wipe => "wipe",
            Self::WorkerKill => "worker-kill",
            Self::WorkerStop => "worker-stop",
            Self::WorkerCut => "worker-cut",
            Self::SchedulerKill => "scheduler-kill",
            Self::SchedulerStop => "scheduler-stop",
            Self::SchedulerCut => "scheduler-cut",
            Self::KillAll => "kill-all",
        }
    }

    /// How long it lasts before it is healed, in milliseconds.
    pub(crate) const fn lasts_ms(self) -> Range<u64> {
        match self {
            Self::Kill | Self::WorkerKill | Self::SchedulerKill => 100..3_000,
            Self::Stop | Self::WorkerStop | Self::SchedulerStop => 200..5_000,
            Self::Cut | Self::Deaf | Self::Mute | Self::WorkerCut | Self::SchedulerCut => {
                500..6_000
            }
            Self::Slow | Self::NatsStop => 500..3_000,
            Self::NatsKill => 100..1_500,
            Self::DiskFull | Self::SyncFails | Self::Wipe | Self::KillAll => 1..1_000,
            Self::Term | Self::Reset => 1..300,
        }
    }

    /// Whose it is; none: of the NATS server, or of everybody.
    pub(crate) const fn role(self) -> Option<Role> {
        match self {
            Self::NatsKill | Self::NatsStop | Self::KillAll => None,
            Self::WorkerKill | Self::WorkerStop | Self::WorkerCut => Some(Role::Worker),
            Self::SchedulerKill | Self::SchedulerStop | Self::SchedulerCut => Some(Role::Scheduler),
            _ => Some(Role::Storage),
        }
    }

    /// Whether it may hit two of a role at once; then only safety counts.
    pub(crate) const fn may_hit_two(self) -> bool {
        match self {
            Self::Kill | Self::Stop | Self::Cut | Self::Deaf | Self::Mute => true,
            _ => matches!(self.role(), Some(Role::Worker | Role::Scheduler)),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No fault has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fault; nothing was started; name some of: {known}", known = names())]
pub struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let found = Self::ALL.into_iter().find(|fault| fault.name() == name);
        found.ok_or_else(|| UnknownFault(name.to_owned()))
    }
}

fn names() -> String {
    Fault::ALL.map(Fault::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name() {
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(fault));
            assert!(!fault.lasts_ms().is_empty());
        }
        let unknown = "flood".parse::<Fault>().unwrap_err().to_string();
        assert!(unknown.contains("`flood`") && unknown.contains("nats-kill"), "{unknown}");
    }
}
