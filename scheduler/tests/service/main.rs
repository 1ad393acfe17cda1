//! Schedulers, workers and a storage node on a real NATS server, asked as a person with the
//! `nats` CLI would.
#![allow(clippy::unwrap_used, clippy::result_large_err, reason = "a test ends where this fails")]

mod cluster;
mod definitions;
mod edge;
mod queue;
mod trouble;
