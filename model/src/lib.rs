//! Model check: todo.

mod bounds;
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
pub use explore::{Counterexample, Report, explore};
pub use property::{Broken, Property};
pub use scenario::Scenario;
