//! `catena run`

use super::explain::{self, Because};
use super::job_flags::{JobFlags, Jobs};
use crate::client::client;
use crate::each_line::{Plan, Shown, each_line};
use crate::failure::Failure;
use crate::output;
use catena_client::{Client, Error, RunResult};
use catena_link::Settings;
use catena_protocol::Fault;
use clap::Args;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Run a chain and print its result as it is.
///
/// With --each-line a job is run for each line of standard input, many at once, and the results
/// are printed a line each, in the order of the input; a job that fails leaves an empty line and
/// its reason on standard error. The exit code is 1 if a job failed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  catena run shout hello
  catena run --inline trim,uppercase ' hello '
  catena run --inline lowercase --each-line --concurrency 256 < words.txt
  catena run order --idempotency-key order-4711 --json < order.json
  catena run order --key '{ada}' --explain < order.json")]
pub(crate) struct Run {
    #[command(flatten)]
    flags: JobFlags,

    /// With --each-line: print results as they come
    #[arg(long, requires = "each_line")]
    unordered: bool,

    /// Say on standard error (with --json in `explain`) what the job took: its home and why, the
    /// partitions that it touched, rounds, attempts, messages
    #[arg(long, conflicts_with = "each_line")]
    explain: bool,
}

impl Run {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        let (each, json) = (self.flags.each_line, self.flags.json);
        let concurrency = self.flags.concurrency as usize;
        let mut jobs = self.flags.jobs()?;
        if !each {
            let input = jobs.read_input().await?;
            let client = client(settings).await?;
            let run = jobs.run(&client, input, None);
            let run = if self.explain { run.explain() } else { run };
            return one(run.await, json, self.explain.then(|| jobs.because()));
        }
        let client = client(settings).await?;
        let plan = Plan { what: "jobs", concurrency, ordered: !self.unordered };
        many(&client, &jobs, plan, json).await
    }
}

async fn many(client: &Client, jobs: &Jobs, plan: Plan, json: bool) -> Result<ExitCode, Failure> {
    each_line(plan, |number, line| {
        let run = jobs.run(client, line, Some(number)).into_future();
        async move { shown(run.await, number, json, plan.ordered) }
    })
    .await
}

fn one(
    result: Result<RunResult, Error>,
    json: bool,
    because: Option<Because>,
) -> Result<ExitCode, Failure> {
    let explained = because.zip(result.as_ref().ok());
    if json {
        let good = result.is_ok();
        let explained = explained.map(|(because, result)| explain::as_json(result, &because));
        let mut object = facts(result);
        object.extend(explained.map(|explained| ("explain".to_owned(), explained)));
        output::line(Value::Object(object))?;
        return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if let Some((because, result)) = explained {
        explain::print(result, &because);
    }
    output::bytes(&result?.bytes)?;
    Ok(ExitCode::SUCCESS)
}

fn shown(result: Result<RunResult, Error>, number: u64, json: bool, ordered: bool) -> Shown {
    let trouble = result.as_ref().err().map(ToString::to_string);
    let output = if json {
        let mut object = facts(result);
        object.insert("line".to_owned(), number.into());
        Some(Value::Object(object).to_string().into_bytes())
    } else {
        match result {
            Ok(result) => Some(result.bytes.into()),
            Err(_) => ordered.then(Vec::new),
        }
    };
    Shown { output, trouble }
}

/// How a job ended, as JSON: `job`, and `version` and `result`, or `error`.
pub(super) fn facts(result: Result<RunResult, Error>) -> Map<String, Value> {
    let mut object = Map::new();
    match result {
        Ok(result) => {
            object.insert("job".to_owned(), json!(result.job));
            object.insert("version".to_owned(), json!(result.version));
            output::insert_bytes(&mut object, "result", &result.bytes);
        }
        Err(error) => {
            object.insert("job".to_owned(), json!(error.job()));
            object.insert("error".to_owned(), json!(Fault::from(error)));
        }
    }
    object
}
