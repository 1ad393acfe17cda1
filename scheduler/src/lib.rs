//! The scheduler of Catena: takes jobs, plans all their steps, and sees each to its one end.
//!
//! `machine` decides and is pure; everything else here does what it says.

pub mod machine;
