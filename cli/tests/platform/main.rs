//! The platform from outside: a whole cluster, and people who do right and wrong with it.
//!
//! Everything goes over a real NATS server and a real disk. Deliberately not used here: the
//! client library, except where its promises are what is tested.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test")]

mod bad_input;
mod cluster;
mod edge;
mod faults;
mod support;
