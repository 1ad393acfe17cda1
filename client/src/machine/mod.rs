//! The rules of the client side: plain state, time and chance as arguments, effects as values.
//!
//! Promise: every request gets exactly one answer, at the latest a tick after its deadline;
//! nothing is sent after that; what is sent again is the same request, so that it takes effect
//! once. Every table is bounded.
//!
//! Deliberately unknown here: NATS, tasks, and what time it really is.

pub mod pace;
pub mod route;
pub mod router;
pub mod slots;
pub mod submit;
pub mod wheel;

pub use route::Target;
pub use router::{Effect, Input, Router};
