//! Where chains find their routing keys, as schedulers have told.
//!
//! What is known here may be old, or missing: then a scheduler sends the job elsewhere, or it has
//! a home as good as any. So nobody is asked, and nothing expires.

use catena_protocol::Name;
use catena_protocol::chain::{Definition, routing_key};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Chains that are remembered; when there are more, all are forgotten.
const CHAINS: usize = 1_024;

/// The `key` of chains, by their names.
#[derive(Debug, Default)]
pub(crate) struct Pointers(Mutex<HashMap<Name, String>>);

impl Pointers {
    /// A scheduler has told.
    pub(super) fn learn(&self, chain: &Name, pointer: String) {
        let mut known = self.lock();
        if known.len() >= CHAINS && !known.contains_key(chain) {
            known.clear();
        }
        known.insert(chain.clone(), pointer);
    }

    /// The routing key of a job, as far as is known.
    pub(super) fn find(&self, chain: &Name, input: &[u8]) -> Option<String> {
        let pointer = self.lock().get(chain).cloned()?;
        routing_key(input, &pointer)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The routing key of a job whose chain comes with it.
pub(super) fn find_inline(steps: &str, input: &[u8]) -> Option<String> {
    // The short form has no place for a `key`.
    let whole = steps.trim_start().starts_with('{');
    let definition = whole.then(|| Definition::parse(steps).ok())??;
    routing_key(input, &definition.key?)
}
