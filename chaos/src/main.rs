//! `catena-chaos`: breaks a cluster for a while and says what its clients saw.
//!
//! Exit status: 0 nothing is wrong, 1 something is, 2 the run could not be done.

use catena_chaos::{Failure, Fault, Plan, Report, Workload, is_worker, run, work};
use clap::Parser;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Kills, stops, cuts off and starves the services and the NATS server of a small cluster while
/// clients use it, then judges whether everything that they saw can be.
///
/// Ctrl-C heals everything and judges what there is.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The program `catena`; default: beside this one
    #[arg(long, value_name = "FILE")]
    catena: Option<PathBuf>,

    /// What clients do: `store` (single keys), `jobs`, or `all`
    #[arg(long, default_value = "all")]
    workload: Workload,

    /// For how long things are broken, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,

    /// The same seed breaks the same things in the same order; default: any
    #[arg(long)]
    seed: Option<u64>,

    /// Clients of the store, each with one operation under way at a time
    #[arg(long, default_value_t = 16, value_parser = at_least_one)]
    clients: usize,

    /// Keys in use at a time
    #[arg(long, default_value_t = 10, value_parser = at_least_one)]
    keys: usize,

    /// Operations per second, of all clients of the store together
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,

    /// Jobs per second, of all their callers together
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    job_rate: u32,

    /// Kinds of faults, as in kill,stop,cut; default: all
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Fault>,

    /// Keep the folder with logs and history also if nothing is wrong
    #[arg(long)]
    keep: bool,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| "not a number".to_owned())?;
    if number == 0 { Err("at least 1 is needed".to_owned()) } else { Ok(number) }
}

impl Options {
    fn plan(&self) -> Result<Plan, Failure> {
        let program = match &self.catena {
            Some(program) => program.clone(),
            None => std::env::current_exe()?.with_file_name("catena"),
        };
        if !program.is_file() {
            let program = program.display();
            return Err(Failure::Start(format!("there is no `{program}`; name it by `--catena`")));
        }
        let faults = if self.faults.is_empty() { Fault::ALL.to_vec() } else { self.faults.clone() };
        Ok(Plan {
            lasts: Duration::from_secs(self.seconds),
            seed: self.seed.unwrap_or_else(rand::random),
            clients: self.clients,
            keys: self.keys,
            per_second: self.rate,
            jobs_per_second: self.job_rate,
            workload: self.workload,
            faults,
            keep: self.keep,
            // Workers are processes of this same program.
            ..Plan::new(program, vec![std::env::current_exe()?.into()])
        })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    if is_worker() {
        return ended(work().await.map(|()| true));
    }
    let options = Options::parse();
    let report = Box::pin(judged(&options)).await;
    ended(report.and_then(|report| print(&report, options.json)))
}

fn ended(good: Result<bool, Failure>) -> ExitCode {
    match good {
        Ok(good) if good => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("catena-chaos: {failure}");
            ExitCode::from(2)
        }
    }
}

async fn judged(options: &Options) -> Result<Report, Failure> {
    let plan = options.plan()?;
    let (stop, stopped) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("stopping: what is broken is healed, and what there is is judged");
        let _ = stop.send(true);
        // Kept, so that nobody takes its end for one more order.
        std::future::pending::<()>().await;
    });
    run(&plan, stopped, |line| eprintln!("{line}")).await
}

/// Prints the report. Returns whether it is good.
fn print(report: &Report, json: bool) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", report.json())?;
    } else {
        writeln!(out, "{report}")?;
    }
    Ok(report.is_good())
}
