//! `catena bench`: Catena beside the bare floor, in one run.
//!
//! The floor is what NATS itself costs on this machine: the same number of connections of the
//! same client library, that only pass the same bytes on along the same hops (`floor.rs`). Both
//! run in this process against the same server, one after the other, repeated `--rounds` times;
//! medians are printed.
//!
//! Five cases are about several storage nodes, which run in processes of their own: `replicated`
//! beside JetStream KV, `failover`, `contention`, `by-hand` beside services written by hand, and
//! `soak`.

mod by_hand;
mod case;
mod catena;
mod contention;
mod drive;
mod failover;
mod floor;
mod leaders;
mod median;
mod platform;
mod replicated;
mod report;
mod soak;
mod steps;
mod storage_nodes;
mod touch;

pub(crate) use replicated::BareReplica;

use crate::cluster::{Cluster, Plan};
use crate::failure::Failure;
use case::{Case, Choice, Kind};
use catena_worker::operator::Registry;
use clap::Args;
use failover::How;
use std::process::ExitCode;
use std::time::Duration;

/// In flight unless something else is asked for.
const IN_FLIGHT: [usize; 3] = [1, 64, 256];

/// Measures chains and store operations beside the bare cost of NATS.
///
/// Starts a NATS server and a cluster of its own with data in a temporary folder; NATS_URL and
/// other connection settings are not used.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to measure; default: all in one process, without several storage nodes
    #[arg(long = "case", value_enum, value_delimiter = ',', value_name = "CASE")]
    cases: Vec<Choice>,

    /// Steps of the chains
    #[arg(long, value_delimiter = ',', default_values_t = [1, 3, 10])]
    steps: Vec<usize>,

    /// Bytes of input or value
    #[arg(long, value_delimiter = ',', default_values_t = [128, 4096], value_name = "BYTES")]
    payload: Vec<usize>,

    /// Jobs or operations in flight; default: 1,64,256, in case `contention` 1,16,64,256
    #[arg(long, value_delimiter = ',')]
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

    /// Replicas of cases `replicated` and `by-hand`: 1 compares one node with one server
    #[arg(long, value_delimiter = ',', default_values_t = [3, 1])]
    replicas: Vec<usize>,

    /// In case `replicated` Catena and the floor run over the clustered servers too, instead of
    /// one of their own
    #[arg(long)]
    nats_cluster: bool,

    /// In case `failover` nodes are made to stand still (SIGSTOP) instead of killed
    #[arg(long)]
    pause: bool,

    /// How often case `failover` kills a storage node
    #[arg(long, default_value_t = 20)]
    kills: usize,

    /// How long case `soak` writes
    #[arg(long, default_value_t = 25)]
    minutes: u32,

    /// Writes a second of case `soak`, of the first `--payload`
    #[arg(long, default_value_t = 1_500)]
    rate: u32,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let at_once = catena_nats_server::kill_all;
        let mut interrupted = catena_service::on_signals_then(at_once);
        // What it started is killed when it is dropped.
        tokio::select! {
            done = self.all() => done.map(|()| ExitCode::SUCCESS),
            () = interrupted.requested() => Err(Failure::new("interrupted")),
        }
    }

    async fn all(&self) -> Result<(), Failure> {
        let time = Duration::try_from_secs_f64(self.seconds).map_err(Failure::usage)?;
        let cases = self.cases()?;
        if !cases.is_empty() {
            self.in_this_process(cases, time).await?;
        }
        if self.cases.contains(&Choice::Replicated) {
            Box::pin(self.replicated(time)).await?;
        }
        if self.cases.contains(&Choice::Failover) {
            let how = if self.pause { How::Paused } else { How::Killed };
            Box::pin(failover::run(self.kills, how, self.json)).await?;
        }
        if self.cases.contains(&Choice::Contention) {
            Box::pin(self.contention(time)).await?;
        }
        if self.cases.contains(&Choice::ByHand) {
            Box::pin(self.by_hand(time)).await?;
        }
        if self.cases.contains(&Choice::Soak) {
            Box::pin(self.soak()).await?;
        }
        Ok(())
    }

    /// What is in flight where a case has these of its own.
    fn in_flight_or(&self, own: &[usize]) -> Vec<usize> {
        if self.in_flight.is_empty() { own.to_vec() } else { self.in_flight.clone() }
    }

    async fn in_this_process(&self, cases: Vec<Case>, time: Duration) -> Result<(), Failure> {
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
        cluster.stop().await
    }

    async fn replicated(&self, time: Duration) -> Result<(), Failure> {
        let plan = replicated::Plan {
            replicas: self.replicas.clone(),
            payloads: self.payload.clone(),
            in_flight: self.in_flight_or(&IN_FLIGHT),
            time,
            rounds: self.rounds,
            nats_cluster: self.nats_cluster,
        };
        replicated::run(&plan, self.json).await
    }

    async fn contention(&self, time: Duration) -> Result<(), Failure> {
        let plan = contention::Plan {
            in_flight: self.in_flight_or(&contention::IN_FLIGHT),
            payload: self.payload[0],
            workers: self.workers,
            time,
            rounds: self.rounds,
        };
        contention::run(&plan, self.json).await
    }

    async fn by_hand(&self, time: Duration) -> Result<(), Failure> {
        let plan = by_hand::Plan {
            replicas: self.replicas.clone(),
            payloads: self.payload.clone(),
            in_flight: self.in_flight_or(&IN_FLIGHT),
            workers: self.workers,
            time,
            rounds: self.rounds,
        };
        by_hand::run(&plan, self.json).await
    }

    async fn soak(&self) -> Result<(), Failure> {
        let Self { minutes, rate, .. } = *self;
        let plan = soak::Plan { minutes, rate, payload: self.payload[0] };
        soak::run(&plan, self.json).await
    }

    fn cases(&self) -> Result<Vec<Case>, Failure> {
        let sane =
            |list: &[usize], most| !list.is_empty() && list.iter().all(|n| (1..=most).contains(n));
        if !sane(&self.steps, 64)
            || !sane(&self.in_flight_or(&IN_FLIGHT), 4_096)
            || self.rounds == 0
        {
            return Err(Failure::usage(
                "steps must be 1 to 64, in flight 1 to 4096, rounds at least 1",
            ));
        }
        if !sane(&self.payload, 256 * 1024) || self.payload.iter().any(|bytes| *bytes < 8) {
            return Err(Failure::usage("payloads must have 8 to 262144 bytes"));
        }
        if !sane(&self.replicas, 5) || self.replicas.iter().any(|n| n % 2 == 0) || self.kills == 0 {
            return Err(Failure::usage("replicas must be 1, 3 or 5, kills at least 1"));
        }
        if self.minutes == 0 || self.rate == 0 {
            return Err(Failure::usage("minutes and rate must be at least 1"));
        }
        Ok(self.kinds().into_iter().flat_map(|kind| self.of_kind(kind)).collect())
    }

    fn kinds(&self) -> Vec<Kind> {
        let kind = |choice: &Choice| match choice {
            Choice::Kind(kind) => Some(*kind),
            _ => None,
        };
        match self.cases.as_slice() {
            [] => Kind::ALL.to_vec(),
            chosen => chosen.iter().filter_map(kind).collect(),
        }
    }

    fn of_kind(&self, kind: Kind) -> Vec<Case> {
        let none = [0];
        let steps: &[usize] = if kind.has_steps() { &self.steps } else { &none };
        let mut cases = Vec::new();
        for steps in steps {
            for payload in &self.payload {
                for in_flight in &self.in_flight_or(&IN_FLIGHT) {
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
