//! Writes of chains of isolation `latest`, which take effect at once.
//!
//! Promise: a write has the same request id in every attempt at its job, made of job, step and
//! ordinal, so that it takes effect once. This needs an operator that writes in the same order
//! every time.

use super::Context;
use super::write_buffer::check_value;
use catena_protocol::message::write::{Change, Condition, Mutation, Write, Written};
use catena_protocol::{Fault, Key, RequestId};
use sha2::{Digest, Sha256};
use std::sync::atomic::Ordering;

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
        let request = self.buffer(|_| Ok(self.next_request()))?;
        let mutation = Mutation { key, change };
        let written = self.store().write_now(Write { request, mutation, condition }).await?;
        Ok(matches!(written, Written::Done { .. }))
    }

    fn next_request(&self) -> RequestId {
        let ordinal = self.shared.ordinal.fetch_add(1, Ordering::Relaxed);
        let hash = Sha256::new()
            .chain_update(self.shared.job.0)
            .chain_update([self.shared.step])
            .chain_update(ordinal.to_be_bytes())
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        RequestId(id)
    }
}
