//! Processes that die, freeze, come and go: work goes on, nothing acknowledged is lost, and no
//! effect happens twice.

mod conflicts;
mod drain;
mod load;
mod majority;
mod nats;
mod partitions;
mod replica;
mod room;
mod scheduler;
mod storage;
mod strict;
mod worker;
