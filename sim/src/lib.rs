//! The storage nodes of a cluster, schedulers, workers, clients and the broker between them, in one
//! thread, from one seed.
//!
//! ```text
//! plan      what happens in this seed: cluster, load, faults, all by chance
//! provoke   the same, made for one known bug
//! mistake   the known bugs
//! fault     the kinds of faults
//! world     the queue of events and the one loop over it
//! broker    messages: lost, late, twice, cut off, flushed after a reconnect
//! host      a storage node as a process: the real rules, the real log on a disk that fails
//! clock     what time a process believes it is
//! client    the real router with something to ask
//! job       jobs over several records: what they want, what they saw, what must fit
//! platform  the real schedulers and workers, operators, the durable queue
//! sweep     many seeds, several at a time
//! watch     the invariants, checked after every step
//! ```
//!
//! Promise: the same seed gives the same run, byte for byte; every fault that is injected is
//! counted; after the faults everything heals and must make progress.
//!
//! Deliberately unknown here: NATS itself, threads, and what real disks and clocks do beyond what
//! is written down in `plan`.

mod broker;
mod client;
mod clock;
mod fault;
mod host;
mod job;
mod mistake;
mod outcome;
mod plan;
mod platform;
mod provoke;
mod sweep;
mod tally;
mod watch;
mod world;

pub use catena_storage::machine::Bug;
pub use mistake::Mistake;
pub use outcome::Failure;
pub use plan::Plan;
pub use platform::Slip;
pub use sweep::{Sweep, SweepEnd, sweep};
pub use tally::Tally;
pub use world::{Run, run};
