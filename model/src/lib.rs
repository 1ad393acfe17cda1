//! Model check of what storage nodes agree upon: all orders of events within bounds, and the rules
//! themselves ([`catena_storage::machine::Node`]), not a copy of them. Here it is elections,
//! commits of a log and ceilings, with three replicas of one partition; in [`commit`] it is
//! commits of jobs over two partitions.
//!
//! ```text
//! scenario     where it begins
//! bounds       how often what may happen
//! world        three nodes, messages on their way, and what may happen next
//! witness      what was seen so far, and what may not be
//! commit       the same for commits over two partitions
//! host         a node on its disk
//! property     the rules that must hold in every state
//! explore      breadth first through all states, each once
//! fingerprint  when two states are one
//! ```
//!
//! Promise: [`Scenario::explore`] visits every state that can be reached within its [`Bounds`], or
//! says that it did not; a counterexample is as short as can be. The same bounds give the same
//! numbers.
//!
//! # What happens
//!
//! Any message arrives, in any order; or never, which is how one is lost. A frame becomes durable.
//! A node loses patience; loses power, and with it everything that is not durable; is asked to
//! write or to read at a snapshot ahead of the clocks; says where it stands; hands over. After
//! each of these every [`Property`] is checked.
//!
//! # What is left out
//!
//! - **Time.** Each node's monotonic clock stands still until it loses patience, or until only a
//!   promise would refuse a vote: then it has run out. So every order of timeouts is there,
//!   relative speeds are not, and nothing can be said of leases and of what rests upon them (reads
//!   of the present, handing over when somebody better is back). The properties here must hold
//!   without them, so for these more can happen than in reality, not less. Wall clocks stand still altogether, at the same time for
//!   all: the worst case for versions, which must grow all the same. Clocks that differ are left
//!   out.
//! - **Chance**, which only spreads elections, is none (seed 0); beats are not counted, as only
//!   leases need them.
//! - **The same message twice**, and fetching the same again after a loss without losing patience
//!   first. Not sound; the simulator does both.
//! - **The state is always as far as the commit** and never durable: a loss of power takes it back
//!   to the beginning, and the log is whole. The worst case for elections; log shortening, copies
//!   of the state and torn frames are left out. Changes of voters too.
//! - **Messages that can do nothing any more** (answers and acknowledgements of an epoch that their
//!   reader has durably left) count as lost: sound, for the reader would ignore them.
//! - With [`Bounds::gossip`] off all digests are lost, with [`Bounds::prompt_disk`] on no power is
//!   lost while something is on its way to the disk. Both make the space much smaller, and both
//!   hide errors; so each is also explored the other way round, with less of the rest. Digests
//!   together with a write while another is elected, and slow disks with two candidates, are more
//!   than was gone through to the end.
//! - Two states with the same 64-bit fingerprint count as one. With 10 million states the chance
//!   that any two were mixed up is about 1 in 400,000.
//!
//! An own explorer and not `stateright`: what is needed of one fits on two pages, and that crate
//! brings a web server along that cannot be left out.

mod bounds;
pub mod commit;
mod explore;
mod fingerprint;
mod host;
mod message;
mod property;
mod scenario;
mod witness;
mod world;

pub use bounds::Bounds;
pub use catena_storage::machine::Bug;
pub use explore::{Counterexample, Report};
pub use property::{Broken, Property};
pub use scenario::Scenario;
