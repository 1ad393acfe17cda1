//! Lines of standard input, read by a thread of its own.
//!
//! Promise: bounded memory, whatever comes; a line is passed on as soon as it is there; `\n` and
//! `\r\n` end a line. A line beyond the limit of inputs is cut one byte behind it, so that it is
//! refused as too large.

use bytes::Bytes;
use catena_protocol::limit::PAYLOAD_BYTES;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Result};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use tokio::sync::mpsc;

/// Most lines that are passed on together.
const BATCH: usize = 256;
/// Batches that may wait.
const QUEUE: usize = 4;
const BUFFER: usize = 1 << 16;
/// Only the lines of smaller files are counted beforehand.
const COUNTED_BYTES: u64 = 1 << 30;

/// Starts the thread. The receiver ends with standard input.
pub(super) fn read() -> mpsc::Receiver<Result<Vec<Bytes>>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    // Not a task: a read that never returns must not keep the runtime from ending.
    std::thread::spawn(move || {
        let mut reader = BufReader::with_capacity(BUFFER, std::io::stdin().lock());
        loop {
            let lines = next_batch(&mut reader);
            let end = !matches!(&lines, Ok(lines) if !lines.is_empty());
            let failed = lines.is_err();
            if (!end || failed) && sender.blocking_send(lines).is_err() {
                return;
            }
            if end {
                return;
            }
        }
    });
    receiver
}

/// The number of lines, if standard input is a file and not too large.
pub(super) fn count() -> Option<u64> {
    let file = File::from(std::io::stdin().as_fd().try_clone_to_owned().ok()?);
    let about = file.metadata().ok()?;
    if !about.is_file() || about.len() > COUNTED_BYTES {
        return None;
    }
    let mut at = std::io::Seek::stream_position(&mut &file).ok()?;
    let (mut lines, mut last) = (0, b'\n');
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = file.read_at(&mut buffer, at).ok()?;
        let Some(end) = buffer[..read].last() else { break };
        last = *end;
        lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
        at += read as u64;
    }
    Some(lines + u64::from(last != b'\n'))
}

/// Waits for a line and takes it with those that are there already; empty at the end.
fn next_batch(reader: &mut BufReader<impl Read>) -> Result<Vec<Bytes>> {
    let mut lines = Vec::new();
    while lines.len() < BATCH && (lines.is_empty() || reader.buffer().contains(&b'\n')) {
        match next_line(reader)? {
            Some(line) => lines.push(line),
            None => break,
        }
    }
    Ok(lines)
}

fn next_line(reader: &mut impl BufRead) -> Result<Option<Bytes>> {
    let mut line = Vec::new();
    let mut begun = false;
    loop {
        let there = reader.fill_buf()?;
        if there.is_empty() {
            return Ok(begun.then(|| line.into()));
        }
        begun = true;
        let end = there.iter().position(|byte| *byte == b'\n');
        let part = &there[..end.unwrap_or(there.len())];
        let room = (PAYLOAD_BYTES + 2).saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(there.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            line.truncate(PAYLOAD_BYTES + 1);
            return Ok(Some(line.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8], buffer: usize) -> Vec<Bytes> {
        let mut reader = BufReader::with_capacity(buffer, text);
        let mut all = Vec::new();
        loop {
            let lines = next_batch(&mut reader).unwrap();
            if lines.is_empty() {
                return all;
            }
            all.extend(lines);
        }
    }

    #[test]
    fn line_ends_are_not_part_of_lines() {
        for buffer in [1, 2, 3, 64] {
            let lines = all(b"a\r\n\nb\xff\rc\nd", buffer);
            assert_eq!(lines, [&b"a"[..], b"", b"b\xff\rc", b"d"], "buffer of {buffer}");
        }
        assert_eq!(all(b"", 8), [&b""[..]; 0]);
        assert_eq!(all(b"\n", 8), [&b""[..]]);
    }

    #[test]
    fn a_line_that_is_too_long_stays_bounded_and_the_next_one_whole() {
        let mut text = vec![b'x'; 3 * PAYLOAD_BYTES];
        text.extend_from_slice(b"\nnext\n");
        let lines = all(&text, BUFFER);
        assert_eq!((lines[0].len(), &lines[1][..]), (PAYLOAD_BYTES + 1, &b"next"[..]));
    }

    #[test]
    fn what_is_there_is_not_held_back() {
        let mut reader = BufReader::with_capacity(64, &b"a\nb\nrest"[..]);
        assert_eq!(next_batch(&mut reader).unwrap(), [&b"a"[..], b"b"]);
    }
}
