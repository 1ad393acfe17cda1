//! Many keys, by prefix.

use super::{Entry, Store, unexpected};
use crate::Error;
use catena_protocol::message::read::{At, Scan};
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Key, limit};

impl Store {
    /// The records whose keys begin with `prefix`, in key order, at most `most` of them.
    ///
    /// A prefix with a whole tag in braces, as in `{user42}:`, is one consistent read of one
    /// partition. Any other prefix asks every partition, one after the other: each part is
    /// consistent in itself.
    ///
    /// # Errors
    /// As for `read`; the whole scan has the time of one call.
    pub async fn scan(
        &self,
        prefix: impl AsRef<str>,
        most: usize,
    ) -> Result<Vec<(Key, Entry)>, Error> {
        let prefix = prefix.as_ref();
        let deadline_us = self.shared.clock.after(self.timeout);
        let partitions = self.partitions().await?;
        if catena_protocol::key::tag(prefix) != prefix {
            let partition = catena_protocol::partition(prefix, partitions);
            return self.scan_partition(partition, prefix, most, deadline_us).await;
        }
        let mut all = Vec::new();
        for partition in 0..partitions {
            all.extend(self.scan_partition(partition, prefix, most, deadline_us).await?);
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.truncate(most);
        Ok(all)
    }

    async fn scan_partition(
        &self,
        partition: u16,
        prefix: &str,
        most: usize,
        deadline_us: u64,
    ) -> Result<Vec<(Key, Entry)>, Error> {
        let mut all = Vec::new();
        let mut after = None;
        while all.len() < most {
            let limit = u32::try_from(most - all.len()).unwrap_or(u32::MAX);
            let limit = limit.min(limit::SCAN_RECORDS);
            let scan = Scan { prefix: prefix.to_owned(), at: At::Latest, after, limit };
            match self.ask_by(partition, Ask::Scan(scan), deadline_us).await? {
                Tell::Records { found, next } => {
                    all.extend(found.into_iter().map(|f| (f.key, self.entry(f.record))));
                    after = next;
                }
                other => return Err(unexpected(other)),
            }
            if after.is_none() {
                break;
            }
        }
        Ok(all)
    }
}
