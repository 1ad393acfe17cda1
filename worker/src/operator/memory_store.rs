//! For tests of one operator at a time: a store in memory, with versions and short pages.

use super::{Context, Opening, Page, Store};
use catena_protocol::chain::{Effect, Isolation};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::read::{At, Found, Record, Scan};
use catena_protocol::message::write::{Change, Condition, Mutation, Write, Written};
use catena_protocol::{Blob, Code, Fault, JobId, Key, Name, Timestamp};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// When the contexts of tests read.
pub(super) const SNAPSHOT: Timestamp = Timestamp(100);

#[derive(Default)]
pub(super) struct MemoryStore {
    versions: Mutex<BTreeMap<Key, BTreeMap<u64, Option<Blob>>>>,
    pub(super) writes: Mutex<Vec<Write>>,
    pub(super) reads: Mutex<Vec<Key>>,
    /// Records in one page of a scan; 0: no limit but the asker's.
    pub(super) page: Mutex<usize>,
    pub(super) broken: Mutex<bool>,
}

impl MemoryStore {
    /// A store with these values, written before the snapshot.
    pub(super) fn with(values: &[(&str, &str)]) -> Arc<Self> {
        let store = Arc::new(Self::default());
        for (key, value) in values {
            store.set(key, 50, Some(value));
        }
        store
    }

    pub(super) fn set(&self, key: &str, version: u64, value: Option<&str>) {
        let mut versions = self.versions.lock().unwrap();
        let of_key = versions.entry(Key::new(key).unwrap()).or_default();
        of_key.insert(version, value.map(Blob::from));
    }

    pub(super) fn latest(&self, key: &str) -> Option<String> {
        let record = self.record(&Key::new(key).unwrap(), At::Latest);
        record.value.map(|value| String::from_utf8(value.0.to_vec()).unwrap())
    }

    fn record(&self, key: &Key, at: At) -> Record {
        let until = match at {
            At::Latest | At::Strict => u64::MAX,
            At::Snapshot(at) => at.0,
        };
        let versions = self.versions.lock().unwrap();
        let newest = versions.get(key).and_then(|of_key| of_key.range(..=until).next_back());
        newest.map_or_else(Record::default, |(version, value)| Record {
            version: Timestamp(*version),
            value: value.clone(),
        })
    }

    fn apply(&self, write: &Write) -> Written {
        let Mutation { key, change } = &write.mutation;
        let Record { version, value } = self.record(key, At::Latest);
        if let Condition::ValueIs(expected) = &write.condition
            && *expected != value
        {
            return Written::Differs { version, value };
        }
        let new = match change {
            Change::Put(value) => Some(value.clone()),
            Change::Delete => None,
            Change::Add(delta) => {
                let text = value.map(|value| String::from_utf8(value.0.to_vec()).unwrap());
                let base: i64 = text.map_or(0, |text| text.parse().unwrap());
                Some(Blob::from((base + delta).to_string()))
            }
        };
        let version = version.0.max(1_000) + 1;
        self.versions.lock().unwrap().entry(key.clone()).or_default().insert(version, new);
        Written::Done { version: Timestamp(version), value: None }
    }

    fn check(&self) -> Result<(), Fault> {
        if *self.broken.lock().unwrap() {
            return Err(Fault::new(Code::Unavailable, "no primary"));
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    fn read(&self, key: Key, at: At) -> BoxFuture<'static, Result<Record, Fault>> {
        let record = self.check().map(|()| self.record(&key, at));
        self.reads.lock().unwrap().push(key);
        async move {
            tokio::task::yield_now().await;
            record
        }
        .boxed()
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'static, Result<Page, Fault>> {
        let page = match *self.page.lock().unwrap() {
            0 => scan.limit as usize,
            page => page.min(scan.limit as usize),
        };
        let keys: Vec<Key> = self.versions.lock().unwrap().keys().cloned().collect();
        let mut found: Vec<Found> = keys
            .into_iter()
            .filter(|key| key.as_str().starts_with(&scan.prefix))
            .filter(|key| scan.after.as_ref().is_none_or(|after| key > after))
            .map(|key| Found { record: self.record(&key, scan.at), key })
            .filter(|found| found.record.value.is_some())
            .collect();
        let more = found.len() > page;
        found.truncate(page);
        let next = more.then(|| found.last().unwrap().key.clone());
        let page = self.check().map(|()| Page { found, next });
        async move { page }.boxed()
    }

    fn write_now(&self, write: Write) -> BoxFuture<'static, Result<Written, Fault>> {
        let written = self.check().map(|()| self.apply(&write));
        self.writes.lock().unwrap().push(write);
        async move { written }.boxed()
    }
}

/// What a writing step of a serializable job begins with.
pub(super) fn opening() -> Opening {
    Opening {
        job: JobId::random(1, 2, [3; 8]),
        chain: Name::new("test").unwrap(),
        step: 0,
        effect: Effect::Writing,
        isolation: Isolation::Serializable,
        snapshot: SNAPSHOT,
        trace: None,
        effects: Effects::default(),
    }
}

pub(super) fn context(store: &Arc<MemoryStore>) -> Context {
    Context::open(opening(), store.clone())
}
