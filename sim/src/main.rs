//! `catena-sim`: runs simulated clusters, seed after seed.
//!
//! Exit codes: 0, everything held (with `--bug`: every bug was seen); 1, something did not; 2, the
//! command was wrong, or a file could not be written.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use catena_history::write_lines;
use catena_sim::{Mistake, Plan, Run, Sweep, SweepEnd, run, sweep};
use clap::Parser;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs simulated clusters (storage nodes, schedulers, workers, clients, the durable queue) with
/// faults, one for each seed, and checks the invariants.
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
    #[arg(long)]
    seconds: Option<u64>,

    /// Operations of all clients together, about
    #[arg(long)]
    operations: Option<u64>,

    /// A known bug to put back, by name, or `all` of them in turn: each must be seen
    #[arg(long)]
    bug: Option<String>,

    /// With `--bug`: the same plans, but without the bug; all seeds must hold. Whatever is seen
    /// with a bug would mean nothing if it were seen without it
    #[arg(long, requires = "bug")]
    control: bool,

    /// Print what happens, line by line; one seed
    #[arg(long)]
    trace: bool,

    /// Go on after a seed that failed
    #[arg(long)]
    keep_going: bool,

    /// Print the result as one line of JSON
    #[arg(long)]
    json: bool,

    /// Write what the clients saw to this file, one operation per line; of the first seed that
    /// failed, else of the last one
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
}

/// Time between two lines about the progress.
const PROGRESS: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let held = match bugs(arguments.bug.as_deref()) {
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
        Ok(_) if arguments.trace => trace(&arguments),
        Ok(bugs) if bugs.is_empty() => all_hold(&arguments),
        Ok(bugs) => Ok(all_seen(&arguments, &bugs)),
    };
    match held {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the history could not be written: {error}");
            ExitCode::from(2)
        }
    }
}

/// The bugs that are meant by a name.
fn bugs(name: Option<&str>) -> Result<Vec<Mistake>, String> {
    let Some(name) = name else { return Ok(Vec::new()) };
    if name == "all" {
        return Ok(Mistake::all().collect());
    }
    let known = Mistake::all().find(|bug| bug.to_string() == name);
    known.map(|bug| vec![bug]).ok_or_else(|| {
        let names: Vec<String> = Mistake::all().map(|bug| bug.to_string()).collect();
        format!("`{name}` is no known bug; there are: all, {}", names.join(", "))
    })
}

fn plan(arguments: &Arguments, seed: u64, bug: Option<Mistake>) -> Plan {
    let mut plan = bug.map_or_else(|| Plan::of(seed), |bug| Plan::provoking(bug, seed));
    if let Some(seconds) = arguments.seconds {
        plan.faults_us = seconds.max(1) * 1_000_000;
    }
    if let Some(operations) = arguments.operations {
        plan.operations = operations.max(1);
    }
    if arguments.control {
        plan.bug = None;
        plan.slip = None;
    }
    plan
}

fn sweep_of(arguments: &Arguments) -> Sweep {
    let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Sweep {
        from: arguments.from,
        seeds: arguments.seeds,
        jobs: arguments.jobs.unwrap_or_else(processors),
        keep_going: arguments.keep_going,
    }
}

/// Runs all seeds; every one must hold.
fn all_hold(arguments: &Arguments) -> io::Result<bool> {
    let started = Instant::now();
    let end = sweep(&sweep_of(arguments), |seed| plan(arguments, seed, None), progress(started));
    if arguments.json {
        println!("{}", as_json(&end, started.elapsed()));
    } else {
        print_end(arguments, &end, started.elapsed());
    }
    let shown = end.failed.first().map_or(arguments.from + arguments.seeds - 1, |(seed, _)| *seed);
    write_history(arguments, shown, None)?;
    Ok(end.failed.is_empty())
}

/// Says now and then how far a long run is, and at once which seed failed.
fn progress(started: Instant) -> impl FnMut(&SweepEnd) + Send {
    let mut said = started;
    let mut known = BTreeSet::new();
    move |end| {
        for (seed, failure) in &end.failed {
            if known.insert(*seed) {
                eprintln!("seed {seed}: {failure}");
            }
        }
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            let rate = end.seeds as f64 / started.elapsed().as_secs_f64();
            eprintln!("{} seeds, {} failed, {rate:.1}/s", end.seeds, end.failed.len());
        }
    }
}

