//! The rules of a scheduler, without a broker: what happens is said, what comes out is looked at.

mod balance;
mod chance;
mod ends;
mod limits;
mod rig;
mod trouble;
