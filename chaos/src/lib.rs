//! Breaks a cluster of real processes, on real disks, over a real NATS server, while clients use
//! it, and judges what they saw.
//!
//! ```text
//! clients ----------------> nats-server <--proxy--> s1   kill, stop, cut off, full disk,
//!    |                        (kill,     <--proxy--> s2   failing sync, lost disk, ...
//!    v                         stop)     <--proxy--> s3
//! history --> judge                      <--proxy--> workers, schedulers   kill, stop, cut off
//! ```
//!
//! Promise: whatever is reported as wrong was seen; everything broken is healed before the
//! judgement; no process is left behind. What a store may do between two answers that nobody saw
//! stays unknown: a good report is evidence, no proof.
//!
//! Deliberately unknown here: how storage nodes agree, what they write, how jobs are planned; they
//! are a program with options, and a client library.

mod book;
mod client;
mod cluster;
mod failure;
mod fault;
mod gaps;
mod jobs;
mod judge;
mod node;
mod outcome;
mod plan;
mod process;
mod proxy;
mod report;
mod run;
mod schedule;
mod small_disk;
mod strike;
mod wish;
mod workload;

pub use failure::Failure;
pub use fault::{Fault, UnknownFault};
pub use jobs::{is_worker, work};
pub use plan::Plan;
pub use report::Report;
pub use run::run;
pub use workload::{UnknownWorkload, Workload};
