//! Judges what the clients of a versioned store saw: is there one order of all operations that
//! explains every answer?
//!
//! ```
//! use catena_history::{Call, Limits, Outcome, Recorder, Verdict, check};
//!
//! let mut recorder = Recorder::new(1_000);
//! let write = recorder.invoke(1, "stock", Call::Write { value: "3".into() }, 10)?;
//! recorder.complete(write, 20, Outcome::Done { version: 7 })?;
//! let read = recorder.invoke(2, "stock", Call::Read, 30)?;
//! recorder.complete(read, 40, Outcome::Found { value: None, version: 0 })?;
//!
//! let verdict = check(&recorder.finish(), Limits::default());
//! let Verdict::Violation(violation) = verdict else { panic!("a write was lost") };
//! println!("{violation}");
//! # Ok::<(), catena_history::Malformed>(())
//! ```
//!
//! Promise: `Linearizable` and `Violation` are proofs, up to a chance of about 2^-80 that two
//! states of a search have the same 128-bit hash; whoever runs out of steps says `Undecided`. Time
//! and memory of a judgement are bounded. The store is not trusted: its versions are one more
//! thing that an order has to explain, never a reason to accept one.
//!
//! Deliberately unknown here: how operations are run, by whom, over what; clocks; other keys than
//! the one being judged (no order between keys is checked).

mod check;
mod demand;
mod history;
mod lines;
mod lost;
mod operation;
mod plan;
mod prefix;
mod recorder;
mod register;
mod search;
mod snapshot;
mod transaction;
mod value;
mod verdict;

pub use check::{Limits, check};
pub use history::{History, Malformed, Tally};
pub use lines::{LinesError, read_lines, write_lines};
pub use lost::{FinalRead, lost_acknowledged};
pub use operation::{Call, Operation, Outcome};
pub use recorder::{Recorder, Ticket};
pub use snapshot::{SnapshotRead, check_snapshots};
pub use transaction::{
    Anomaly, Fate, Level, Phenomenon, Transaction, check_mixed, check_transactions,
};
pub use verdict::{Evidence, Held, Rule, Verdict, Violation};
