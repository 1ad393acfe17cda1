//! `catena submit`

use super::job_flags::{JobFlags, Jobs};
use super::run::facts;
use crate::client::client;
use crate::each_line::{Plan, Shown, each_line};
use crate::failure::Failure;
use crate::output;
use bytes::Bytes;
use catena_client::{Client, Error, JobId, RunResult};
use catena_link::Settings;
use catena_protocol::Fault;
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Put a job on the durable queue and print its id once it is safe there.
///
/// From then on it survives every process and ends with exactly one outcome: `catena job wait`
/// waits for it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  catena submit report 2026-03
  catena submit report 2026-03 --wait
  catena submit import --each-line < orders.jsonl > ids.txt")]
pub(crate) struct Submit {
    #[command(flatten)]
    flags: JobFlags,

    /// Wait until the job has ended and print its result instead of its id
    #[arg(long)]
    wait: bool,
}

/// How far a submitted job was followed.
enum Ended {
    Queued(JobId),
    Done(RunResult),
}

impl Submit {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        let (each, json, wait) = (self.flags.each_line, self.flags.json, self.wait);
        let concurrency = self.flags.concurrency as usize;
        let mut jobs = self.flags.jobs()?;
        if !each {
            let input = jobs.read_input().await?;
            let client = client(settings).await?;
            return one(follow(&client, &jobs, input, None, wait).await, json);
        }
        let client = client(settings).await?;
        let plan = Plan { what: "jobs", concurrency, ordered: true };
        each_line(plan, |number, line| {
            let (client, jobs) = (&client, &jobs);
            async move { shown(follow(client, jobs, line, Some(number), wait).await, number, json) }
        })
        .await
    }
}

async fn follow(
    client: &Client,
    jobs: &Jobs,
    input: Bytes,
    line: Option<u64>,
    wait: bool,
) -> Result<Ended, Error> {
    let job = jobs.submit(client, input, line).await?;
    if !wait {
        return Ok(Ended::Queued(job));
    }
    client.wait_for(job, jobs.wait()).await.map(Ended::Done)
}

fn one(ended: Result<Ended, Error>, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let good = ended.is_ok();
        output::line(as_json(ended, None))?;
        return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    match ended? {
        Ended::Queued(job) => output::line(job)?,
        Ended::Done(result) => output::bytes(&result.bytes)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(ended: Result<Ended, Error>, number: u64, json: bool) -> Shown {
    let trouble = ended.as_ref().err().map(ToString::to_string);
    let output = if json {
        as_json(ended, Some(number)).to_string().into_bytes()
    } else {
        match ended {
            Ok(Ended::Queued(job)) => job.to_string().into_bytes(),
            Ok(Ended::Done(result)) => result.bytes.into(),
            Err(_) => Vec::new(),
        }
    };
    Shown { output: Some(output), trouble }
}

fn as_json(ended: Result<Ended, Error>, line: Option<u64>) -> Value {
    let mut object = match ended {
        Ok(Ended::Queued(job)) => json!({ "job": job, "state": "queued" }),
        Ok(Ended::Done(result)) => Value::Object(facts(Ok(result))),
        Err(error) => json!({ "job": error.job(), "error": Fault::from(error) }),
    };
    if let Some(line) = line {
        object["line"] = line.into();
    }
    object
}
