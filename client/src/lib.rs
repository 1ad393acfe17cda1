//! Runs chains and uses the store of a Catena cluster.

mod alarm;
mod causality;
mod clock;
mod error;
pub mod machine;
mod store;

pub use error::{Error, ErrorKind};
pub use store::{Entry, Store, Updated};
