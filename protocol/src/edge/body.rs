//! Bodies of requests for the store as people write them, and of answers as they read them: the
//! same wherever the store is asked.

use crate::clock::Timestamp;
use crate::codec::Blob;
use crate::fault::{Code, Fault};
use crate::key::Key;
use crate::limit;
use crate::message::write::{Change, Condition};
use serde_json::{Value, json};

/// The body of an `add`: a decimal integer.
///
/// # Errors
/// 400 if it is something else.
pub fn integer(body: &[u8]) -> Result<i64, Fault> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    text.trim()
        .parse()
        .map_err(|_| Fault::bad_request("the body must be a decimal integer; nothing was changed"))
}

/// The body of an `update-if-value-is`: what it does, and what must hold. `version` is what a
/// header says instead of the body.
///
/// # Errors
/// 400 with what is wrong, and what would be right.
pub fn update(version: Option<Timestamp>, body: &[u8]) -> Result<(Change, Condition), Fault> {
    let wrong = |why: &str| {
        Fault::bad_request(format_args!(
            "{why}; expected JSON such as `{{\"expected\": \"old\", \"value\": \"new\"}}` or \
             `{{\"version\": 1, \"value\": \"new\"}}`, null standing for no record; nothing was changed"
        ))
    };
    let body: Value = serde_json::from_slice(body).map_err(|_| wrong("the body is not JSON"))?;
    let Value::Object(mut fields) = body else { return Err(wrong("the body is not an object")) };
    let value = fields.remove("value").ok_or_else(|| wrong("`value` is missing"))?;
    let condition = match (fields.remove("expected"), fields.remove("version"), version) {
        (Some(expected), None, None) => Condition::ValueIs(blob(expected)),
        (None, Some(found), None) => Condition::VersionIs(Timestamp(
            found.as_u64().ok_or_else(|| wrong("`version` is not a version"))?,
        )),
        (None, None, Some(version)) => Condition::VersionIs(version),
        (None, None, None) => return Err(wrong("`expected` or `version` is missing")),
        _ => return Err(wrong("`expected` and `version` exclude each other")),
    };
    if let Some(name) = fields.keys().next() {
        let name: String = name.chars().take(64).collect();
        return Err(wrong(&format!("`{name}` is not known")));
    }
    Ok((blob(value).map_or(Change::Delete, Change::Put), condition))
}

/// The value that a JSON value stands for: strings their text, null none, others their JSON.
fn blob(value: Value) -> Option<Blob> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.into()),
        other => Some(other.to_string().into()),
    }
}

/// The optional body of a scan: `{"after": "key", "limit": 100}`.
///
/// # Errors
/// 400 if it is something else.
pub fn page(body: &[u8]) -> Result<(Option<Key>, u32), Fault> {
    let wrong = || {
        Fault::bad_request(
            "the body of a scan is empty or JSON such as `{\"after\": \"key\", \"limit\": 100}`",
        )
    };
    if body.trim_ascii().is_empty() {
        return Ok((None, limit::SCAN_RECORDS));
    }
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        after: Option<Key>,
        limit: Option<u32>,
    }
    let page: Page = serde_json::from_slice(body).map_err(|_| wrong())?;
    let limit = page.limit.unwrap_or(limit::SCAN_RECORDS).clamp(1, limit::SCAN_RECORDS);
    Ok((page.after, limit))
}

/// The JSON of a page of records has at most so many bytes; a single record may be longer.
const PAGE_BYTES: usize = 600 * 1024;

/// The body of an answer to a scan: the JSON of as many records as fit on a page, of the first in
/// any case; and how many these are.
pub fn records(records: impl IntoIterator<Item = Value>) -> (usize, String) {
    let (mut count, mut text) = (0, String::from("["));
    for record in records {
        let record = record.to_string();
        if count > 0 {
            if text.len() + record.len() + 2 > PAGE_BYTES {
                break;
            }
            text.push(',');
        }
        text.push_str(&record);
        count += 1;
    }
    text.push(']');
    (count, text)
}

/// There is nothing to read (404).
pub fn no_record(key: &str) -> Fault {
    Fault::new(Code::NotFound, format!("there is no record `{key}`"))
}

/// An update did not happen because the record is another one (409): why, and the body that says
/// what is there instead, with its version where that means something to who asked.
pub fn differs(key: &str, version: Option<Timestamp>, found: Option<&Blob>) -> (Fault, String) {
    let message = format!("`{key}` is not what was expected; nothing was changed");
    let fault = Fault::new(Code::Conflict, message);
    let mut current = json!({ "value": found.map(value) });
    if let Some(version) = version {
        current["version"] = json!(version);
    }
    let body = json!({ "error": &fault, "current": current }).to_string();
    (fault, body)
}

/// A value in JSON: its text, or `{"hex": "..."}` where it is not text.
pub fn value(value: &Blob) -> Value {
    match std::str::from_utf8(value.as_ref()) {
        Ok(text) => text.into(),
        Err(_) => json!({ "hex": hex(value.as_ref()) }),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_what_fits_and_the_first_record_in_any_case() {
        let of = |lengths: &[usize]| {
            let (count, text) = records(lengths.iter().map(|length| "x".repeat(*length).into()));
            let read: Vec<String> = serde_json::from_str(&text).unwrap();
            assert_eq!(read.len(), count);
            assert_eq!(read.iter().map(String::len).collect::<Vec<_>>(), lengths[..count]);
            (count, text.len())
        };
        assert_eq!(of(&[]), (0, 2));
        // Brackets, quotes and commas count as well.
        assert_eq!(of(&[PAGE_BYTES - 10, 3]), (2, PAGE_BYTES));
        assert_eq!(of(&[PAGE_BYTES - 10, 4, 1]).0, 1);
        assert_eq!(of(&[PAGE_BYTES + 1, 1]).0, 1);
        assert_eq!(of(&[1; 1_000]).0, 1_000);
    }

    #[test]
    fn who_expected_something_else_is_told_what_is_there() {
        let read = |body: String| serde_json::from_str::<Value>(&body).unwrap();
        let (fault, body) = differs("k", Some(Timestamp(7)), Some(&"new".into()));
        assert_eq!(fault.code, Code::Conflict);
        assert_eq!(read(body)["current"], json!({ "version": 7, "value": "new" }));
        assert_eq!(read(differs("k", None, None).1)["current"], json!({ "value": null }));
    }
}
