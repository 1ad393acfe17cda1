//! The figures of a storage node, by the verbs of what it does.

use crate::machine::Event;
use catena_protocol::Code;
use catena_protocol::message::commit::Decided;
use catena_protocol::message::store::Tell;
use metrics::{counter, gauge, histogram};
use std::collections::BTreeSet;
use std::time::Duration;

/// One batch of frames was made durable.
pub(crate) fn synced(took: Duration, frames: usize, records: usize) {
    histogram!("catena_storage_sync_seconds").record(took);
    histogram!("catena_storage_sync_frames").record(frames as f64);
    histogram!("catena_storage_sync_records").record(records as f64);
}

/// What is on its way.
pub(crate) fn pending(held: usize, bytes: usize) {
    gauge!("catena_storage_held_requests").set(held as f64);
    gauge!("catena_storage_pending_bytes").set(bytes as f64);
}

/// Who leads has changed, or something is wrong with a replica.
pub(crate) fn event(event: &Event) {
    match event {
        Event::Leads { .. } => {
            counter!("catena_storage_elections_won_total").increment(1);
            gauge!("catena_storage_partitions_led").increment(1.0);
        }
        Event::Follows { .. } => gauge!("catena_storage_partitions_led").decrement(1.0),
        Event::Campaigns { .. } => counter!("catena_storage_elections_total").increment(1),
        Event::Copies { .. } => counter!("catena_storage_copies_total").increment(1),
        Event::Halts { .. } => counter!("catena_storage_halted_total").increment(1),
        Event::Conflicts { .. } => {}
    }
}

/// Conflicts by how the keys begin. Users choose these: only the first so many are told apart.
#[derive(Debug, Default)]
pub(crate) struct Conflicts(BTreeSet<String>);

const PREFIXES: usize = 64;

impl Conflicts {
    /// A job has lost against another one.
    pub(crate) fn count(&mut self, prefix: String) {
        let known = self.0.contains(&prefix);
        if !known && self.0.len() < PREFIXES {
            self.0.insert(prefix.clone());
        }
        let prefix = if self.0.contains(&prefix) { prefix } else { "others".to_owned() };
        counter!("catena_storage_conflicts_total", "prefix" => prefix).increment(1);
    }
}

/// A message that could not be understood.
pub(crate) fn malformed() {
    counter!("catena_storage_malformed_total").increment(1);
}

/// Answers of one turn, by what they are: counted here, handed over once.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    read: u64,
    write: u64,
    commit: u64,
    conflict: u64,
    refused: u64,
    redirected: u64,
    busy: u64,
}

impl Answers {
    pub(crate) fn count(&mut self, tell: &Tell) {
        let counter = match tell {
            Tell::Record(_) | Tell::Records { .. } | Tell::Outcome(_) => &mut self.read,
            Tell::Written(_) => &mut self.write,
            Tell::Decided(Decided::Outcome(_) | Decided::Explained(..)) => &mut self.commit,
            Tell::Decided(Decided::Conflict { .. }) => &mut self.conflict,
            Tell::Decided(Decided::Busy { .. }) => &mut self.busy,
            Tell::Fault(fault) if fault.code == Code::TooBusy => &mut self.busy,
            Tell::NotPrimary { .. } | Tell::Deposed { .. } | Tell::Behind { .. } => {
                &mut self.redirected
            }
            Tell::Fault(_) | Tell::SnapshotTooOld { .. } => &mut self.refused,
        };
        *counter += 1;
    }

    /// Hands the counts over and begins anew.
    pub(crate) fn publish(&mut self) {
        let all = [
            ("read", self.read),
            ("write", self.write),
            ("commit", self.commit),
            ("conflict", self.conflict),
            ("refused", self.refused),
            ("redirected", self.redirected),
            ("busy", self.busy),
        ];
        for (answer, count) in all.into_iter().filter(|(_, count)| *count > 0) {
            counter!("catena_storage_answers_total", "answer" => answer).increment(count);
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    fn exported(count: impl FnOnce()) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        let exported = recorder.handle();
        metrics::with_local_recorder(&recorder, count);
        exported.render()
    }

    #[test]
    fn conflicts_are_told_apart_by_prefix_as_long_as_there_are_few() {
        let text = exported(|| {
            let mut conflicts = Conflicts::default();
            for round in 0..2 {
                for number in 0..PREFIXES + 3 + round {
                    conflicts.count(format!("p{number}:"));
                }
            }
        });
        let has = |prefix: &str, count: u32| {
            let line = format!("catena_storage_conflicts_total{{prefix=\"{prefix}\"}} {count}");
            assert!(text.lines().any(|found| found == line), "no {line} in {text}");
        };
        has("p0:", 2);
        has("p63:", 2);
        has("others", 7);
        assert!(!text.contains("p64:"), "{text}");
    }

    #[test]
    fn answers_are_counted_by_what_they_are() {
        let text = exported(|| {
            let mut answers = Answers::default();
            answers.count(&Tell::Outcome(None));
            answers.count(&Tell::SnapshotTooOld { horizon: catena_protocol::Timestamp(1) });
            answers.count(&Tell::Fault(catena_protocol::Fault::new(Code::TooBusy, "full")));
            answers.publish();
            answers.publish();
        });
        for answer in ["read", "refused", "busy"] {
            let line = format!("catena_storage_answers_total{{answer=\"{answer}\"}} 1");
            assert!(text.contains(&line), "no {line} in {text}");
        }
        assert!(!text.contains("conflict"), "{text}");
    }
}
