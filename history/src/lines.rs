//! A history as a file: one operation per line, as JSON. What was judged once can be judged again.

use crate::history::{History, Malformed};
use crate::operation::Operation;
use std::io::{self, BufRead, Write};

/// Why a history could not be read. Nothing was judged.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// The input failed.
    #[error("the history could not be read: {0}; nothing was judged")]
    Io(#[from] io::Error),
    /// A line is no operation.
    #[error("line {line} of the history is no operation: {source}; nothing was judged")]
    Json {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An operation contradicts itself.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Writes a history, one operation per line.
///
/// # Errors
/// The output failed; it then holds a part of the history.
pub fn write_lines(history: &History, mut output: impl Write) -> io::Result<()> {
    for operation in history.operations() {
        serde_json::to_writer(&mut output, operation)?;
        output.write_all(b"\n")?;
    }
    output.flush()
}

/// Reads a history as [`write_lines`] writes it. Empty lines are skipped.
///
/// # Errors
/// The input failed, or a line is no operation.
pub fn read_lines(input: impl BufRead) -> Result<History, LinesError> {
    let mut operations: Vec<Operation> = Vec::new();
    for (at, text) in input.lines().enumerate() {
        let text = text?;
        if text.trim().is_empty() {
            continue;
        }
        let operation = serde_json::from_str(&text)
            .map_err(|source| LinesError::Json { line: at + 1, source })?;
        operations.push(operation);
    }
    Ok(History::new(operations)?)
}
