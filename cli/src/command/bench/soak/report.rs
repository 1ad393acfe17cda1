//! Printing a soak: a line each minute, and what the second half needed at most.

use super::Plan;
use super::footprint::Footprint;
use super::load::KEYS;
use crate::failure::Failure;
use serde_json::json;

/// How things stand after so many minutes.
pub(super) struct Minute {
    pub(super) number: u32,
    /// Since the start.
    pub(super) writes: u64,
    pub(super) failed: u64,
    /// Of each node.
    pub(super) footprints: Vec<Footprint>,
}

impl Minute {
    fn most_disk(&self) -> u64 {
        self.footprints.iter().map(|print| print.disk).max().unwrap_or(0)
    }

    fn most_memory(&self) -> u64 {
        self.footprints.iter().filter_map(|print| print.memory).max().unwrap_or(0)
    }
}

/// Where the lines go.
pub(super) struct Report {
    json: bool,
    payload: usize,
    minutes: Vec<Minute>,
}

const fn mib(bytes: u64) -> u64 {
    bytes / (1024 * 1024)
}

impl Report {
    pub(super) fn begin(json: bool, plan: &Plan, nodes: usize) -> Result<Self, Failure> {
        let Plan { minutes, rate, payload } = plan;
        eprintln!(
            "{nodes} storage nodes, each a process; one nats-server; {rate} writes of {payload} \
             bytes a second over {KEYS} records for {minutes} minutes. written: values, by now, \
             to each node; disk and memory: of each node, MiB."
        );
        if !json {
            crate::output::line(format!(
                "{:>6} {:>10} {:>7} {:>11}  {:<24} {}",
                "minute", "writes", "failed", "written MiB", "disk MiB", "memory MiB"
            ))?;
        }
        Ok(Self { json, payload: *payload, minutes: Vec::new() })
    }

    pub(super) fn minute(&mut self, minute: &Minute) -> Result<(), Failure> {
        let Minute { number, writes, failed, footprints } = minute;
        let disk: Vec<u64> = footprints.iter().map(|print| mib(print.disk)).collect();
        let memory: Vec<u64> =
            footprints.iter().filter_map(|print| print.memory).map(mib).collect();
        let written = mib(writes * self.payload as u64);
        self.minutes.push(Minute { footprints: footprints.clone(), ..*minute });
        if self.json {
            return crate::output::line(json!({
                "case": "soak",
                "minute": number,
                "writes": writes,
                "failed_writes": failed,
                "written_mib": written,
                "disk_mib": disk,
                "memory_mib": memory,
            }));
        }
        let list = |values: &[u64]| {
            values.iter().map(|value| format!("{value:>7}")).collect::<Vec<_>>().join(" ")
        };
        crate::output::line(format!(
            "{number:>6} {writes:>10} {failed:>7} {written:>11}  {:<24} {}",
            list(&disk),
            list(&memory)
        ))
    }

    /// What each half needed at most: alike, if nothing grows.
    pub(super) fn end(&self) -> Result<(), Failure> {
        let (first, second) = self.minutes.split_at(self.minutes.len() / 2);
        let most = |half: &[Minute], of: fn(&Minute) -> u64| half.iter().map(of).max().unwrap_or(0);
        let [before, after] = [first, second]
            .map(|half| (mib(most(half, Minute::most_disk)), mib(most(half, Minute::most_memory))));
        if self.json {
            return crate::output::line(json!({
                "case": "soak",
                "first_half": { "disk_mib": before.0, "memory_mib": before.1 },
                "second_half": { "disk_mib": after.0, "memory_mib": after.1 },
            }));
        }
        crate::output::line(format!(
            "largest node: first half {} MiB of disk and {} MiB of memory, second half {} and {}",
            before.0, before.1, after.0, after.1
        ))
    }
}
