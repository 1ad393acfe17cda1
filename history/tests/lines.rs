//! A history as a file.
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use catena_history::{Call, LinesError, Outcome, read_lines, write_lines};
use rig::*;

#[test]
fn what_was_written_is_read() {
    let history = history([
        op(1, 0, 10, write("a \"quoted\"\nline"), done(5)),
        op(1, 0, 10, Call::Delete, Outcome::Refused),
        op(2, 3, 9, cas(None, "b"), differs(Some("ä"), 5)),
        op(2, 3, 9, compare_version(3, "b"), differs(None, 0)),
        op(2, 12, 19, add(-3), sum(i64::MIN, u64::MAX)),
        op(2, 12, 19, Call::Read, nothing(0)),
        lost(3, 4, add(i64::MAX)),
    ]);
    let mut file = Vec::new();
    write_lines(&history, &mut file).unwrap();
    assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 7);
    assert_eq!(read_lines(file.as_slice()).unwrap(), history);
}

#[test]
fn a_line_is_json_that_people_can_read() {
    let mut file = Vec::new();
    write_lines(&history([op(1, 0, 10, write("a"), done(5))]), &mut file).unwrap();
    let expected = r#"{"process":1,"key":"k","call":{"write":{"value":"a"}},"invoked":0,"returned":10,"outcome":{"done":{"version":5}}}"#;
    assert_eq!(String::from_utf8(file).unwrap().trim(), expected);
}

#[test]
fn a_damaged_line_is_named() {
    let mut file = Vec::new();
    write_lines(&history([op(1, 0, 10, write("a"), done(5))]), &mut file).unwrap();
    file.extend(b"\n{\"process\":");
    let error = read_lines(file.as_slice()).unwrap_err();
    assert!(matches!(error, LinesError::Json { line: 3, .. }), "{error}");
}

#[test]
fn a_line_that_contradicts_itself_is_refused() {
    let line =
        r#"{"process":1,"key":"k","call":"read","invoked":9,"returned":5,"outcome":"unknown"}"#;
    let error = read_lines(line.as_bytes()).unwrap_err();
    assert!(matches!(error, LinesError::Malformed(_)), "{error}");
}