fn print_end(arguments: &Arguments, end: &SweepEnd, took: Duration) {
    print!("{}", end.tally);
    let seconds = took.as_secs_f64();
    println!("{:<56} {:>14}", "fewest operations of a seed", end.fewest_operations);
    println!("{:<56} {:>14}", "fewest jobs of a seed", end.fewest_jobs);
    println!("{:<56} {:>14.0}", "simulated hours", end.simulated_us as f64 / 3.6e9);
    println!("{:<56} {:>14.1}", "seeds per second", end.seeds as f64 / seconds);
    println!("{} seeds, {} failed, {seconds:.0} s", end.seeds, end.failed.len());
    for (seed, failure) in &end.failed {
        println!("seed {seed}: {failure}\n    again: {}", again(arguments, *seed, None));
    }
}

fn as_json(end: &SweepEnd, took: Duration) -> serde_json::Value {
    let failed = end.failed.iter().map(|(seed, failure)| {
        json!({"seed": seed, "rule": failure.rule, "at_us": failure.at_us, "what": failure.what})
    });
    json!({
        "seeds": end.seeds,
        "failed": failed.collect::<Vec<_>>(),
        "seconds": took.as_secs_f64(),
        "simulated_us": end.simulated_us,
        "fewest_operations": end.fewest_operations,
        "fewest_jobs": end.fewest_jobs,
        "counts": end.tally.counts().collect::<BTreeMap<_, _>>(),
    })
}

/// The command that shows a seed, step by step.
fn again(arguments: &Arguments, seed: u64, bug: Option<Mistake>) -> String {
    let mut command = format!("catena-sim --trace --from {seed}");
    if let Some(seconds) = arguments.seconds {
        command += &format!(" --seconds {seconds}");
    }
    if let Some(operations) = arguments.operations {
        command += &format!(" --operations {operations}");
    }
    if let Some(bug) = bug {
        command += &format!(" --bug {bug}{}", if arguments.control { " --control" } else { "" });
    }
    command
}

/// Runs one seed and prints what happens.
fn trace(arguments: &Arguments) -> io::Result<bool> {
    let bug = bugs(arguments.bug.as_deref()).ok().and_then(|bugs| bugs.first().copied());
    let Run { trace, failure, .. } = run(plan(arguments, arguments.from, bug), true);
    print!("{trace}");
    if let Some(failure) = &failure {
        println!("seed {}: {failure}", arguments.from);
    }
    write_history(arguments, arguments.from, bug)?;
    Ok(failure.is_none())
}

fn write_history(arguments: &Arguments, seed: u64, bug: Option<Mistake>) -> io::Result<()> {
    let Some(path) = &arguments.history else { return Ok(()) };
    let run = run(plan(arguments, seed, bug), false);
    write_lines(&run.history, BufWriter::new(File::create(path)?))
}

/// Whether some seed shows each bug; as a control, whether none does.
fn all_seen(arguments: &Arguments, bugs: &[Mistake]) -> bool {
    let seen = bugs.iter().filter(|bug| is_seen(arguments, **bug)).count();
    println!("{seen} of {} bugs seen", bugs.len());
    seen == if arguments.control { 0 } else { bugs.len() }
}

fn is_seen(arguments: &Arguments, bug: Mistake) -> bool {
    let end = sweep(&sweep_of(arguments), |seed| plan(arguments, seed, Some(bug)), |_| {});
    let name = bug.to_string();
    match end.failed.first() {
        Some((seed, failure)) => {
            let (seen, of) = (end.failed.len(), end.seeds);
            println!("{name:<20} seen at seed {seed} ({seen} of {of}): {}", failure.rule);
            eprintln!("    again: {}", again(arguments, *seed, Some(bug)));
        }
        None => println!("{name:<20} not seen in {} seeds", end.seeds),
    }
    !end.failed.is_empty()
}
