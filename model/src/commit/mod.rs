//! Model check of commits over several partitions: a job with two attempts that writes in its home
//! and elsewhere, all orders of events within bounds, on the real rules.
//!
//! ```text
//! bounds   how often what may happen
//! world    two nodes, what is on its way between them, and what may happen next
//! ask      what clients ask
//! judge    the rules that must hold in every state
//! rest     everything that is on its way is lost, nobody asks any more: what is left then
//! ```
//!
//! # What happens
//!
//! Either attempt asks the home to commit, at any time and again and again. Any message arrives,
//! in any order; or never, which is how one is lost; some arrive twice. A frame becomes durable.
//! Some time passes on a node, so that it does again what it does now and then; so much of it on
//! the home that it gives up what it has not decided. Either node loses power, and with it
//! everything that is not durable, and comes back with a new epoch. Somebody writes one of the
//! records directly. After each of these every [`Property`](crate::Property) in
//! [`Property::COMMIT`](crate::Property::COMMIT) is checked, and each state is let come to rest.
//!
//! # What is left out
//!
//! - **Replicas.** Each partition has one, so a durable record is a committed one, and a primary is
//!   succeeded by itself. That what a majority has stands is what the rest of this crate is about;
//!   what both do together (a primary that was deposed and does not know) the simulator shows.
//! - **Finding the primary**: whoever starts has heard who leads what, and that never changes.
//! - **Time**, as in the rest of this crate: each clock stands still until some time passes on its
//!   node. Wall clocks stand still altogether.
//! - **Reads, additions, partitions that are only read, more than two partitions**: the simulator.
//! - With [`Bounds::prompt_disk`] no power is lost while something is on its way to the disk.

mod ask;
mod bounds;
mod judge;
mod rest;
mod world;

pub use bounds::Bounds;

use crate::explore::{self, Report};
use world::World;

/// Goes through everything that can happen, from where both nodes serve on.
///
/// # Errors
/// If a node cannot start, or fails by itself: then there is something wrong besides the
/// properties.
pub fn explore(bounds: &Bounds) -> Result<Report, String> {
    explore::explore(&World::founded(bounds)?, bounds, bounds.states)
}

/// Goes through the same, and wherever a state is reached in two ways, looks whether both go on
/// alike: if not, the fingerprint leaves something out that counts. Returns how often that was
/// looked at, and how the first two came about that differ.
///
/// # Errors
/// As [`explore()`].
pub fn misled(bounds: &Bounds) -> Result<(usize, Option<String>), String> {
    explore::misled(World::founded(bounds)?, bounds)
}
