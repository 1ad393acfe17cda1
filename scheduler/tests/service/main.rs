//! Schedulers, workers and a storage node on a real NATS server, asked as a person with the
//! `nats` CLI would.

mod cluster;
mod edge;
mod queue;
mod trouble;
