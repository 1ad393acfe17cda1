//! **scan**: the records of one partition whose keys have a prefix.

use super::Node;
use super::blocked::Scope;
use super::effect::Verdict;
use crate::state::{KeyRange, State, StateError, Stored};
use catena_protocol::clock::Now;
use catena_protocol::limit::SCAN_RECORDS;
use catena_protocol::message::read::{At, Found, Record, Scan};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Fault, Key, Timestamp};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// An answer ends when it holds so many bytes; one value more may come on top.
const ANSWER_BYTES: usize = 256 * 1024;
/// An answer ends after so many keys, found or deleted: the work of one turn is bounded.
const ANSWER_KEYS: usize = 4_096;

impl<C> Node<C> {
    pub(super) fn scan<S: State>(
        &mut self,
        now: Now,
        partition: u16,
        scan: Scan,
        state: &S,
    ) -> Result<Verdict, StateError> {
        if let Some(Err(error)) = (!scan.prefix.is_empty()).then(|| Key::new(&scan.prefix)) {
            let fault = Fault::bad_request(format_args!("a prefix must be like a key: {error}"));
            return Ok(Verdict::Tell(Tell::Fault(fault)));
        }
        let at = match scan.at {
            At::Latest | At::Strict => {
                let strict = scan.at == At::Strict;
                if !self.is_sure(now, partition, strict) {
                    return Ok(self.confirm(strict, Ask::Scan(scan)));
                }
                let scope = Scope::Prefix(&scan.prefix);
                if let Some(obstacle) = self.obstacle(partition, scope, scan.at) {
                    return Ok(self.block(obstacle, Ask::Scan(scan)));
                }
                let pending = &self.partitions[usize::from(partition)].pending;
                if let Some(index) = pending.counting_any() {
                    return Ok(self.wait(index, Ask::Scan(scan)));
                }
                Timestamp::MAX
            }
            At::Snapshot(snapshot) => {
                if let Err(tell) = self.open_snapshot(now, snapshot) {
                    return Ok(Verdict::Tell(tell));
                }
                let scope = Scope::Prefix(&scan.prefix);
                if let Some(obstacle) = self.obstacle(partition, scope, scan.at) {
                    return Ok(self.block(obstacle, Ask::Scan(scan)));
                }
                if let Some(index) = self.undecided(now, partition, None, snapshot) {
                    return Ok(self.wait(index, Ask::Scan(scan)));
                }
                if self.settings.founders.len() > 1 {
                    let marks = &mut self.partitions[usize::from(partition)].marks;
                    marks.scanned(&scan.prefix, snapshot);
                }
                snapshot
            }
        };
        let page = self.page(partition, &scan, at, state)?;
        let newest = page.found.iter().map(|found| found.record.version).max();
        let version = newest.filter(|_| at == Timestamp::MAX).unwrap_or_default();
        let tell = Tell::Records { found: page.found, next: page.next };
        Ok(Verdict::Seen { version, tell })
    }

    /// Merges what the state has with what is committed but not applied yet.
    fn page<S: State>(
        &self,
        partition: u16,
        scan: &Scan,
        at: Timestamp,
        state: &S,
    ) -> Result<Page, StateError> {
        let pending = &self.partitions[usize::from(partition)].pending;
        let mut page = Page::new(scan.limit.clamp(1, SCAN_RECORDS));
        let mut fresh: BTreeMap<&Key, Stored> = pending
            .committed_in(&scan.prefix, scan.after.as_ref(), at)
            .take(ANSWER_KEYS + 1)
            .collect();
        let range = KeyRange { prefix: &scan.prefix, after: scan.after.as_ref() };
        let mut stopped = false;
        state
            .scan(partition, range, at, &mut |key, found| {
                while let Some(entry) = fresh.first_entry() {
                    if **entry.key() >= key {
                        break;
                    }
                    let (earlier, stored) = entry.remove_entry();
                    page.take(earlier.clone(), Some(stored))?;
                }
                let found = fresh.remove(&key).into_iter().chain(found).max_by_key(|f| f.version);
                page.take(key, found)
            })
            .map(|()| stopped = page.next.is_some())?;
        if !stopped {
            for (key, stored) in fresh {
                if page.take(key.clone(), Some(stored)).is_break() {
                    break;
                }
            }
        }
        Ok(page)
    }
}

struct Page {
    limit: usize,
    found: Vec<Found>,
    bytes: usize,
    keys: usize,
    last: Option<Key>,
    /// Where the next page begins, once this one is full.
    next: Option<Key>,
}

impl Page {
    fn new(limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { limit, found: Vec::new(), bytes: 0, keys: 0, last: None, next: None }
    }

    fn take(&mut self, key: Key, stored: Option<Stored>) -> ControlFlow<()> {
        let full = self.found.len() >= self.limit
            || self.bytes >= ANSWER_BYTES
            || self.keys >= ANSWER_KEYS;
        if full {
            self.next = self.last.take();
            return ControlFlow::Break(());
        }
        self.keys += 1;
        self.last = Some(key.clone());
        let record = stored.map(Record::from).filter(|record| record.value.is_some());
        if let Some(record) = record {
            self.bytes += key.as_str().len() + record.value.as_ref().map_or(0, |v| v.len());
            self.found.push(Found { key, record });
        }
        ControlFlow::Continue(())
    }
}
