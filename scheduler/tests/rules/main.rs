//! The rules of a scheduler, without a broker: what happens is said, what comes out is looked at.
#![allow(clippy::unwrap_used, clippy::result_large_err, reason = "a test ends where this fails")]

mod balance;
mod chance;
mod ends;
mod limits;
mod partitions;
mod rig;
mod trouble;
