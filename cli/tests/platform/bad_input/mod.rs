//! Whatever comes in: it is answered, nothing else is touched, and a good job still runs.

mod any_bytes;
mod connection;
mod forged;
mod limits;
mod nesting;
mod operators;
mod requests;
