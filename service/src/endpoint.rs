//! Counters of what a service answers, per endpoint, as NATS service statistics want them.

use catena_protocol::Fault;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One thing that a service answers. Counting is cheap: a few relaxed additions.
#[derive(Debug)]
pub struct Endpoint {
    name: &'static str,
    subject: String,
    queue: Option<&'static str>,
    requests: AtomicU64,
    errors: AtomicU64,
    nanos: AtomicU64,
    last_error: Mutex<String>,
}

impl Endpoint {
    /// Counts answered requests and the time that they took together.
    pub fn answered(&self, requests: u64, took: Duration) {
        self.requests.fetch_add(requests, Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Counts one request among the answered ones as refused or failed.
    pub fn failed(&self, fault: &Fault) {
        self.errors.fetch_add(1, Relaxed);
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        *last = format!("{}: {}", fault.code, fault.message);
    }

    fn info(&self) -> Value {
        json!({
            "name": self.name, "subject": self.subject,
            "queue_group": self.queue.unwrap_or_default(), "metadata": {},
        })
    }

    fn stats(&self, data: &Value) -> Value {
        let requests = self.requests.load(Relaxed);
        let nanos = self.nanos.load(Relaxed);
        let last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        json!({
            "name": self.name, "subject": self.subject,
            "queue_group": self.queue.unwrap_or_default(),
            "num_requests": requests, "num_errors": self.errors.load(Relaxed),
            "last_error": last, "processing_time": nanos,
            "average_processing_time": nanos.checked_div(requests).unwrap_or(0),
            "data": data,
        })
    }
}

/// The endpoints of a service.
#[derive(Clone, Debug, Default)]
pub struct Endpoints(Vec<Arc<Endpoint>>);

impl Endpoints {
    /// Adds one. The name has only `A-Z a-z 0-9 - _`; without a queue group every instance hears
    /// what is sent to the subject.
    pub fn add(
        &mut self,
        name: &'static str,
        subject: String,
        queue: Option<&'static str>,
    ) -> Arc<Endpoint> {
        let endpoint = Arc::new(Endpoint {
            name,
            subject,
            queue,
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            last_error: Mutex::new(String::new()),
        });
        self.0.push(Arc::clone(&endpoint));
        endpoint
    }

    pub(crate) fn info(&self) -> Vec<Value> {
        self.0.iter().map(|endpoint| endpoint.info()).collect()
    }

    pub(crate) fn stats(&self, data: &Value) -> Vec<Value> {
        self.0.iter().map(|endpoint| endpoint.stats(data)).collect()
    }
}
