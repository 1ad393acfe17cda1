//! Contexts against a store in memory.

mod context;
mod door;
mod like_a_plain_map;
mod native;
mod service;
