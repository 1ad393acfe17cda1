//! What a worker counts.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// Handles of all metrics of one worker; looked up once, because counting is on the hot path.
pub(crate) struct Metrics {
    pub(crate) steps: Counter,
    pub(crate) handoffs: Counter,
    pub(crate) commits: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) finishes: Counter,
    pub(crate) failures: Counter,
    pub(crate) malformed: Counter,
    pub(crate) redirected: Counter,
    pub(crate) outstanding: Gauge,
    pub(crate) turn: Histogram,
}

impl Metrics {
    pub(crate) fn new(worker: &str) -> Self {
        let worker = worker.to_owned();
        Self {
            steps: counter!("catena_worker_assign_total", "worker" => worker.clone()),
            handoffs: counter!("catena_worker_handoff_total", "worker" => worker.clone()),
            commits: counter!("catena_worker_commit_total", "worker" => worker.clone()),
            conflicts: counter!("catena_worker_conflict_total", "worker" => worker.clone()),
            finishes: counter!("catena_worker_finish_total", "worker" => worker.clone()),
            failures: counter!("catena_worker_failure_total", "worker" => worker.clone()),
            malformed: counter!("catena_worker_malformed_total", "worker" => worker.clone()),
            redirected: counter!("catena_worker_redirected_total", "worker" => worker.clone()),
            outstanding: gauge!("catena_worker_outstanding_steps", "worker" => worker.clone()),
            turn: histogram!("catena_worker_turn_messages", "worker" => worker),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn redirected_reads_are_exported_as_a_counter() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let exported = recorder.handle();
        metrics::with_local_recorder(&recorder, || Metrics::new("w1").redirected.absolute(3));
        let text = exported.render();
        assert!(text.contains("# TYPE catena_worker_redirected_total counter"), "{text}");
        assert!(text.contains("catena_worker_redirected_total{worker=\"w1\"} 3"), "{text}");
    }
}
