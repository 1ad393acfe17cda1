//! Writes of chains of isolation `latest`, which take effect at once.
//!
//! Promise: a write has the same request id in every attempt at its job, made of job, step, key and
//! how many writes of that key there were before in this step, so that it takes effect once. This
//! needs an operator that makes the same writes of one key in the same order every time: what
//! another attempt writes instead is taken for the same write, and the first counts.

use super::Context;
use super::write_buffer::check_value;
use catena_protocol::limit::SET_KEYS;
use catena_protocol::message::write::{self, Change, Condition, Mutation, Write};
use catena_protocol::{Code, Fault, Key, RequestId};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How often the step has written each key so far.
#[derive(Debug, Default)]
pub(super) struct Written(Mutex<BTreeMap<Key, u32>>);

impl Written {
    /// How many writes of `key` there were before this one.
    fn count(&self, key: &Key) -> Result<u32, Fault> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= SET_KEYS && !counts.contains_key(key) {
            let message = format!(
                "the step has written {SET_KEYS} keys at once; this one was not written; \
                 the chain must write fewer in a step"
            );
            return Err(Fault::new(Code::TooLarge, message));
        }
        let count = counts.entry(key.clone()).or_default();
        *count += 1;
        Ok(*count - 1)
    }
}

impl Context {
    /// False: the condition did not hold.
    pub(super) async fn write_now(
        &self,
        key: Key,
        change: Change,
        condition: Condition,
    ) -> Result<bool, Fault> {
        if let Change::Put(value) = &change {
            check_value(&key, value)?;
        }
        // Refuses when the step has ended.
        let request =
            self.buffer(|_| Ok(self.request_of(&key, self.shared.written.count(&key)?)))?;
        let mutation = Mutation { key, change };
        let written = self.store().write_now(Write { request, mutation, condition }).await?;
        Ok(matches!(written, write::Written::Done { .. }))
    }

    fn request_of(&self, key: &Key, before: u32) -> RequestId {
        let hash = Sha256::new()
            .chain_update(self.shared.job.0)
            .chain_update([self.shared.step])
            .chain_update(before.to_be_bytes())
            .chain_update(key.as_str())
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        RequestId(id)
    }
}
