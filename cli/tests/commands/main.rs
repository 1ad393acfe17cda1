//! The user commands, as a person types them: the real binary against a real cluster.
#![allow(clippy::unwrap_used, reason = "a test")]

mod chain;
mod job;
mod kv;
mod operators;
mod run;
mod setup;
mod status;
mod submit;
