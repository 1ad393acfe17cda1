//! What a run is to be like.

use crate::fault::Fault;
use crate::node::Programs;
use crate::workload::Workload;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What a run is to be like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The binary `catena`.
    pub program: PathBuf,
    /// The program of workers, with its arguments: one that calls [`work`](crate::work) and ends
    /// with it. Needed where jobs are run.
    pub worker: Vec<OsString>,
    /// What clients do.
    pub workload: Workload,
    /// For how long things are broken. The last fault may end some seconds later.
    pub lasts: Duration,
    /// The same seed breaks the same things in the same order; when exactly, and what clients do
    /// meanwhile, is up to the machine.
    pub seed: u64,
    /// Clients of the store, each with one operation under way at a time; at least 1.
    pub clients: usize,
    /// Keys in use at a time; at least 1. Every fourth holds integers.
    pub keys: usize,
    /// Operations per second, of all clients of the store together; at least 1.
    pub per_second: u32,
    /// Jobs per second, of all their callers together; at least 1.
    pub jobs_per_second: u32,
    /// Kinds of faults.
    pub faults: Vec<Fault>,
    /// Keep the folder with all logs and the history also if nothing is wrong.
    pub keep: bool,
}

impl Plan {
    /// A minute of all faults, with 16 clients and 10 keys, and with jobs.
    pub fn new(program: impl Into<PathBuf>, worker: Vec<OsString>) -> Self {
        Self {
            program: program.into(),
            worker,
            workload: Workload::All,
            lasts: Duration::from_secs(60),
            seed: 1,
            clients: 16,
            keys: 10,
            per_second: 300,
            jobs_per_second: 60,
            faults: Fault::ALL.to_vec(),
            keep: false,
        }
    }

    pub(crate) fn programs(&self) -> Programs {
        Programs { catena: self.program.clone(), worker: self.worker.clone() }
    }

    /// How often each client acts.
    pub(crate) fn pace(&self) -> Duration {
        pace(self.clients, self.per_second)
    }

    /// How often each of so many callers of jobs acts.
    pub(crate) fn job_pace(&self, callers: usize) -> Duration {
        pace(callers, self.jobs_per_second)
    }

    /// More operations than there can be.
    pub(crate) fn limit(&self) -> usize {
        self.most(self.per_second)
    }

    /// More jobs than there can be.
    pub(crate) fn job_limit(&self) -> usize {
        self.most(self.jobs_per_second)
    }

    fn most(&self, per_second: u32) -> usize {
        let seconds = usize::try_from(self.lasts.as_secs()).unwrap_or(usize::MAX);
        let rate = usize::try_from(per_second).unwrap_or(usize::MAX);
        seconds.saturating_add(120).saturating_mul(rate)
    }
}

fn pace(clients: usize, per_second: u32) -> Duration {
    let clients = u32::try_from(clients).unwrap_or(u32::MAX);
    Duration::from_secs(1).saturating_mul(clients) / per_second.max(1)
}
