//! `catena-sim`: runs simulated clusters, seed after seed.
#![allow(clippy::print_stdout, reason = "a program for people")]

use catena_sim::{Bug, Plan, Run, Tally, run};
use clap::Parser;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Runs simulated clusters with faults, one for each seed, and checks the invariants.
#[derive(Debug, Parser)]
#[command(name = "catena-sim", version)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 100)]
    seeds: u64,

    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,

    /// Seeds that run at the same time [default: one for each processor]
    #[arg(long)]
    jobs: Option<usize>,

    /// Simulated seconds with faults
    #[arg(long, default_value_t = 60)]
    seconds: u64,

    /// Operations of all clients together, about
    #[arg(long, default_value_t = 600)]
    operations: u64,

    /// A known bug to put back, by name, or `all` of them in turn: each must be seen
    #[arg(long)]
    bug: Option<String>,

    /// Print what happens, line by line (with `--seeds 1`)
    #[arg(long)]
    trace: bool,

    /// Go on after a seed that failed
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.bug.as_deref() {
        None => runs_well(&arguments),
        Some("all") => {
            let missed: Vec<Bug> =
                Bug::ALL.into_iter().filter(|bug| !is_seen(&arguments, *bug)).collect();
            println!("{} of {} bugs seen", Bug::ALL.len() - missed.len(), Bug::ALL.len());
            if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Some(name) => match Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name) {
            Some(bug) if is_seen(&arguments, bug) => ExitCode::SUCCESS,
            Some(_) => ExitCode::FAILURE,
            None => {
                let names: Vec<String> = Bug::ALL.iter().map(|bug| format!("{bug:?}")).collect();
                println!("`{name}` is no known bug; there are: {}", names.join(", "));
                ExitCode::from(2)
            }
        },
    }
}

fn plan(arguments: &Arguments, seed: u64, bug: Option<Bug>) -> Plan {
    let mut plan = Plan::of(seed);
    plan.faults_us = arguments.seconds * 1_000_000;
    plan.operations = arguments.operations;
    plan.bug = bug;
    plan
}

/// Runs all seeds; every one must hold.
fn runs_well(arguments: &Arguments) -> ExitCode {
    let started = Instant::now();
    let (tally, failed) = run_all(arguments, None, arguments.seeds, !arguments.keep_going);
    println!("{tally}");
    println!(
        "{} seeds, {} failed, {:.0} s",
        arguments.seeds,
        failed.len(),
        started.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether some seed shows a bug.
fn is_seen(arguments: &Arguments, bug: Bug) -> bool {
    let (_, failed) = run_all(arguments, Some(bug), arguments.seeds, true);
    match failed.iter().min() {
        Some((seed, rule)) => println!("{:<20} seen at seed {seed}: {rule}", format!("{bug:?}")),
        None => println!("{:<20} NOT SEEN in {} seeds", format!("{bug:?}"), arguments.seeds),
    }
    !failed.is_empty()
}

fn run_all(
    arguments: &Arguments,
    bug: Option<Bug>,
    seeds: u64,
    stop_at_first: bool,
) -> (Tally, Vec<(u64, String)>) {
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from + seeds;
    let stop = AtomicBool::new(false);
    let all = Mutex::new((Tally::default(), Vec::new()));
    let jobs = arguments.jobs.unwrap_or_else(|| {
        std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
    });
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let Run { tally, failure, trace, .. } =
                        run(plan(arguments, seed, bug), arguments.trace);
                    print!("{trace}");
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.0.merge(&tally);
                    if let Some(failure) = failure {
                        if bug.is_none() {
                            println!("seed {seed}: {failure}");
                        }
                        all.1.push((seed, failure.rule.to_owned()));
                        stop.store(stop_at_first, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}
