//! What goes over NATS between the parts of Catena, and nothing else.
//!
//! Promise: every subject, header, message, identifier and limit is defined here once; encoding
//! and decoding are pure functions of bytes and never panic on foreign input.
//!
//! Deliberately unknown here: how a message is sent (no NATS client, no tokio), what a service
//! does with it, what time it is, and where randomness comes from.

pub mod chain;
pub mod chance;
pub mod clock;
pub mod codec;
pub mod edge;
pub mod fault;
pub mod id;
pub mod key;
pub mod limit;
pub mod message;
pub mod placement;
pub mod subject;

pub use clock::Timestamp;
pub use codec::Blob;
pub use fault::{Code, Fault};
pub use id::{AttemptId, ChainHash, ClusterId, DiskId, JobId, Name, NodeId, RequestId};
pub use key::{Key, partition, tag};
pub use placement::Member;
