//! The scheduler of Catena: takes jobs, plans all their steps, and sees each to its one end.
//!
//! `machine` decides and is pure; everything else here does what it says.

mod chain_queue;
mod config;
mod define;
mod definitions;
mod edge;
mod error;
mod home;
mod inquire;
mod intake;
pub mod machine;
mod metrics;
mod news;
mod publish;
mod queue;
mod run;

pub use config::Config;
pub use error::Error;
pub use run::run;
