//! `catena`: the services, and everything a person does with them from a terminal.
//!
//! Promise: every command has help, `--json` where it prints facts, a progress display where it
//! takes long, and an exit code that says whether it worked. Results go to standard output,
//! everything else to standard error.
//!
//! Deliberately unknown here: any rule of jobs or of the store.

#![allow(clippy::print_stdout, reason = "a command line program prints")]

mod client;
pub mod cluster;
mod command;
mod connection;
mod each_line;
mod edge;
mod failure;
mod input;
mod output;
mod program;
mod progress;
mod services;

pub use failure::Failure;

use clap::Parser;
use command::Command;
use connection::Connection;
use std::process::ExitCode;

/// Runs chains of operators on NATS, with a shared, versioned store: a chain is a transaction.
#[derive(Debug, Parser)]
#[command(name = "catena", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    connection: Connection,

    /// What is logged to standard error, as in `info` or `catena_worker=debug`.
    #[arg(
        long,
        global = true,
        env = "CATENA_LOG",
        value_name = "FILTER",
        help_heading = "Logging"
    )]
    log: Option<String>,

    /// Log lines as JSON.
    #[arg(long, global = true, env = "CATENA_LOG_JSON", help_heading = "Logging")]
    log_json: bool,

    #[command(subcommand)]
    command: Command,
}

/// Parses the arguments and does what they say.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(code) => code,
        Err(failure) => {
            if !failure.is_silent() {
                eprintln!("catena: {failure}");
            }
            failure.exit_code()
        }
    }
}

fn start(cli: Cli) -> Result<ExitCode, Failure> {
    let format = if cli.log_json {
        catena_service::LogFormat::Json
    } else {
        catena_service::LogFormat::Text
    };
    let filter = cli.log.as_deref().unwrap_or_else(|| cli.command.default_log());
    catena_service::init_logs(filter, format).map_err(Failure::usage)?;
    let settings = if cli.command.is_alone() && !cli.connection.is_named() {
        catena_link::Settings::default()
    } else {
        cli.connection.settings()?
    };
    let mut builder = match cli.command.is_one_loop() {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build()?;
    let result = runtime.block_on(cli.command.run(settings));
    // Operators that block for ever must not keep the process from ending.
    runtime.shutdown_background();
    result
}
