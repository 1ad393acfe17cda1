//! Runs chains and uses the store of a Catena cluster, over NATS.
//!
//! ```no_run
//! use catena_client::{Client, ErrorKind};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), catena_client::Error> {
//!     let client = Client::connect("nats://127.0.0.1:4222").await?;
//!
//!     // A chain that needs no definition.
//!     let shouted = client.run_inline("trim,uppercase", " hello ").await?;
//!     println!("{}", shouted.text()?);
//!
//!     // The store: versioned, one key at a time, linearizable.
//!     let store = client.store();
//!     store.write("stock:book", "3").await?;
//!     let left = store.add("stock:book", -1).await?;
//!     println!("{left} left");
//!
//!     // Errors have a kind to match on, and say whether anything was changed.
//!     match client.run("no-such-chain", "").await {
//!         Err(error) if error.kind() == ErrorKind::NotFound => println!("{error}"),
//!         other => println!("{other:?}"),
//!     }
//!     client.close().await;
//!     Ok(())
//! }
//! ```
//!
//! Promise: whatever is sent again because an answer was lost takes effect once; every call
//! ends in time; nothing is queued without bound; a job or read never sees less than what its
//! client saw before.
//!
//! Deliberately unknown here: how schedulers plan, how workers run operators, where records
//! are kept.

mod alarm;
mod ask;
mod causality;
mod chains;
mod client;
mod error;
mod job;
pub mod machine;
mod options;
mod run;
mod store;
mod submit;

pub use catena_link::{Link, Settings};
pub use catena_protocol::message::assign::Tries;
pub use catena_protocol::message::commit::{Costs, Part};
pub use catena_protocol::message::finish::Explained;
pub use catena_protocol::{JobId, Key, NodeId, Timestamp};
pub use chains::Chains;
pub use client::Client;
pub use error::{Error, ErrorKind};
pub use job::{JobState, JobStatus};
pub use options::Options;
pub use run::{Cbor, Decoding, Json, Raw, Run, RunResult};
pub use store::{Entry, Store, Updated};
pub use submit::Submit;
