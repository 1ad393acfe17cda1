//! Scans as a job sees them: what the store holds at the snapshot, and the job's own writes in it.
//!
//! Promise: key order, each key once, at most what was asked for, within limits; a scan of a
//! serializable job is noted, so that its commit finds out whether the prefix changed.

use super::Context;
use super::write_buffer::WriteBuffer;
use bytes::Bytes;
use catena_protocol::chain::Effect;
use catena_protocol::message::read::{Found, Scan};
use catena_protocol::{Blob, Code, Fault, Key, key, limit};
use std::collections::BTreeMap;

/// Most bytes of keys and values that one scan returns.
const SCAN_BYTES: usize = 8 * 1024 * 1024;

type Records = BTreeMap<Key, Bytes>;

/// A part of the key space: all keys behind `after`, up to and with `until` (none: to the end).
struct Stretch<'a> {
    prefix: &'a str,
    after: Option<Key>,
    until: Option<Key>,
}

impl Stretch<'_> {
    fn holds(&self, key: &Key) -> bool {
        key.as_str().starts_with(self.prefix)
            && self.after.as_ref().is_none_or(|after| key > after)
            && self.until.as_ref().is_none_or(|until| key <= until)
    }
}

impl Context {
    /// Up to `limit` (1 to 1000) records whose keys begin with `prefix`, in key order. The prefix
    /// must contain a whole tag, as in `{user42}:orders/`, so that all keys live together.
    ///
    /// # Errors
    /// See [`Context`]; 413 also if the records together are longer than 8 MiB.
    pub async fn scan(
        &self,
        prefix: impl AsRef<str> + Send,
        limit: u32,
    ) -> Result<Vec<(Key, Bytes)>, Fault> {
        self.scan_after(prefix, None, limit).await
    }

    /// As [`scan`](Self::scan), only with keys behind `after`: for the next page.
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    pub async fn scan_after(
        &self,
        prefix: impl AsRef<str> + Send,
        after: Option<&Key>,
        limit: u32,
    ) -> Result<Vec<(Key, Bytes)>, Fault> {
        let prefix = super::context::to_key(prefix.as_ref())?;
        self.may(Effect::ReadOnly, "scan")?;
        check(prefix.as_str(), limit)?;
        self.buffer(|buffer| if self.tracks_reads() { buffer.note_scan(&prefix) } else { Ok(()) })?;
        self.collect(prefix.as_str(), after.cloned(), limit).await
    }

    async fn collect(
        &self,
        prefix: &str,
        mut after: Option<Key>,
        limit: u32,
    ) -> Result<Vec<(Key, Bytes)>, Fault> {
        let wanted = limit as usize;
        let mut records = Records::new();
        loop {
            let scan =
                Scan { prefix: prefix.to_owned(), at: self.at(), after: after.clone(), limit };
            let page = self.store().scan(scan).await?;
            check_progress(after.as_ref(), page.next.as_ref())?;
            let stretch = Stretch { prefix, after, until: page.next.clone() };
            self.buffer(|buffer| overlay(buffer, &stretch, page.found, &mut records))?;
            check_bytes(&records, wanted)?;
            after = page.next;
            if after.is_none() || records.len() >= wanted {
                return Ok(records.into_iter().take(wanted).collect());
            }
        }
    }
}

fn check(prefix: &str, limit: u32) -> Result<(), Fault> {
    if key::tag(prefix).len() == prefix.len() {
        return Err(Fault::bad_request(format!(
            "the prefix `{prefix}` has no tag; a scan stays within one, as in `{{user42}}:orders/`"
        )));
    }
    if (1..=limit::SCAN_RECORDS).contains(&limit) {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "a scan returns 1 to {} records; {limit} were asked for",
        limit::SCAN_RECORDS
    )))
}

fn check_progress(after: Option<&Key>, next: Option<&Key>) -> Result<(), Fault> {
    match next {
        Some(next) if after.is_some_and(|after| next <= after) => Err(Fault::new(
            Code::Internal,
            format!("the store's scan does not get on behind `{next}`; nothing was changed"),
        )),
        _ => Ok(()),
    }
}

/// Adds what the job sees of one stretch, of which the store holds `found`, to `records`.
fn overlay(
    buffer: &mut WriteBuffer,
    stretch: &Stretch<'_>,
    found: Vec<Found>,
    records: &mut Records,
) -> Result<(), Fault> {
    let mut stored: BTreeMap<Key, Option<Blob>> =
        found.into_iter().map(|found| (found.key, found.record.value)).collect();
    for key in buffer.written(stretch.prefix).filter(|key| stretch.holds(key)) {
        stored.entry(key.clone()).or_insert(None);
    }
    for (key, value) in stored {
        if let Some(value) = buffer.own(&key).over(&key, value)? {
            records.insert(key, value.0);
        }
    }
    Ok(())
}

fn check_bytes(records: &Records, wanted: usize) -> Result<(), Fault> {
    let bytes: usize =
        records.iter().take(wanted).map(|(key, value)| key.as_str().len() + value.len()).sum();
    if bytes <= SCAN_BYTES {
        return Ok(());
    }
    Err(Fault::new(
        Code::TooLarge,
        format!(
            "the records together have more than {SCAN_BYTES} bytes; ask for fewer at once; \
             nothing was changed"
        ),
    ))
}
