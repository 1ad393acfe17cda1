//! The messages, one file for each verb of a job and for each conversation of the store.

pub mod assign;
pub mod commit;
pub mod finish;
pub mod founding;
pub mod gossip;
pub mod handoff;
pub mod heartbeat;
pub mod prepare;
pub mod read;
pub mod replicate;
pub mod status;
pub mod store;
pub mod submit;
pub mod write;
