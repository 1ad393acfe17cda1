//! A cluster to test, a plain NATS client beside it, and processes to be killed.

mod answer;
mod operators;
mod platform;
mod process;
mod raw;
mod storage;
mod trio;

pub(crate) use answer::Answer;
pub(crate) use operators::{let_go, registry};
pub(crate) use platform::{Platform, eventually};
pub(crate) use process::Process;
pub(crate) use raw::Raw;
pub(crate) use storage::Tuned;
pub(crate) use trio::Trio;
