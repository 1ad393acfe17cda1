//! Two worlds with the same fingerprint go on in the same ways.
//!
//! Nodes only ever compare times with each other, so their times count from the present: a world
//! and the same world later are one.

use std::fmt::{self, Write};
use xxhash_rust::xxh3::xxh3_64;

/// Monotonic clocks begin here, above every other number that a node knows.
pub(crate) const MONOTONIC_US: u64 = 1 << 50;
/// No run takes as long as this.
const RUN_US: u64 = 1 << 40;

/// Text in which times were made relative.
struct Relative {
    text: String,
    now_us: u64,
}

impl Write for Relative {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        // Numbers are written in one piece.
        match piece.parse::<u64>() {
            Ok(at) if (MONOTONIC_US..MONOTONIC_US + RUN_US).contains(&at) => {
                write!(self.text, "@{}", at.wrapping_sub(self.now_us).cast_signed())
            }
            _ => self.text.write_str(piece),
        }
    }
}

/// The fingerprint of what `write` writes, with times relative to `now_us`.
pub(crate) fn relative(now_us: u64, write: impl FnOnce(&mut dyn Write) -> fmt::Result) -> u64 {
    let mut relative = Relative { text: String::with_capacity(2_048), now_us };
    // Writing into a string does not fail.
    let _ = write(&mut relative);
    xxh3_64(relative.text.as_bytes())
}

/// The fingerprint of several.
pub(crate) fn of(parts: impl IntoIterator<Item = u64>) -> u64 {
    let bytes: Vec<u8> = parts.into_iter().flat_map(u64::to_le_bytes).collect();
    xxh3_64(&bytes)
}
