//! `catena bench`: Catena beside the bare floor, in one run.
//!
//! The floor is what NATS itself costs on this machine: the same number of connections of the
//! same client library, that only pass the same bytes on along the same hops (`floor.rs`). Both
//! run in this process against the same server, one after the other, repeated `--rounds` times;
//! medians are printed.

mod case;
mod catena;
mod drive;
mod floor;
mod report;
mod touch;

use crate::cluster::{Cluster, Plan};
use crate::failure::Failure;
use case::{Case, Kind};
use catena_worker::operator::Registry;
use clap::Args;
use std::process::ExitCode;
use std::time::Duration;

/// Measures chains and store operations beside the bare cost of NATS.
///
/// Starts a NATS server and a cluster of its own with data in a temporary folder; NATS_URL and
/// other connection settings are not used.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to measure; default: everything
    #[arg(long = "case", value_enum, value_delimiter = ',', value_name = "CASE")]
    cases: Vec<Kind>,

    /// Steps of the chains
    #[arg(long, value_delimiter = ',', default_values_t = [1, 3, 10])]
    steps: Vec<usize>,

    /// Bytes of input or value
    #[arg(long, value_delimiter = ',', default_values_t = [128, 4096], value_name = "BYTES")]
    payload: Vec<usize>,

    /// Jobs or operations in flight
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256])]
    in_flight: Vec<usize>,

    /// Time of one measurement
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,

    /// How often each pair is measured; the median counts
    #[arg(long, default_value_t = 1)]
    rounds: usize,

    /// Workers of the cluster
    #[arg(long, default_value_t = 3)]
    workers: usize,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let time = Duration::try_from_secs_f64(self.seconds).map_err(Failure::usage)?;
        let cases = self.cases()?;
        let folder = tempfile::tempdir()?;
        let registry = Registry::built_in().with(touch::Touch)?;
        let plan = Plan { workers: self.workers, registry, ..Plan::new(folder.path()) };
        let mut cluster = Cluster::start(plan).await?;
        let mut report = report::Report::new(self.json);
        report.begin(cases.len(), &cluster)?;
        for case in cases {
            let measured = self.measure(&mut cluster, &case, folder.path(), time).await?;
            report.line(&case, &measured)?;
        }
        cluster.stop().await?;
        Ok(ExitCode::SUCCESS)
    }

    fn cases(&self) -> Result<Vec<Case>, Failure> {
        let sane =
            |list: &[usize], most| !list.is_empty() && list.iter().all(|n| (1..=most).contains(n));
        if !sane(&self.steps, 64) || !sane(&self.in_flight, 4_096) || self.rounds == 0 {
            return Err(Failure::usage(
                "steps must be 1 to 64, in flight 1 to 4096, rounds at least 1",
            ));
        }
        if !sane(&self.payload, 256 * 1024) || self.payload.iter().any(|bytes| *bytes < 8) {
            return Err(Failure::usage("payloads must have 8 to 262144 bytes"));
        }
        let kinds = if self.cases.is_empty() { Kind::ALL.to_vec() } else { self.cases.clone() };
        Ok(kinds.into_iter().flat_map(|kind| self.of_kind(kind)).collect())
    }

    fn of_kind(&self, kind: Kind) -> Vec<Case> {
        let none = [0];
        let steps: &[usize] = if kind.has_steps() { &self.steps } else { &none };
        let mut cases = Vec::new();
        for steps in steps {
            for payload in &self.payload {
                for in_flight in &self.in_flight {
                    cases.push(Case {
                        kind,
                        steps: *steps,
                        payload: *payload,
                        in_flight: *in_flight,
                    });
                }
            }
        }
        cases
    }

    async fn measure(
        &self,
        cluster: &mut Cluster,
        case: &Case,
        folder: &std::path::Path,
        time: Duration,
    ) -> Result<report::Line, Failure> {
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            let floor = floor::measure(cluster.settings(), case, folder, time).await?;
            let before = report::messages(cluster).await?;
            let catena = catena::measure(cluster.settings(), case, time).await?;
            let messages = report::messages(cluster).await?.saturating_sub(before);
            rounds.push(report::Round { floor, catena, messages });
        }
        Ok(report::Line::median(rounds))
    }
}
