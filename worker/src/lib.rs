//! A worker: runs the operators of chains and hands results on, straight to the next worker.
//!
//! A program with operators of its own is a worker like any other:
//!
//! ```no_run
//! use catena_protocol::chain::Effect;
//! use catena_worker::{Config, operator::Registry};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::built_in()
//!     .native("reverse", Effect::Pure, "the input backwards", |_context, input| async move {
//!         Ok(input.iter().rev().copied().collect())
//!     })?;
//! let config = Config { registry, ..Config::default() };
//! let settings = catena_link::Settings::from_env().with_context()?;
//! catena_worker::run(config, settings, catena_service::on_signals()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Deliberately unknown here: how jobs are planned, and how the store keeps records.

mod catalogue;
mod config;
mod error;
mod executor;
pub mod machine;
mod metrics;
mod natives;
pub mod operator;
mod run;
mod store;
mod turn;

pub use config::Config;
pub use error::Error;
pub use run::run;
