//! placeholder

pub mod operator;
