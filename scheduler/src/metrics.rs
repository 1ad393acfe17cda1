//! What a scheduler counts, as Prometheus metrics.

use crate::machine::{Counters, Scheduler};
use metrics::{counter, describe_counter, describe_gauge, gauge};

/// Explains every metric.
pub(crate) fn describe() {
    for (name, help) in [
        ("catena_scheduler_submit_total", "jobs that came in"),
        ("catena_scheduler_submit_refused_total", "jobs that were refused at once"),
        ("catena_scheduler_submit_joined_total", "jobs that were in flight already"),
        ("catena_scheduler_assign_total", "attempts that were planned and published"),
        ("catena_scheduler_assign_steps_total", "steps of these attempts"),
        ("catena_scheduler_assign_again_total", "attempts after trouble that was nobody's fault"),
        ("catena_scheduler_assign_lost_total", "attempts that were taken for lost"),
        ("catena_scheduler_assign_workers_lost_total", "workers that fell silent"),
        ("catena_scheduler_finish_total", "jobs that ended with a result"),
        ("catena_scheduler_finish_failed_total", "jobs that ended without a result"),
        ("catena_scheduler_finish_retry_total", "failed attempts that were tried again"),
        ("catena_scheduler_finish_conflict_total", "attempts that lost against another job"),
        ("catena_scheduler_finish_expired_total", "jobs whose deadline passed"),
        ("catena_scheduler_finish_late_total", "ends of attempts that did not count any more"),
    ] {
        describe_counter!(name, help);
    }
    describe_gauge!("catena_scheduler_jobs", "jobs in flight");
    describe_gauge!("catena_scheduler_held_bytes", "bytes of inputs that are held");
    describe_gauge!("catena_scheduler_queued", "jobs in flight from the durable queue");
}

/// Shows what was counted so far.
pub(crate) fn show(machine: &Scheduler, queued: usize) {
    let Counters {
        submitted,
        refused,
        joined,
        attempts,
        steps,
        good,
        bad,
        retries,
        conflicts,
        repeated,
        lost,
        expired,
        late,
        workers_lost,
    } = machine.counters();
    counter!("catena_scheduler_submit_total").absolute(submitted);
    counter!("catena_scheduler_submit_refused_total").absolute(refused);
    counter!("catena_scheduler_submit_joined_total").absolute(joined);
    counter!("catena_scheduler_assign_total").absolute(attempts);
    counter!("catena_scheduler_assign_steps_total").absolute(steps);
    counter!("catena_scheduler_assign_again_total").absolute(repeated);
    counter!("catena_scheduler_assign_lost_total").absolute(lost);
    counter!("catena_scheduler_assign_workers_lost_total").absolute(workers_lost);
    counter!("catena_scheduler_finish_total").absolute(good);
    counter!("catena_scheduler_finish_failed_total").absolute(bad);
    counter!("catena_scheduler_finish_retry_total").absolute(retries);
    counter!("catena_scheduler_finish_conflict_total").absolute(conflicts);
    counter!("catena_scheduler_finish_expired_total").absolute(expired);
    counter!("catena_scheduler_finish_late_total").absolute(late);
    gauge!("catena_scheduler_jobs").set(machine.jobs() as f64);
    gauge!("catena_scheduler_held_bytes").set(machine.held_bytes() as f64);
    gauge!("catena_scheduler_queued").set(queued as f64);
}
