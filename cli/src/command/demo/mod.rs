//! `catena demo`: three examples on a cluster of its own, every result checked.
//!
//! Promise: what is printed as found was read from the store or told by the services, never
//! taken from what was expected; nothing is left behind, unless `--data` names a folder for it.

mod accident;
mod check;
mod direct;
mod load;
mod report;
mod shop;
mod spread;
mod words;

use crate::client::client;
use crate::cluster::{Cluster, Plan};
use crate::failure::Failure;
use accident::{Accident, accident};
use catena_client::Client;
use catena_link::Settings;
use catena_protocol::subject::{CHAINS, CLUSTER, JOBS, OPERATORS};
use catena_worker::operator::Registry;
use clap::Args;
use report::{Phase, Report};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Show what Catena does: start a cluster, count words, run a shop, lose a storage node, check
/// every result.
///
/// Everything runs in this process, a NATS server that is started for it, and a storage node in a
/// process of its own, which is killed. With --server everything runs in this process, in subjects
/// and buckets of its own on that server. All is gone at the end. The exit code is 1 if anything
/// found differs from what is expected.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Number of workers
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,

    /// Number of schedulers
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    schedulers: u16,

    /// Number of storage nodes; of three or more one is killed, while orders come in and again
    /// while keys are written
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=16))]
    storage: u16,

    /// How long words are counted, and keys written, in seconds
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS", value_parser = seconds)]
    seconds: f64,

    /// What the orders of the shop are generated from
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,

    /// Folder for all data, kept; default: a temporary one, removed
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,

    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// The exit code after Ctrl-C, as shells know it.
const INTERRUPTED: u8 = 130;

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=3_600.0).contains(seconds));
    seconds.ok_or_else(|| "expected a number of seconds, at most 3600".to_owned())
}

impl Demo {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        let temporary = tempfile::tempdir()?;
        let run = format!("{:08x}", rand::random::<u32>());
        let named = settings.url.is_some() || settings.context.is_some();
        let lent = named && settings.prefix.is_none();
        let settings = if lent {
            Settings { prefix: Some(format!("demo-{run}")), ..settings }
        } else {
            settings
        };
        let plan = Plan {
            nats: named.then_some(settings),
            schedulers: usize::from(self.schedulers),
            workers: usize::from(self.workers),
            storage: usize::from(self.storage),
            registry: shop::operators(Registry::built_in())?,
            apart: Some((accident::VICTIM.to_owned(), std::env::current_exe()?)),
            ..Plan::new(self.data.as_deref().unwrap_or(temporary.path()))
        };
        let (accident, mut injector) = accident(plan.data.join(accident::VICTIM));
        let accident = (self.storage >= 3).then_some(accident);
        let mut shutdown = catena_service::on_signals_then(catena_nats_server::kill_all);
        eprintln!("starting a cluster");
        let began = Instant::now();
        let mut cluster = tokio::select! {
            started = Cluster::start(plan) => started?,
            () = shutdown.requested() => return Ok(INTERRUPTED.into()),
        };
        eprintln!("ready after {:.1} s", began.elapsed().as_secs_f64());
        let reached = cluster.settings().clone();
        let result = tokio::select! {
            result = self.show(reached.clone(), &run, accident) => result,
            failure = injector.work(&mut cluster) => Err(failure),
            () = shutdown.requested() => Ok(INTERRUPTED.into()),
        };
        eprintln!("ending the cluster");
        let stopped = cluster.stop().await;
        if lent {
            give_back(reached).await?;
        }
        let code = result?;
        stopped.map(|()| code)
    }

    async fn show(
        &self,
        settings: Settings,
        run: &str,
        accident: Option<Accident>,
    ) -> Result<ExitCode, Failure> {
        let client = client(settings).await?;
        let before = spread::done(&client).await?;
        let words = self.words(&client, run).await?;
        let shop = shop::run(&client, run, self.seed, accident.as_ref()).await?;
        let steps = words.steps + shop.steps;
        let spread = spread::since(&client, &before, steps).await?;
        let direct =
            direct::run(&client, run, self.time(), i64::from(self.storage), accident.as_ref())
                .await?;
        let report = Report { phases: vec![words, shop, direct], spread };
        report.print(self.json)?;
        client.close().await;
        Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn words(&self, client: &Client, run: &str) -> Result<Phase, Failure> {
        words::run(client, run, self.time()).await
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// Removes what the cluster made on a server that is not its own.
async fn give_back(settings: Settings) -> Result<(), Failure> {
    let link = crate::client::link(settings).await?;
    let context = async_nats::jetstream::new(link.client.clone());
    for bucket in [CHAINS, OPERATORS, CLUSTER] {
        let _ = context.delete_key_value(link.subjects.bucket(bucket)).await;
    }
    let _ = context.delete_stream(link.subjects.bucket(JOBS)).await;
    Ok(())
}
