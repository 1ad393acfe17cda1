//! What can be done with one key.

use super::{Entry, Store, Updated, unexpected};
use crate::{Error, ErrorKind};
use bytes::Bytes;
use catena_protocol::message::read::{At, Read, Record};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::message::write::{Change, Condition, Mutation, Write, Written};
use catena_protocol::{Blob, Key, RequestId, Timestamp, limit};

impl Store {
    /// The record of `key`, with everything that was acknowledged before.
    ///
    /// # Errors
    /// A key that is not one, no primary in time.
    pub async fn read(&self, key: impl AsRef<str>) -> Result<Entry, Error> {
        self.read_when(key.as_ref(), At::Latest).await
    }

    /// The record of `key` as it was at `version`.
    ///
    /// # Errors
    /// As for `read`; [`ErrorKind::NotFound`] if versions that old are no longer kept.
    pub async fn read_at(&self, key: impl AsRef<str>, version: Timestamp) -> Result<Entry, Error> {
        self.read_when(key.as_ref(), At::Snapshot(version)).await
    }

    /// Like `read`, but also right if clocks do not run at the same rate: the primary asks a
    /// majority whether it still leads. Costs a round of messages more.
    ///
    /// # Errors
    /// As for `read`.
    pub async fn read_strict(&self, key: impl AsRef<str>) -> Result<Entry, Error> {
        self.read_when(key.as_ref(), At::Strict).await
    }

    async fn read_when(&self, key: &str, at: At) -> Result<Entry, Error> {
        let key = Key::new(key)?;
        let partition = self.partition_of(&key).await?;
        match self.tell(partition, Ask::Read(Read { key, at })).await? {
            Tell::Record(record) => Ok(self.entry(record)),
            other => Err(unexpected(other)),
        }
    }

    /// Sets `key` to `value`; returns the version that this wrote.
    ///
    /// # Errors
    /// A key or value beyond its limit, no primary in time (then the message says whether the
    /// write may have happened).
    pub async fn write(
        &self,
        key: impl AsRef<str>,
        value: impl Into<Bytes>,
    ) -> Result<Timestamp, Error> {
        let change = Change::Put(Blob(value.into()));
        self.change(key.as_ref(), change, Condition::Always).await?.done()
    }

    /// Removes `key`; returns the version that this wrote. It is no error if there was nothing.
    ///
    /// # Errors
    /// As for `write`.
    pub async fn delete(&self, key: impl AsRef<str>) -> Result<Timestamp, Error> {
        self.change(key.as_ref(), Change::Delete, Condition::Always).await?.done()
    }

    /// Sets `key` to `value` if it holds `expected` (`None`: nothing). With `None` as the new
    /// value it is removed. Never half: [`Updated::Differs`] changed nothing.
    ///
    /// ```no_run
    /// # async fn example(store: catena_client::Store) -> Result<(), catena_client::Error> {
    /// use catena_client::Updated;
    /// match store.update_if_value_is("seat:12a", None, Some("ada".into())).await? {
    ///     Updated::Done(version) => println!("taken at {version}"),
    ///     Updated::Differs(found) => println!("already taken by {:?}", found.text()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for `write`.
    pub async fn update_if_value_is(
        &self,
        key: impl AsRef<str>,
        expected: Option<Bytes>,
        value: Option<Bytes>,
    ) -> Result<Updated, Error> {
        let condition = Condition::ValueIs(expected.map(Blob));
        self.change(key.as_ref(), put_or_delete(value), condition).await
    }

    /// Sets `key` to `value` if its version is `expected` ([`Timestamp::ZERO`]: nothing is
    /// there).
    ///
    /// # Errors
    /// As for `write`.
    pub async fn update_if_version_is(
        &self,
        key: impl AsRef<str>,
        expected: Timestamp,
        value: Option<Bytes>,
    ) -> Result<Updated, Error> {
        let condition = Condition::VersionIs(expected);
        self.change(key.as_ref(), put_or_delete(value), condition).await
    }

    /// Adds `delta` to the integer that `key` holds (nothing counts as 0); returns the sum.
    /// Concurrent adds never conflict.
    ///
    /// # Errors
    /// As for `write`; [`ErrorKind::OperatorFailed`] if the value is no integer or the sum does
    /// not fit 64 bits.
    pub async fn add(&self, key: impl AsRef<str>, delta: i64) -> Result<i64, Error> {
        let written = self.written(key.as_ref(), Change::Add(delta), Condition::Always).await?;
        match written {
            Written::Done { value: Some(value), .. } => Ok(value),
            other => Err(Error::new(
                ErrorKind::Internal,
                format!("the store answered an `add` with {other:?}; the add has happened"),
            )),
        }
    }

    async fn change(
        &self,
        key: &str,
        change: Change,
        condition: Condition,
    ) -> Result<Updated, Error> {
        Ok(match self.written(key, change, condition).await? {
            Written::Done { version, .. } => Updated::Done(version),
            Written::Differs { version, value } => {
                Updated::Differs(self.entry(Record { version, value }))
            }
        })
    }

    async fn written(
        &self,
        key: &str,
        change: Change,
        condition: Condition,
    ) -> Result<Written, Error> {
        let key = Key::new(key)?;
        if let Change::Put(value) = &change
            && value.len() > limit::VALUE_BYTES
        {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the value of `{key}` has {} bytes; at most {} are allowed; nothing was sent",
                    value.len(),
                    limit::VALUE_BYTES
                ),
            ));
        }
        let partition = self.partition_of(&key).await?;
        let request = RequestId(rand::random());
        let write = Write { request, mutation: Mutation { key, change }, condition };
        match self.tell(partition, Ask::Write(write)).await? {
            Tell::Written(written) => {
                if let Written::Done { version, .. } = &written {
                    self.shared.causality.saw(*version);
                }
                Ok(written)
            }
            other => Err(unexpected(other)),
        }
    }
}

fn put_or_delete(value: Option<Bytes>) -> Change {
    value.map_or(Change::Delete, |value| Change::Put(Blob(value)))
}
