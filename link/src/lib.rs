//! One connection to NATS, as every process of Catena uses it.
//!
//! Promise: connection settings mean what they mean to the `nats` CLI; a lost connection is
//! found in seconds and comes back by itself; messages of one turn to one place go out as one.
//!
//! Deliberately unknown here: what the messages say.

mod answer;
mod clock;
mod connect;
mod context;
mod intake;
mod outbox;
mod settings;

pub use answer::{fault_body, fault_headers, fault_of, reply_fault, reply_text};
pub use clock::{Clock, wall_us};
pub use connect::{ConnectError, Link, close, connect};
pub use intake::Intake;
pub use outbox::Outbox;
pub use settings::{Settings, SettingsError};
